//! [`Machine`]: one slot's states.

use super::{Candidate, Effect, Event, Number};

/// How far a candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Checking,
    /// It has passed its checks and waits until there is room for it.
    Passed,
    Creating,
}

#[derive(Debug, Clone, PartialEq)]
struct UnderWay<C> {
    candidate: C,
    step: Step,
    /// False: it is ended as soon as it has been created.
    wanted: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Generation<C> {
    number: Number,
    of: C,
}

/// What a slot is doing, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Nothing serves, nothing is under way.
    Empty,
    /// Nothing serves, a candidate is under way.
    Starting,
    /// A proven generation serves.
    Serving,
    /// Likewise, and a candidate is under way.
    Replacing,
    /// A new generation serves, on probation.
    Probation,
    /// Likewise, and a candidate is in its checks.
    ProbationReplacing,
    /// A proven generation serves, a predecessor is ending.
    Draining,
    /// Likewise, and a candidate is under way, or waits for the end.
    DrainingReplacing,
    /// Nothing serves, what served is ending.
    Stopping,
    /// The host has ended it.
    Ended,
}

impl Phase {
    /// The word for it in a status.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Starting => "starting",
            Self::Serving => "serving",
            Self::Replacing => "replacing",
            Self::Probation => "probation",
            Self::ProbationReplacing => "probation-replacing",
            Self::Draining => "draining",
            Self::DrainingReplacing => "draining-replacing",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
        }
    }
}

/// One slot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Machine<C> {
    serving: Option<Generation<C>>,
    /// What serves is on probation.
    trial: bool,
    /// The predecessor of what serves, alive, during probation.
    standby: Option<Generation<C>>,
    /// What served before what serves.
    previous: Option<C>,
    ending: Vec<Number>,
    under_way: Option<UnderWay<C>>,
    /// Waits until what is under way is done; the latest wins.
    next: Option<C>,
    shut_down: bool,
}

impl<C> Default for Machine<C> {
    fn default() -> Self {
        Self {
            serving: None,
            trial: false,
            standby: None,
            previous: None,
            ending: Vec::new(),
            under_way: None,
            next: None,
            shut_down: false,
        }
    }
}

impl<C: Candidate> Machine<C> {
    /// What it is doing.
    pub(crate) fn phase(&self) -> Phase {
        let busy = self.under_way.as_ref().is_some_and(|under_way| under_way.wanted);
        match (&self.serving, self.trial, self.ending.is_empty()) {
            _ if self.shut_down => Phase::Ended,
            (None, _, _) if busy => Phase::Starting,
            (None, _, true) => Phase::Empty,
            (None, _, false) => Phase::Stopping,
            (Some(_), true, _) if busy => Phase::ProbationReplacing,
            (Some(_), true, _) => Phase::Probation,
            (Some(_), false, false) if busy => Phase::DrainingReplacing,
            (Some(_), false, false) => Phase::Draining,
            (Some(_), false, true) if busy => Phase::Replacing,
            (Some(_), false, true) => Phase::Serving,
        }
    }

    /// The candidate of what serves.
    pub(crate) fn serving(&self) -> Option<&C> {
        self.serving.as_ref().map(|generation| &generation.of)
    }

    /// The candidate that is under way and wanted.
    pub(crate) fn under_way(&self) -> Option<&C> {
        self.under_way.as_ref().filter(|under_way| under_way.wanted).map(|under_way| &under_way.candidate)
    }

    /// Whether this candidate is in its checks.
    pub(crate) fn checks(&self, candidate: &C) -> bool {
        let step = |under_way: &UnderWay<C>| under_way.step == Step::Checking && under_way.candidate == *candidate;
        self.under_way.as_ref().is_some_and(step)
    }

    /// The number of what stands by.
    #[cfg(test)]
    pub(crate) fn standby(&self) -> Option<Number> {
        self.standby.as_ref().map(|generation| generation.number)
    }

    /// What would serve after a rollback.
    pub(crate) fn rollback_to(&self) -> Option<&C> {
        self.standby.as_ref().map(|generation| &generation.of).or(self.previous.as_ref())
    }

    /// Takes an event in, and says what is to be done, in this order.
    pub(crate) fn on(&mut self, event: Event<C>) -> Vec<Effect<C>> {
        let mut effects = Vec::new();
        match event {
            Event::Offered(candidate) => self.offered(candidate, &mut effects),
            Event::Withdrawn => self.withdrawn(&mut effects),
            Event::Checked(candidate) => {
                if let Some(under_way) = self.is_under_way(&candidate, Step::Checking) {
                    under_way.step = Step::Passed;
                }
            }
            Event::Refused(candidate) => {
                if self.is_under_way(&candidate, Step::Checking).is_some() {
                    self.under_way = None;
                }
            }
            Event::Created(candidate, number) => self.created(candidate, number, &mut effects),
            Event::Failed(candidate) => {
                if self.is_under_way(&candidate, Step::Creating).is_some() {
                    self.under_way = None;
                }
            }
            Event::Lost(candidate) => self.lost(&candidate, &mut effects),
            Event::Ended(number) | Event::DrainLimit(number) => self.ending.retain(|ending| *ending != number),
            Event::Tripped(number) => {
                if self.trial && self.serves(number) {
                    self.roll_back(&mut effects);
                }
            }
            Event::ProbationOver(number) => {
                if self.serves(number) {
                    self.prove(&mut effects);
                }
            }
            Event::RollBack => self.roll_back(&mut effects),
            // What serves serves on.
            Event::Orphaned => {}
            Event::Disabled => self.empty(&mut effects),
            Event::Shutdown => {
                self.empty(&mut effects);
                self.shut_down = true;
            }
        }
        self.advance(&mut effects);
        effects
    }

    fn offered(&mut self, candidate: C, effects: &mut Vec<Effect<C>>) {
        if self.shut_down {
            effects.push(Effect::Superseded(candidate));
            return;
        }
        if self.under_way.as_ref().is_some_and(|under_way| under_way.wanted && under_way.candidate == candidate) {
            effects.extend(self.next.take().map(Effect::Superseded));
            return;
        }
        let waited = self.next.replace(candidate);
        effects.extend(waited.map(Effect::Superseded));
        self.drop_unless_creating(effects);
    }

    fn withdrawn(&mut self, effects: &mut Vec<Effect<C>>) {
        effects.extend(self.next.take().map(Effect::Superseded));
        self.drop_unless_creating(effects);
        if let Some(under_way) = &mut self.under_way
            && std::mem::take(&mut under_way.wanted)
        {
            effects.push(Effect::Superseded(under_way.candidate.clone()));
        }
    }

    /// A candidate in its checks can be left; one that is being created cannot.
    fn drop_unless_creating(&mut self, effects: &mut Vec<Effect<C>>) {
        let left = self.under_way.take_if(|under_way| under_way.step != Step::Creating);
        effects.extend(left.map(|left| Effect::Superseded(left.candidate)));
    }

    fn created(&mut self, candidate: C, number: Number, effects: &mut Vec<Effect<C>>) {
        let wanted = self.is_under_way(&candidate, Step::Creating).is_some_and(|under_way| under_way.wanted);
        if self.is_under_way(&candidate, Step::Creating).is_some() {
            self.under_way = None;
        }
        if !wanted {
            self.end(number, effects);
            return;
        }
        let (exclusive, rollback) = (self.exclusive(&candidate), candidate.is_rollback());
        effects.push(Effect::Flip(number));
        let Some(old) = self.serving.replace(Generation { number, of: candidate }) else {
            self.trial = false;
            return;
        };
        self.trial = !rollback;
        self.previous = (!rollback).then(|| old.of.clone());
        if exclusive || rollback {
            self.end(old.number, effects);
        } else {
            self.standby = Some(old);
        }
        if self.trial {
            effects.push(Effect::Trial(number));
        }
    }

    fn lost(&mut self, candidate: &C, effects: &mut Vec<Effect<C>>) {
        if self.is_under_way(candidate, Step::Creating).is_none() {
            return;
        }
        self.under_way = None;
        if let Some(lost) = self.serving.take() {
            effects.push(Effect::Vacate);
            self.end(lost.number, effects);
            self.trial = false;
            // It was good: it is started anew, unless something newer waits.
            self.next.get_or_insert(lost.of.as_rollback());
        }
    }

    fn roll_back(&mut self, effects: &mut Vec<Effect<C>>) {
        let Some(serving) = self.serving.as_ref().map(|generation| generation.number) else { return };
        if let Some(standby) = self.standby.take() {
            effects.push(Effect::Flip(standby.number));
            effects.push(Effect::Ban(serving));
            self.serving = Some(standby);
            self.end(serving, effects);
        } else if let Some(previous) = &self.previous {
            effects.push(Effect::Ban(serving));
            // Whatever is under way replaces what serves as well as the predecessor would.
            if self.under_way.is_none() {
                self.next.get_or_insert(previous.as_rollback());
            }
        }
        self.trial = false;
        self.previous = None;
    }

    /// The probation has ended well.
    fn prove(&mut self, effects: &mut Vec<Effect<C>>) {
        if let (true, Some(serving)) = (std::mem::take(&mut self.trial), &self.serving) {
            effects.push(Effect::Proven(serving.number));
        }
        if let Some(standby) = self.standby.take() {
            self.end(standby.number, effects);
        }
    }

    fn empty(&mut self, effects: &mut Vec<Effect<C>>) {
        self.withdrawn(effects);
        self.trial = false;
        self.previous = None;
        if let Some(serving) = self.serving.take() {
            effects.push(Effect::Vacate);
            self.end(serving.number, effects);
        }
        if let Some(standby) = self.standby.take() {
            self.end(standby.number, effects);
        }
    }

    /// Goes on with a candidate as far as there is room.
    fn advance(&mut self, effects: &mut Vec<Effect<C>>) {
        if self.under_way.is_none()
            && let Some(candidate) = self.next.take()
        {
            effects.push(Effect::Check(candidate.clone()));
            self.under_way = Some(UnderWay { candidate, step: Step::Checking, wanted: true });
        }
        if self.under_way.as_ref().is_none_or(|under_way| under_way.step != Step::Passed) {
            return;
        }
        // A candidate that has passed its checks ends the running probation.
        self.prove(effects);
        // Invariant 1.
        let live = usize::from(self.serving.is_some()) + self.ending.len();
        let replaces = self.serving.is_some();
        let exclusive = self.under_way.as_ref().is_some_and(|under_way| self.exclusive(&under_way.candidate));
        if live > 1 || (exclusive && !self.ending.is_empty()) {
            return;
        }
        let Some(under_way) = &mut self.under_way else { return };
        under_way.step = Step::Creating;
        let candidate = under_way.candidate.clone();
        effects.push(if exclusive && replaces { Effect::HandOver(candidate) } else { Effect::Create(candidate) });
    }

    fn end(&mut self, number: Number, effects: &mut Vec<Effect<C>>) {
        self.ending.push(number);
        effects.push(Effect::End(number));
    }

    /// Whether what serves and its successor cannot be alive side by side.
    fn exclusive(&self, successor: &C) -> bool {
        successor.exclusive() || self.serving.as_ref().is_some_and(|serving| serving.of.exclusive())
    }

    fn serves(&self, number: Number) -> bool {
        self.serving.as_ref().is_some_and(|generation| generation.number == number)
    }

    fn is_under_way(&mut self, candidate: &C, step: Step) -> Option<&mut UnderWay<C>> {
        self.under_way.as_mut().filter(|under_way| under_way.step == step && under_way.candidate == *candidate)
    }
}
