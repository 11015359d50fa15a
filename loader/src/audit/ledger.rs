//! [`Ledger`]: what all fan-outs of a host have counted, for its metrics. One that is gone leaves its numbers behind, so that
//! they never go back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::counters::Emits;
use super::report::Outcome;
use crate::sanitize::{Hits, Sanitizer};

/// Results of a delivery: the names of its outcomes, and one that its caller gave up.
pub(crate) const RESULTS: [&str; Outcome::NAMES.len() + 1] = {
    let mut names = ["abandoned"; Outcome::NAMES.len() + 1];
    let mut place = 0;
    while place < Outcome::NAMES.len() {
        names[place] = Outcome::NAMES[place];
        place += 1;
    }
    names
};

/// What one fan-out counts.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) emits: Emits,
    /// It counts what it replaces.
    pub(super) sanitizer: Option<Sanitizer>,
    /// Whether its events are in the metrics.
    shows_emits: bool,
    /// By name: one that goes and comes back is counted on.
    plugins: Mutex<BTreeMap<Arc<str>, Arc<Deliveries>>>,
}

/// Deliveries to one plugin that have ended.
#[derive(Debug, Default)]
pub(super) struct Deliveries([AtomicU64; RESULTS.len()]);

impl Deliveries {
    pub(super) fn count(&self, outcome: &Outcome) {
        self.0[outcome.place()].fetch_add(1, Ordering::Relaxed);
    }

    /// Its caller gave it up.
    pub(super) fn abandoned(&self) {
        self.0[RESULTS.len() - 1].fetch_add(1, Ordering::Relaxed);
    }

    /// By result, in the order of [`RESULTS`].
    pub(super) fn read(&self) -> [u64; RESULTS.len()] {
        std::array::from_fn(|place| self.0[place].load(Ordering::Relaxed))
    }
}

impl Tally {
    pub(super) fn new(sanitizer: Option<Sanitizer>, shows_emits: bool) -> Self {
        Self { emits: Emits::default(), sanitizer, shows_emits, plugins: Mutex::default() }
    }

    pub(super) fn of(&self, plugin: &str) -> Arc<Deliveries> {
        let mut plugins = self.plugins.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(plugins.entry(plugin.into()).or_default())
    }
}

/// What the fan-outs of a host come to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sums {
    /// Events by result; none if no fan-out shows them.
    pub(crate) emits: Option<[(&'static str, u64); 3]>,
    /// None if no fan-out sanitises.
    pub(crate) redactions: Option<Hits>,
    /// By plugin and, in the order of [`RESULTS`], result.
    pub(crate) deliveries: BTreeMap<Arc<str>, [u64; RESULTS.len()]>,
}

impl Sums {
    fn add(&mut self, tally: &Tally) {
        if tally.shows_emits {
            let now = tally.emits.read();
            match &mut self.emits {
                Some(sums) => std::iter::zip(sums, now).for_each(|((_, sum), (_, count))| *sum += count),
                sums => *sums = Some(now),
            }
        }
        if let Some(sanitizer) = &tally.sanitizer {
            self.redactions.get_or_insert_default().add(&sanitizer.hits());
        }
        for (plugin, deliveries) in &*tally.plugins.lock().unwrap_or_else(PoisonError::into_inner) {
            let sums = self.deliveries.entry(Arc::clone(plugin)).or_default();
            std::iter::zip(sums, deliveries.read()).for_each(|(sum, count)| *sum += count);
        }
    }
}

/// The tallies of a host's fan-outs.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<Tallies>);

#[derive(Debug, Default)]
struct Tallies {
    /// Those that are gone.
    ended: Sums,
    alive: Vec<Arc<Tally>>,
}

impl Ledger {
    /// A fan-out begins.
    pub(super) fn enter(&self, tally: &Arc<Tally>) {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.settle();
        tallies.alive.push(Arc::clone(tally));
    }

    pub(crate) fn sums(&self) -> Sums {
        let mut tallies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tallies.settle();
        let mut sums = tallies.ended.clone();
        tallies.alive.iter().for_each(|tally| sums.add(tally));
        sums
    }
}

impl Tallies {
    fn settle(&mut self) {
        let Self { ended, alive } = self;
        alive.retain_mut(|tally| {
            // Only its fan-out counts in it, and that is gone.
            let gone = Arc::get_mut(tally).is_some();
            if gone {
                ended.add(tally);
            }
            !gone
        });
    }
}
