//! The end of generations, and of the host.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Command;
use super::run::{Done, Run};
use super::seat::Made;
use crate::error::SwapError;
use crate::events::HostEvent;
use crate::housekeeping::after;
use crate::instance::Ended;
use crate::status::{EndedPlugin, ShutdownReport};
use crate::swap::{Event, Number};

/// The host ends.
pub(super) struct Ending {
    by: Instant,
    report: Vec<EndedPlugin>,
    answers: Vec<oneshot::Sender<ShutdownReport>>,
    late: bool,
}

/// How much longer than its limit a shutdown may take: closing comes last.
const MARGIN: Duration = Duration::from_secs(4);

impl Run {
    /// Ends a generation: drain, shutdown hook, close.
    pub(super) fn end(&mut self, name: &str, number: Number) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let Some(Made { instance, build }) = seat.made.remove(&number) else { return };
        seat.memory.unmark(&build);
        instance.trust();
        let drain = instance.settings.limits.drain;
        let (drain_until, end_by) = match &self.ending {
            Some(ending) => (after(drain.min(self.means.shutdown / 2)), ending.by),
            None => (after(drain), after(drain.saturating_add(self.means.shutdown))),
        };
        let (commands, of, slot) = (self.commands.clone(), name.to_owned(), Arc::clone(&seat.slot));
        let listed = Arc::downgrade(&instance);
        let on_limit = move |calls| {
            if let Some(instance) = listed.upgrade() {
                slot.add_zombie(&instance);
            }
            let _ = commands.send(Command::DrainLimit { name: of, number, calls });
        };
        self.ends += 1;
        let name = name.to_owned();
        self.job(async move { Done::Ended(name, number, instance.end(drain_until, end_by, on_limit).await) });
    }

    pub(super) fn ended(&mut self, name: &str, number: Number, ended: Ended) {
        self.ends -= 1;
        let ended = EndedPlugin::from(ended);
        log_end(&ended);
        if let Some(seat) = self.seats.get(name) {
            seat.slot.add_retired(ended.clone());
        }
        let EndedPlugin { abandoned_calls, shutdown_error, heap_growth_bytes, drain_us, end_us, .. } = ended.clone();
        self.outbox.tell_all(HostEvent::Retired {
            plugin: name.to_owned(),
            generation: number,
            abandoned_calls,
            shutdown_error,
            heap_growth_bytes,
            drain_us,
            end_us,
        });
        if let Some(ending) = &mut self.ending {
            ending.report.push(ended);
        }
        self.tell(name, Event::Ended(number));
    }

    pub(super) fn shut_down(&mut self, answer: oneshot::Sender<ShutdownReport>) {
        if let Some(ending) = &mut self.ending {
            ending.answers.push(answer);
            return;
        }
        // No look begins from now on.
        self.watcher = None;
        let by = after(self.means.shutdown);
        self.ending = Some(Ending { by, report: Vec::new(), answers: vec![answer], late: false });
        for name in self.seats.keys().cloned().collect::<Vec<_>>() {
            if let Some(seat) = self.seats.get_mut(&name) {
                // It ends in order: what was on trial is not to blame for the end.
                seat.memory.forget_mark();
                seat.vacate_why = ("shut-down", "the host has been shut down".to_owned());
                if !seat.serves() && !seat.disabled {
                    seat.slot.because("shut-down", "the host has been shut down");
                }
                for (_, waiter) in seat.waiters.drain(..) {
                    self.outbox.answer(waiter, Err(SwapError::ShuttingDown));
                }
            }
            self.tell(&name, Event::Shutdown);
        }
        self.later(by + MARGIN, Done::Late);
        self.persist_last();
    }

    /// What a restart must know is on the disk, or cannot be.
    pub(super) fn kept(&mut self) {
        self.ends -= 1;
    }

    pub(super) fn late(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.late = true;
        }
    }

    /// Whether there is nothing left to wait for.
    pub(super) fn is_ended(&self) -> bool {
        self.ending.as_ref().is_some_and(|ending| ending.late || self.ends == 0)
    }

    /// Gives everything back, and answers.
    pub(super) fn finish(mut self) {
        let Some(Ending { mut report, answers, .. }) = self.ending.take() else { return };
        report.sort_by(|one, other| (&one.name, one.generation).cmp(&(&other.name, other.generation)));
        let report = ShutdownReport { plugins: report };
        *self.means.shared.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report.clone());
        drop(self);
        for answer in answers {
            let _ = answer.send(report.clone());
        }
    }

    /// The host is gone, without a shutdown.
    pub(super) fn abandon(mut self) {
        self.seats.values_mut().for_each(|seat| seat.memory.forget_mark());
        self.persist();
        for seat in self.seats.values() {
            let Some(instance) = seat.slot.vacate("host-gone", "the host is gone") else { continue };
            seat.slot.release();
            let flushes = instance.image.descriptor.has_hook("shutdown");
            tracing::warn!(
                plugin = instance.name(),
                in_flight = instance.in_flight(),
                "the host was dropped without shutdown().await: {}",
                if flushes {
                    "the plugin's shutdown hook does not run, and what it has not flushed is lost"
                } else {
                    "calls under way may be cut off"
                }
            );
        }
    }
}

fn log_end(plugin: &EndedPlugin) {
    let EndedPlugin { name, generation, abandoned_calls, shutdown_error, runtime_stopped, heap_growth_bytes, .. } =
        plugin;
    if let Some(error) = shutdown_error {
        tracing::error!(plugin = name, generation, "{error}; what it had to flush may be lost");
    }
    if *abandoned_calls > 0 {
        tracing::warn!(plugin = name, generation, abandoned_calls, "calls had not ended when the drain limit passed");
    }
    tracing::info!(plugin = name, generation, ?runtime_stopped, ?heap_growth_bytes, "plugin has ended");
}
