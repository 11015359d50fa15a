//! How an instance does: its failures by class, and whether it does worse than its predecessor while on probation.
//!
//! Failures are rare, and judged on the thread of the call that failed; a call that succeeds pays nothing for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;

use crate::config::Probation;
use crate::counter::Sharded;

/// What a failure says of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// It panicked.
    Panic,
    /// It passed its deadline.
    Deadline,
    /// It answered `Internal` or `Permanent`, or something that cannot be expressed.
    Error,
    /// Nothing: not found, to be tried again, cancelled, stopped.
    Other,
}

/// Failures by class.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    panics: Sharded,
    deadlines: Sharded,
    errors: Sharded,
}

impl Failures {
    fn of(&self, class: Class) -> Option<&Sharded> {
        match class {
            Class::Panic => Some(&self.panics),
            Class::Deadline => Some(&self.deadlines),
            Class::Error => Some(&self.errors),
            Class::Other => None,
        }
    }

    pub(crate) fn add(&self, class: Class) {
        if let Some(counter) = self.of(class) {
            counter.add(1);
        }
    }

    pub(crate) fn count(&self, class: Class) -> i64 {
        self.of(class).map_or(0, Sharded::sum)
    }
}

/// How the predecessor did, as shares of its calls.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shares {
    panics: f64,
    deadlines: f64,
    errors: f64,
}

impl Shares {
    pub(crate) fn of(failures: &Failures, calls: i64) -> Self {
        let share = |class| ratio(failures.count(class), calls);
        Self { panics: share(Class::Panic), deadlines: share(Class::Deadline), errors: share(Class::Error) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share need not be exact")]
fn ratio(count: i64, calls: i64) -> f64 {
    count as f64 / calls.max(1) as f64
}

/// How much larger than the predecessor's a share of errors may be: callers make errors, too.
const ERRORS_ALLOWED: f64 = 0.05;

/// One probation.
pub(crate) struct Trial {
    rule: Probation,
    before: Shares,
    tripped: AtomicBool,
    tell: Box<dyn Fn(String) + Send + Sync>,
}

impl Trial {
    pub(crate) fn new(rule: Probation, before: Shares, tell: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self { rule, before, tripped: AtomicBool::new(false), tell: Box::new(tell) }
    }

    /// Looks at the counts after a failure of `class`.
    pub(crate) fn judge(&self, class: Class, failures: &Failures, calls: i64) {
        let (least, before, allowed, what) = match class {
            Class::Panic => (self.rule.panics, self.before.panics, 0.0, "panics"),
            Class::Deadline => (self.rule.deadlines, self.before.deadlines, 0.0, "passed deadlines"),
            Class::Error => (self.rule.errors, self.before.errors, ERRORS_ALLOWED, "errors"),
            Class::Other => return,
        };
        let count = failures.count(class);
        let share = ratio(count, calls);
        if least == 0 || count < i64::from(least) || share <= 2.0 * before + allowed {
            return;
        }
        if !self.tripped.swap(true, Ordering::Relaxed) {
            (self.tell)(format!(
                "{count} {what} in {calls} calls ({:.2} %), its predecessor had {:.2} %",
                share * 100.0,
                before * 100.0
            ));
        }
    }
}

impl std::fmt::Debug for Trial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trial").field("rule", &self.rule).field("before", &self.before).finish_non_exhaustive()
    }
}

/// The probation of an instance, if it is on one.
#[derive(Debug, Default)]
pub(crate) struct OnTrial(ArcSwapOption<Trial>);

impl OnTrial {
    pub(crate) fn begin(&self, trial: Trial) {
        self.0.store(Some(Arc::new(trial)));
    }

    pub(crate) fn end(&self) {
        self.0.store(None);
    }

    pub(crate) fn current(&self) -> Option<Arc<Trial>> {
        self.0.load_full()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn told(class: Class, failures: i64, calls: i64, before: (i64, i64)) -> Option<String> {
        let said = Arc::new(Mutex::new(None));
        let (old, new) = (Failures::default(), Failures::default());
        (0..before.0).for_each(|_| old.add(class));
        let says = Arc::clone(&said);
        let trial = Trial::new(Probation::default(), Shares::of(&old, before.1), move |why| {
            assert!(says.lock().unwrap().replace(why).is_none(), "told once");
        });
        for _ in 0..failures {
            new.add(class);
            trial.judge(class, &new, calls);
        }
        said.lock().unwrap().take()
    }

    #[test]
    fn a_panic_or_two_is_not_enough() {
        assert_eq!(told(Class::Panic, 2, 10, (0, 1000)), None);
        assert!(told(Class::Panic, 5, 50, (0, 1000)).unwrap().contains("3 panics in 50 calls"));
    }

    #[test]
    fn errors_that_the_predecessor_made_as_often_are_not_held_against_it() {
        assert_eq!(told(Class::Error, 300, 1000, (200, 1000)), None);
        assert!(told(Class::Error, 1000, 1000, (200, 1000)).is_some());
    }

    #[test]
    fn few_errors_among_many_calls_are_the_callers() {
        assert_eq!(told(Class::Error, 40, 1000, (0, 1000)), None);
        assert!(told(Class::Error, 60, 1000, (0, 1000)).is_some());
        assert_eq!(told(Class::Error, 19, 19, (0, 0)), None, "too few calls to say");
    }

    #[test]
    fn what_may_happen_to_a_good_plugin_counts_for_nothing() {
        assert_eq!(told(Class::Other, 1000, 1000, (0, 1000)), None);
    }
}
