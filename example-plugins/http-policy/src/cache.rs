//! [`Snapshots`]: what was fetched before, and what is being fetched now.
//!
//! A fetch is a *flight*: who asks for its key while it is under way takes a seat in it. One of the seated fetches, in
//! its own future; when that future is dropped, the next one fetches for itself, with its own deadline and token. The
//! outcome, also a failure, is that of everyone on board.
//!
//! 1. A flight is in `under_way` exactly while somebody holds a seat in it and it has no outcome that was noted.
//! 2. Seats are counted under the lock, which is never held across an await.

use std::collections::HashMap;
use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use mini_chat_plugin_sdk::uuid::Uuid;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use crate::answer::Snapshot;
use crate::failure::Failure;
use crate::time_limit::TimeLimit;

/// User and version.
pub(crate) type Key = (Uuid, u64);

type Outcome = Result<Arc<Snapshot>, Failure>;

/// The snapshots that are kept, up to a number, and those under way.
#[derive(Debug)]
pub(crate) struct Snapshots(Mutex<State>);

#[derive(Debug)]
struct State {
    kept: LruCache<Key, Arc<Snapshot>>,
    under_way: HashMap<Key, UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    flight: Arc<OnceCell<Outcome>>,
    seats: usize,
}

impl Snapshots {
    pub(crate) fn new(most: NonZeroUsize) -> Self {
        Self(Mutex::new(State { kept: LruCache::new(most), under_way: HashMap::new() }))
    }

    /// The snapshot of `key`: kept, being fetched by somebody, or else fetched by `fetch`, which is told how long to wait
    /// before it begins.
    pub(crate) async fn get<F>(&self, key: Key, limit: TimeLimit, fetch: impl Fn(Option<Instant>) -> F) -> Outcome
    where
        F: Future<Output = Outcome>,
    {
        let mut not_before = None;
        loop {
            let seat = match self.take_seat(key) {
                Ok(kept) => return Ok(kept),
                Err(seat) => seat,
            };
            let outcome = seat.flight.get_or_init(|| fetch(not_before)).await.clone();
            self.note(&seat, &outcome);
            match outcome {
                // Whoever fetched had less time than this caller.
                Err(Failure::OutOfTime { not_before: Some(at), .. }) if at < limit.at() => not_before = Some(at),
                outcome => return outcome,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_seat(&self, key: Key) -> Result<Arc<Snapshot>, Seat<'_>> {
        let mut state = self.state();
        if let Some(kept) = state.kept.get(&key) {
            return Ok(Arc::clone(kept));
        }
        let under_way = state.under_way.entry(key).or_insert_with(|| UnderWay { flight: Arc::default(), seats: 0 });
        under_way.seats += 1;
        Err(Seat { snapshots: self, key, flight: Arc::clone(&under_way.flight) })
    }

    /// Ends the flight and keeps what it brought; the first on board to come here does it.
    fn note(&self, seat: &Seat<'_>, outcome: &Outcome) {
        let mut state = self.state();
        if !state.has(seat) {
            return;
        }
        state.under_way.remove(&seat.key);
        if let Ok(snapshot) = outcome {
            state.kept.put(seat.key, Arc::clone(snapshot));
        }
    }
}

impl State {
    /// Whether the flight of this seat is under way; its key may have a later one.
    fn has(&self, seat: &Seat<'_>) -> bool {
        self.under_way.get(&seat.key).is_some_and(|under_way| Arc::ptr_eq(&under_way.flight, &seat.flight))
    }
}

/// One caller's part in a flight.
struct Seat<'a> {
    snapshots: &'a Snapshots,
    key: Key,
    flight: Arc<OnceCell<Outcome>>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.snapshots.state();
        if !state.has(self) {
            return;
        }
        if let Some(under_way) = state.under_way.get_mut(&self.key) {
            under_way.seats -= 1;
            if under_way.seats == 0 {
                state.under_way.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests;
