//! When a plugin is left alone: a circuit breaker. Pure: whoever uses it brings the time.
//!
//! | state | what happens | becomes |
//! | --- | --- | --- |
//! | closed | so many failures, or Permanents, in a row | open |
//! | open | its pause passes, and somebody comes | half open: that one is the probe |
//! | half open | the probe succeeds | closed |
//! | half open | the probe fails | open, for twice the pause |
//! | half open | the probe's answer is Permanent | open, for the first pause: it answers |
//! | half open | the probe is given up | open, for the same pause |
//! | any | another build serves | closed |
//!
//! Permanents have a count of their own: a single one says that an event is bad, many in a row that the plugin is, and one
//! that is would send every event to the dead letters.

use std::time::{Duration, Instant};

use crate::config::AuditDelivery;

/// The longest pause, unless the first one is longer.
const LONGEST: Duration = Duration::from_secs(60);

/// Which settings of [`AuditDelivery`] it goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) failures: u32,
    pub(super) permanents: u32,
    pub(super) pause: Duration,
}

impl From<&AuditDelivery> for Rule {
    fn from(settings: &AuditDelivery) -> Self {
        Self { failures: settings.failures, permanents: settings.permanents, pause: settings.open_for }
    }
}

/// What a delivery said of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    Failed,
    Permanent,
    /// It was given up before there was an answer.
    Unknown,
}

/// Whether a delivery may begin. The number goes with it, back to [`Breaker::record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Pass(u64),
    /// It decides.
    Probe(u64),
    Refused,
}

/// What a delivery has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// For so long, and whether it was closed before.
    Opened {
        pause: Duration,
        anew: bool,
    },
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32, permanents: u32 },
    Open { until: Instant, pause: Duration },
    HalfOpen { pause: Duration },
}

/// The breaker of one plugin.
#[derive(Debug)]
pub(super) struct Breaker {
    state: State,
    /// Changes with the state: what began in another one says nothing of this one.
    epoch: u64,
    /// It has taken an event since it was closed.
    proven: bool,
}

const CLOSED: State = State::Closed { failures: 0, permanents: 0 };

impl Breaker {
    pub(super) fn new() -> Self {
        Self { state: CLOSED, epoch: 0, proven: false }
    }

    /// The name of the state.
    pub(super) fn name(&self) -> &'static str {
        match self.state {
            State::Closed { .. } => "closed",
            State::Open { .. } => "open",
            State::HalfOpen { .. } => "half_open",
        }
    }

    /// The number that deliveries have now, if it is closed and the plugin's last answer was a good one.
    pub(super) fn clean(&self) -> Option<u64> {
        (self.proven && self.state == CLOSED).then_some(self.epoch)
    }

    /// Another build serves.
    pub(super) fn reset(&mut self) {
        self.enter(CLOSED);
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.epoch += 1;
        self.proven = false;
    }

    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Pass(self.epoch),
            State::Open { until, pause } if until <= now => {
                self.enter(State::HalfOpen { pause });
                Admission::Probe(self.epoch)
            }
            State::Open { .. } | State::HalfOpen { .. } => Admission::Refused,
        }
    }

    pub(super) fn record(&mut self, epoch: u64, verdict: Verdict, now: Instant, rule: Rule) -> Change {
        if epoch != self.epoch {
            return Change::None;
        }
        match &mut self.state {
            State::Closed { failures, permanents } => {
                let (count, limit) = match verdict {
                    Verdict::Unknown => return Change::None,
                    Verdict::Good => {
                        (*failures, *permanents) = (0, 0);
                        self.proven = true;
                        return Change::None;
                    }
                    Verdict::Failed => (failures, rule.failures),
                    Verdict::Permanent => (permanents, rule.permanents),
                };
                *count = count.saturating_add(1);
                if limit == 0 || *count < limit {
                    return Change::None;
                }
                self.open(rule.pause, now, true)
            }
            State::HalfOpen { pause } => {
                let pause = *pause;
                match verdict {
                    Verdict::Good => {
                        self.enter(CLOSED);
                        self.proven = true;
                        Change::Closed
                    }
                    Verdict::Failed => self.open((pause * 2).min(LONGEST.max(rule.pause)), now, false),
                    Verdict::Permanent => self.open(rule.pause, now, false),
                    Verdict::Unknown => self.open(pause, now, false),
                }
            }
            State::Open { .. } => unreachable!("nothing is admitted while it is open"),
        }
    }

    fn open(&mut self, pause: Duration, now: Instant, anew: bool) -> Change {
        self.enter(State::Open { until: now + pause, pause });
        Change::Opened { pause, anew }
    }
}
