//! What happens to a slot when something new is to serve in it: the state machine, and nothing else.
//!
//! [`Machine`] is told events and answers with effects; it does no I/O, knows no time and holds no plugin. The supervisor
//! carries the effects out and tells it what came of them. The table of states and events in `ARCHITECTURE.md` is made
//! from this code, and a test compares them.
//!
//! # Invariants
//!
//! 1. At most two generations of a slot are live: serving, standing by, ending, being created. One that does not end
//!    within its drain limit stops counting.
//! 2. A generation that the machine was told of and that neither serves nor stands by is ended, exactly once
//!    ([`Effect::End`]).
//! 3. A slot that serves goes on serving until a successor is created and healthy, or it is disabled or shut down.

mod machine;
#[cfg(test)]
mod tests;

pub(crate) use machine::Machine;
#[cfg(test)]
use machine::Phase;

/// What a slot may serve next: a build with a configuration.
pub(crate) trait Candidate: Clone + PartialEq {
    /// Whether two instances of it cannot be alive at once.
    fn exclusive(&self) -> bool;
    /// Whether it served before, and is to serve again because its successor was no good: it needs no probation.
    fn is_rollback(&self) -> bool;
    /// The same, as a rollback.
    fn as_rollback(&self) -> Self;
}

/// A generation, by its number in its slot.
pub(crate) type Number = u64;

/// What a slot is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event<C> {
    /// This is what should serve.
    Offered(C),
    /// What serves is what should.
    Withdrawn,
    /// A candidate has passed its checks: verification and preflight.
    Checked(C),
    /// A candidate has not passed its checks.
    Refused(C),
    /// An instance of the candidate was created and is healthy.
    Created(C, Number),
    /// The candidate could not be created, or is not healthy. What served before serves on.
    Failed(C),
    /// Likewise, and what served could not take back what it had given up for it.
    Lost(C),
    /// A generation has ended.
    Ended(Number),
    /// A generation has not ended its calls within its drain limit.
    DrainLimit(Number),
    /// A generation on probation does worse than its predecessor.
    Tripped(Number),
    /// A generation's probation is over.
    ProbationOver(Number),
    /// The operator wants the predecessor back.
    RollBack,
    /// The file of what serves has vanished.
    Orphaned,
    /// The slot is to be empty.
    Disabled,
    /// The host ends.
    Shutdown,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect<C> {
    /// Verify and preflight it.
    Check(C),
    /// Create an instance of it beside whatever serves.
    Create(C),
    /// Create an instance of it in the place of what serves: hold calls, quiesce that, create, or resume.
    HandOver(C),
    /// Calls go to this generation from now on.
    Flip(Number),
    /// Its probation begins.
    Trial(Number),
    /// Its probation has ended well.
    Proven(Number),
    /// It did worse than its predecessor, or the operator said so: its content is not to be tried again.
    Ban(Number),
    /// Drain it, run its shutdown hook, close it.
    End(Number),
    /// Nothing serves from now on.
    Vacate,
    /// This candidate is not pursued: another one came, or none is wanted any more.
    Superseded(C),
}
