//! The end of an instance: drain, retire, shutdown hook, close.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Instance;
use super::live::{CLOSE_LIMIT, CLOSE_MARGIN, Live};
use super::opened::step;
use crate::error::{CreateError, Stage};
use crate::events::micros;
use crate::housekeeping::{self, Housekeeping, after};

impl Instance {
    /// No call enters from now on; ready when the last one has left. [`open_again`](Self::open_again) ends that.
    pub(crate) async fn emptied(&self) {
        self.gate.close();
        self.gate.wait_idle().await;
    }

    /// Calls may enter again.
    pub(crate) fn open_again(&self) {
        self.gate.reopen();
    }

    /// Ends the instance, which no slot points at any more: waits for its calls until `drain_until`, gives up on those that
    /// are left (`on_limit` is told how many), runs the shutdown hook until `end_by`, closes.
    pub(crate) async fn end(
        self: Arc<Self>,
        drain_until: Instant,
        end_by: Instant,
        on_limit: impl FnOnce(i64) + Send,
    ) -> Ended {
        let housekeeping = self.live.housekeeping.clone();
        let mut unfinished = Unfinished { plugin: Some(Arc::clone(&self.settings.name)) };
        let begun = Instant::now();
        self.gate.close();
        let drained = housekeeping.until(drain_until, self.gate.wait_idle()).await.is_some();
        let drain_us = micros(begun);
        let begun = Instant::now();
        let abandoned_calls = if drained { 0 } else { self.gate.in_flight().max(0) };
        if !drained {
            on_limit(abandoned_calls);
        }
        // Cancelling wakes what waits for the lifetime token: the author's wakers.
        let retiring = Arc::clone(&self.live);
        let retire = housekeeping::run("mini-chat-retire", move || retiring.module.retire()(retiring.raw));
        let _ = housekeeping.until(after(CLOSE_LIMIT), retire).await;
        if !drained {
            self.live.give_up();
        }
        let limit = end_by.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
        let shutdown = step(&self.live, Stage::Shutdown, limit, &self.settings.config, self.live.module.shutdown());
        let shutdown = shutdown.await.err();
        unfinished.plugin = None;
        if matches!(shutdown, Some(CreateError::Panicked { .. })) {
            self.tally.count_panic();
        }
        self.tally.set_evicted(self.bridge.evicted());
        let (baseline, account, name) = (self.baseline, self.live.account, self.settings.name.to_string());
        let generation = self.settings.generation;
        let live = Arc::clone(&self.live);
        drop(self);
        let (closed, runtime_stopped) = match alone(live, &housekeeping).await {
            Some(live) => {
                let close = housekeeping::run("mini-chat-close", move || live.close());
                // The plugin's drop is the author's code: it may never return.
                let closed = housekeeping.until(after(CLOSE_LIMIT + CLOSE_MARGIN), close).await;
                let closed = closed.and_then(Result::ok).flatten();
                (closed, Some(closed.is_some_and(|report| report.runtime_stopped == 1)))
            }
            // A call that was given up still holds it: its end closes it.
            None => (None, None),
        };
        Ended {
            name,
            generation,
            abandoned_calls,
            shutdown_error: shutdown,
            runtime_stopped,
            heap_growth: closed.and_then(|_| Some(account?.live() - baseline?)),
            drain_us,
            end_us: micros(begun),
        }
    }
}

/// Tells of an end that nobody awaited: the shutdown hook has not run to its end.
struct Unfinished {
    plugin: Option<Arc<str>>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(plugin) = &self.plugin {
            tracing::warn!(
                plugin = &**plugin,
                "shutdown() was dropped before it was done: what the plugin has not flushed may be lost"
            );
        }
    }
}

/// The handle itself, once nobody else holds it. Somebody who only looks (the watchdog, a status) soon lets go.
async fn alone(mut live: Arc<Live>, housekeeping: &Housekeeping) -> Option<Live> {
    let limit = after(CLOSE_LIMIT);
    loop {
        match Arc::try_unwrap(live) {
            Ok(live) => return Some(live),
            Err(_) if Instant::now() >= limit => return None,
            Err(shared) => live = shared,
        }
        housekeeping.sleep_until(after(Duration::from_millis(2))).await;
    }
}

/// How an instance ended.
pub(crate) struct Ended {
    pub(crate) name: String,
    pub(crate) generation: u64,
    /// Calls that had not ended when the drain limit passed.
    pub(crate) abandoned_calls: i64,
    pub(crate) shutdown_error: Option<CreateError>,
    /// Whether its runtime's threads ended in time; none if it could not be closed yet.
    pub(crate) runtime_stopped: Option<bool>,
    /// Bytes of heap that it holds after its end, beyond those before its start.
    pub(crate) heap_growth: Option<i64>,
    /// Microseconds until its last call had ended, or was given up.
    pub(crate) drain_us: u64,
    /// Microseconds of the rest.
    pub(crate) end_us: u64,
}
