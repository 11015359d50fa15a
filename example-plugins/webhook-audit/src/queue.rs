//! [`Queue`]: the events that wait to be sent, and the [`Batch`]es that they are sent in.
//!
//! # Invariants
//!
//! 1. What is *held* is what waits and what is in batches that are not settled: `held_events` and `held_bytes` count it,
//!    and never exceed the bounds.
//! 2. Every event that got in leaves it in a batch, whose end (also by a panic or a drop) settles it: its call is answered,
//!    or it is noted as unsent; or its call was given up before, and it is let go.
//! 3. One batch is put together at a time (`taking`), so batches begin in the order of their events.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::batch::Batch;
use crate::config::Bounds;
use crate::event::Event;
use crate::unsent::Unsent;

/// A queue with more events is not looked through all the time.
const LONG: usize = 1_000;
/// But this often.
const PAUSE: Duration = Duration::from_millis(10);

/// What waits, and how much is held.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    /// Something has become of the queue that whoever puts a batch together should look at.
    changed: Notify,
    taking: tokio::sync::Mutex<()>,
    pub(crate) unsent: Unsent,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<(Event, Instant)>,
    waiting_bytes: usize,
    held_events: usize,
    held_bytes: usize,
    closed: bool,
    /// When given-up events were last looked for.
    swept: Option<Instant>,
}

/// Why an event is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The plugin has been shut down, or nothing sends any more.
    Closed,
    /// There is no room now.
    Full { events: usize, bytes: usize },
    /// There never is so much room.
    TooLarge { bytes: usize, most: usize },
}

/// What to do next.
#[derive(Debug)]
enum Next {
    /// Send this.
    Send(Vec<Event>),
    /// Look again then, or when something changes.
    At(Instant),
    /// Look again when something changes.
    Wait,
    /// There will be nothing more.
    End,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds, unsent: Unsent) -> Self {
        let (state, changed) = (Mutex::default(), Notify::new());
        Self { bounds, state, changed, taking: tokio::sync::Mutex::default(), unsent }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event.
    pub(crate) fn push(&self, event: Event) -> Result<(), Refused> {
        let wake = self.state().push(&self.bounds, event, Instant::now())?;
        if wake {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// The next batch: when it is full, when its first event has waited long enough, or at once if the queue is closed.
    /// None: the queue is closed and empty.
    pub(crate) async fn take(self: &Arc<Self>) -> Option<Batch> {
        let _taking = self.taking.lock().await;
        loop {
            let next = self.state().next(&self.bounds, Instant::now());
            match next {
                Next::Send(events) => return Some(Batch::new(Arc::clone(self), events)),
                Next::At(moment) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(moment) => {}
                },
                Next::Wait => self.changed.notified().await,
                Next::End => return None,
            }
        }
    }

    /// A batch of what waits, however little; for when nobody sends any more.
    pub(crate) fn take_unsent(self: &Arc<Self>) -> Option<Batch> {
        let events = self.state().cut(&self.bounds);
        (!events.is_empty()).then(|| Batch::new(Arc::clone(self), events))
    }

    /// Takes no more events, and gives out what waits.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        // One is enough: who takes after the one who waits sees it before it waits.
        self.changed.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Events have left for good.
    pub(crate) fn release(&self, events: usize, bytes: usize) {
        let mut state = self.state();
        state.held_events -= events;
        state.held_bytes -= bytes;
    }
}

impl State {
    /// Whether somebody should look: at the first event, which starts the clock, and when there is enough for a batch.
    fn push(&mut self, bounds: &Bounds, event: Event, now: Instant) -> Result<bool, Refused> {
        let size = event.line.len();
        if self.closed {
            return Err(Refused::Closed);
        }
        if size > bounds.queue_bytes {
            return Err(Refused::TooLarge { bytes: size, most: bounds.queue_bytes });
        }
        if !self.has_room(bounds, size) {
            self.let_go(now);
            if !self.has_room(bounds, size) {
                return Err(Refused::Full { events: self.held_events, bytes: self.held_bytes });
            }
        }
        self.held_events += 1;
        self.held_bytes += size;
        self.waiting_bytes += size;
        self.waiting.push_back((event, now));
        Ok(self.waiting.len() == 1 || self.is_enough(bounds))
    }

    fn has_room(&self, bounds: &Bounds, size: usize) -> bool {
        self.held_events < bounds.queue_events && size <= bounds.queue_bytes - self.held_bytes
    }

    fn is_enough(&self, bounds: &Bounds) -> bool {
        self.waiting.len() >= bounds.batch_events || self.waiting_bytes >= bounds.batch_bytes
    }

    /// Lets go of events whose calls were given up: who made these will bring them again.
    /// Looks at each, so of a long queue not at every call that finds it full.
    fn let_go(&mut self, now: Instant) {
        if self.waiting.len() > LONG && self.swept.is_some_and(|swept| now < swept + PAUSE) {
            return;
        }
        self.swept = Some(now);
        let (mut events, mut bytes) = (0, 0);
        self.waiting.retain(|(event, _)| {
            let keep = !event.is_given_up();
            if !keep {
                events += 1;
                bytes += event.line.len();
            }
            keep
        });
        self.held_events -= events;
        self.held_bytes -= bytes;
        self.waiting_bytes -= bytes;
    }

    fn next(&mut self, bounds: &Bounds, now: Instant) -> Next {
        // At the end everything goes out, so that whoever sends accounts for all of it.
        if !self.closed {
            self.let_go(now);
        }
        let Some((_, arrived)) = self.waiting.front() else {
            return if self.closed { Next::End } else { Next::Wait };
        };
        let due = *arrived + bounds.flush_after;
        if !self.closed && !self.is_enough(bounds) && now < due {
            return Next::At(due);
        }
        Next::Send(self.cut(bounds))
    }

    /// The first events, as many as make a batch.
    fn cut(&mut self, bounds: &Bounds) -> Vec<Event> {
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some((event, _)) = self.waiting.front() {
            let size = event.line.len();
            let fits = events.len() < bounds.batch_events && bytes + size <= bounds.batch_bytes;
            if !fits && !events.is_empty() {
                break;
            }
            let Some((event, _)) = self.waiting.pop_front() else { break };
            bytes += size;
            events.push(event);
        }
        self.waiting_bytes -= bytes;
        events
    }
}

#[cfg(test)]
mod tests;
