//! [`Metering`]: copies what was counted into the facade, once a second and whenever somebody asks.
//!
//! On a thread of its own: a recorder is the host program's code, for which neither timers nor the supervisor may wait.

use std::collections::BTreeMap;
use std::iter::zip;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::happened::ToPlugin;
use super::names::{self, ALL, DURATION_BUCKETS};
use super::round::{Round, Series};
use super::tally::{BUCKETS, MethodTotals, NAMES};
use crate::audit::RESULTS;
use crate::budget;
use crate::contain::contained;
use crate::handle::Handle;
use crate::method::Method;
use crate::open::Origin;
use crate::sanitize::Class;
use crate::slot::Slot;

/// How often everything is copied.
const PERIOD: Duration = Duration::from_secs(1);

/// Why a slot is empty for good, or was never meant to have anything: it has no series.
const UNLISTED: [&str; 4] = ["unknown-name", "disabled", "removed", "host-gone"];

/// Count and nanoseconds of each bucket.
type Buckets = [(u64, u64); BUCKETS];

/// A host's metrics. Dropping it ends its thread and retires every series.
pub(crate) struct Metering {
    collector: Arc<Collector>,
    stop: Arc<(Mutex<bool>, Condvar)>,
}

impl Metering {
    pub(crate) fn start(prefix: String, host: Handle) -> Self {
        let collector = Arc::new(Collector { prefix, host, state: Mutex::default() });
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let (of_thread, stopped) = (Arc::clone(&collector), Arc::clone(&stop));
        let thread = thread::Builder::new().name("mini-chat-metrics".to_owned());
        if let Err(error) = thread.spawn(move || run(&of_thread, &stopped)) {
            tracing::warn!("no thread to collect metrics: {error}; they are collected when somebody asks");
        }
        Self { collector, stop }
    }

    pub(crate) fn collector(&self) -> Arc<Collector> {
        Arc::clone(&self.collector)
    }
}

impl Drop for Metering {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        self.collector.retire();
    }
}

fn run(collector: &Collector, (stop, changed): &(Mutex<bool>, Condvar)) {
    let mut stopped = stop.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        stopped = changed.wait_timeout(stopped, PERIOD).unwrap_or_else(PoisonError::into_inner).0;
        if *stopped {
            return;
        }
        drop(stopped);
        collector.collect();
        stopped = stop.lock().unwrap_or_else(PoisonError::into_inner);
    }
}

/// Copies.
pub(crate) struct Collector {
    prefix: String,
    host: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The series of the last round.
    written: Series,
    /// What the recorder knows of durations, by slot and method.
    told: BTreeMap<(String, usize), Buckets>,
    over: bool,
}

impl Collector {
    /// Copies everything now. Does nothing once the host is gone.
    pub(crate) fn collect(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.over {
            return;
        }
        contained("the recorder of metrics", || {
            ::metrics::with_recorder(|recorder| {
                // Each time: a recorder may have come meanwhile.
                ALL.iter().for_each(|metric| metric.describe(&self.prefix, recorder));
                let State { written, told, .. } = &mut *state;
                let mut round = Round::new(&self.prefix, recorder);
                self.copy(&mut round, told);
                let before = std::mem::take(written);
                *written = round.end(&before);
            });
        });
    }

    /// Every series is over.
    fn retire(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.over = true;
        let written = std::mem::take(&mut state.written);
        contained("the recorder of metrics", || {
            ::metrics::with_recorder(|recorder| drop(Round::new(&self.prefix, recorder).end(&written)));
        });
    }

    fn copy(&self, round: &mut Round<'_>, told: &mut BTreeMap<(String, usize), Buckets>) {
        let happened = self.host.happened();
        round.gauge(&names::READY, &[], self.host.readiness().ready.into());
        let images = |count| i64::try_from(count).unwrap_or(i64::MAX);
        round.gauge(&names::IMAGES_MAPPED, &[], images(budget::mapped()));
        round.gauge(&names::IMAGES_LIMIT, &[], images(self.host.max_images().into()));
        round.counter(&names::CONFIG_REFUSALS, &[], happened.config_refusals);
        for (kind, count) in &happened.file_refusals {
            round.counter(&names::FILE_REFUSALS, &[kind], *count);
        }
        let audit = self.host.audit_ledger().sums();
        for (result, count) in audit.emits.into_iter().flatten() {
            round.counter(&names::EMITS, &[result], count);
        }
        if let Some(hits) = audit.redactions {
            for class in Class::ALL {
                round.counter(&names::REDACTIONS, &[class.name()], hits.of(class));
            }
            round.counter(&names::TRUNCATIONS, &[], hits.cut());
        }
        let none = Default::default();
        for slot in self.host.slots() {
            if slot.current().is_some() || !UNLISTED.contains(&slot.reason().kind) {
                let to = happened.plugins.get(slot.name()).unwrap_or(&none);
                copy_slot(round, &slot, to, told);
                let deliveries = audit.deliveries.get(slot.name());
                for (result, count) in deliveries.into_iter().flat_map(|counts| zip(RESULTS, *counts)) {
                    round.counter(&names::DELIVERIES, &[slot.name(), result], count);
                }
            }
        }
    }
}

fn copy_slot(round: &mut Round<'_>, slot: &Slot, to: &ToPlugin, told: &mut BTreeMap<(String, usize), Buckets>) {
    let (plugin, current, swap) = (slot.name(), slot.current(), slot.swap_status());
    let balance = slot.ledger().balance();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);

    round.gauge(&names::SERVING, &[plugin], current.is_some().into());
    let generation = current.as_ref().map_or(0, |instance| instance.settings.generation);
    round.gauge(&names::GENERATION, &[plugin], i64::try_from(generation).unwrap_or(i64::MAX));
    round.gauge(&names::IN_FLIGHT, &[plugin], balance.in_flight);
    round.gauge(&names::ISOLATED, &[plugin], current.as_ref().is_some_and(|instance| instance.isolated()).into());
    round.gauge(&names::ZOMBIES, &[plugin], number(swap.zombies.len()));
    round.gauge(&names::QUARANTINED, &[plugin], number(swap.quarantine.len()));
    if let Some(instance) = &current {
        let descriptor = &instance.image.descriptor;
        let digest = match &instance.image.origin {
            Origin::File { digest, .. } => digest.map(|digest| digest.to_string()).unwrap_or_default(),
            Origin::InProcess => String::new(),
        };
        let abi = descriptor.abi.version.to_string();
        round.gauge(&names::INFO, &[plugin, &descriptor.version, &digest, &abi], 1);
        if let Some(bytes) = instance.live_heap() {
            round.gauge(&names::LIVE_HEAP, &[plugin], bytes);
        }
    }
    if let Some(bytes) = to.heap_growth {
        round.gauge(&names::RETIRED_HEAP_GROWTH, &[plugin], bytes);
    }
    round.counter(&names::SWAPS, &[plugin], to.swaps);
    round.counter(&names::ISOLATIONS, &[plugin], to.isolations);
    round.counter(&names::EVICTED_TOKENS, &[plugin], balance.totals.evicted);
    for (kind, count) in &to.refusals {
        round.counter(&names::REFUSALS, &[plugin, kind], *count);
    }
    for (kind, count) in &to.rollbacks {
        round.counter(&names::ROLLBACKS, &[plugin, kind], *count);
    }
    let in_calls = balance.totals.methods.iter().map(MethodTotals::panics).sum::<u64>();
    round.counter(&names::PANICS, &[plugin], to.panics + balance.totals.panics + in_calls);
    for method in Method::ALL.into_iter().filter(|method| method.has_default()) {
        // From the first load on, so that a rule sees the first such call.
        let count = balance.totals.methods[method as usize].by_default;
        if count > 0 || current.as_ref().is_some_and(|instance| instance.serves(method.kind())) {
            round.counter(&names::BY_DEFAULT, &[plugin, method.name()], count);
        }
    }
    for method in Method::ALL {
        let totals = &balance.totals.methods[method as usize];
        if totals.outcomes.iter().all(|count| *count == 0) {
            continue;
        }
        for (outcome, count) in NAMES.iter().zip(totals.outcomes) {
            round.counter(&names::CALLS, &[plugin, method.name(), outcome], count);
        }
        let before = told.entry((plugin.to_owned(), method as usize)).or_default();
        round.histogram(&names::CALL_DURATION, &[plugin, method.name()], news(before, &totals.buckets));
        *before = totals.buckets;
    }
}

/// What came to each bucket since the last round, at its mean, which lies in the bucket: so a recorder with the same
/// bounds has the very counts, and any recorder the right sum.
#[expect(clippy::cast_precision_loss, reason = "the mean of durations need not be exact")]
pub(super) fn news(before: &Buckets, now: &Buckets) -> Vec<(f64, u64)> {
    let mut news = Vec::new();
    for (place, (before, now)) in before.iter().zip(now).enumerate() {
        let count = now.0.saturating_sub(before.0);
        if count == 0 {
            continue;
        }
        let mean = now.1.wrapping_sub(before.1) as f64 / 1e9 / count as f64;
        // A thread may have added to one of the two only.
        let (least, most) = bounds(place);
        news.push((mean.clamp(least, most), count));
    }
    news
}

/// Between which values, both in the bucket, it lies.
pub(super) fn bounds(place: usize) -> (f64, f64) {
    let least = place.checked_sub(1).map_or(0.0, |below| DURATION_BUCKETS[below] + 1e-9);
    (least, DURATION_BUCKETS.get(place).copied().unwrap_or(f64::MAX))
}
