//! [`Ledger`]: the tallies of a slot. A generation that is gone leaves its numbers behind, so that they never go back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::tally::{METHODS, Outcome, Tally, Totals};
use crate::instance::Instance;
use crate::method::Method;

/// What a slot's calls came to.
#[derive(Default)]
pub(crate) struct Ledger {
    generations: Mutex<Generations>,
    /// Calls for which there was nothing to call.
    not_serving: [AtomicU64; METHODS],
}

#[derive(Default)]
struct Generations {
    /// Those that are gone.
    ended: Totals,
    alive: Vec<(Weak<Instance>, Arc<Tally>)>,
}

/// What it all comes to.
pub(super) struct Balance {
    pub(super) totals: Totals,
    /// Calls under way.
    pub(super) in_flight: i64,
}

impl Ledger {
    /// A generation serves from now on.
    pub(crate) fn enter(&self, instance: &Arc<Instance>) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        // Back to what stood by: it has been here before.
        if !generations.alive.iter().any(|(_, tally)| Arc::ptr_eq(tally, &instance.tally)) {
            generations.alive.push((Arc::downgrade(instance), Arc::clone(&instance.tally)));
        }
    }

    /// A call found nothing to call.
    pub(crate) fn not_serving(&self, method: Method) {
        self.not_serving[method as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn balance(&self) -> Balance {
        let (mut totals, alive) = {
            let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
            let Generations { ended, alive } = &mut *generations;
            alive.retain_mut(|(_, tally)| {
                // The last of its calls has let go of it: what that one counted is seen.
                let gone = Arc::get_mut(tally).is_some();
                if gone {
                    ended.add(tally);
                }
                !gone
            });
            (ended.clone(), alive.clone())
        };
        let mut in_flight = 0;
        for (instance, tally) in &alive {
            // Without the lock: this may be the last to let go of the instance, whose end is foreign code.
            if let Some(instance) = instance.upgrade() {
                in_flight += instance.in_flight().max(0);
                tally.set_evicted(instance.bridge.evicted());
            }
            totals.add(tally);
        }
        for (method, count) in totals.methods.iter_mut().zip(&self.not_serving) {
            method.outcomes[Outcome::NotServing as usize] += count.load(Ordering::Relaxed);
        }
        Balance { totals, in_flight }
    }
}
