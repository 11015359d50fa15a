//! The models.

mod door;
mod gate;
mod links;

/// Every order of events with at most this many preemptions; more never mattered to such small protocols, and takes hours.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
