//! [`Round`]: one try to deliver one event.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Shared;
use super::counters::Emits;
use super::delivery::Delivery;
use super::event::{AuditEvent, Cancel, EventKey};
use super::lookout::Lookout;
use super::member::Member;
use super::memory::{Past, StuckRule};
use super::relay::Relay;
use super::report::{AuditReport, Outcome, PluginDelivery};
use super::roster::Members;
use crate::call::CallOptions;
use crate::housekeeping;

/// One try to deliver one event. Dropped before its end, it was given up.
pub(super) struct Round<'f> {
    shared: &'f Arc<Shared>,
    key: EventKey,
    members: Members,
    cancel: Cancel,
    outcomes: Vec<Option<Outcome>>,
    ended: bool,
}

impl<'f> Round<'f> {
    pub(super) fn new(shared: &'f Arc<Shared>, key: EventKey, members: Members, cancel: Cancel) -> Self {
        let outcomes = vec![None; members.len()];
        Self { shared, key, members, cancel, outcomes, ended: false }
    }

    pub(super) async fn run<E: AuditEvent>(mut self, event: E) -> AuditReport {
        let mut deliveries = self.admit(&event);
        if deliveries.len() > 1 {
            // Those first that may block, and hence run on their plugins' own threads: they run while the others do.
            for delivery in deliveries.iter_mut().filter(|delivery| !delivery.pass.clean) {
                delivery.isolate();
            }
            deliveries.sort_by_key(|delivery| delivery.pass.clean);
            Several::new(&self.shared.lookout, deliveries, (event, self.cancel.clone()), &mut self.outcomes).await;
        } else if let Some(delivery) = deliveries.pop() {
            // It stands in nobody's way.
            let place = delivery.place;
            self.outcomes[place] = Some(delivery.alone(event, self.cancel.clone()).await);
        }
        self.end()
    }

    /// Who gets the event now; the outcomes of the others are known at once.
    fn admit<E: AuditEvent>(&mut self, event: &E) -> Vec<Delivery<'static>> {
        let past = self.shared.memory.recall(&self.key);
        let mut of_all = CallOptions::with_current(|options| options.cloned().unwrap_or_default());
        if of_all.key().is_empty() {
            of_all.share_idempotency_key(self.key.text());
        }
        let (clock, now) = (&self.shared.clock, self.shared.clock.now());
        let mut deliveries = Vec::with_capacity(self.members.len());
        for (place, member) in self.members.iter().enumerate() {
            let past = past.iter().find(|(plugin, _)| *plugin == member.name).map(|(_, past)| *past);
            self.outcomes[place] = match past {
                Some(Past::Accepted) => Some(Outcome::AlreadyAccepted),
                Some(Past::Stuck(refusals)) => {
                    Some(Outcome::Stuck { refusals: refusals.count, last: "refused at an earlier try".to_owned() })
                }
                Some(Past::Refused(_)) | None => {
                    let mut options = of_all.clone();
                    if let Some(Past::Refused(refusals)) = past {
                        options.attempt = refusals.count.saturating_add(1);
                    }
                    match member.admit(clock, now) {
                        Ok(pass) if pass.probe => {
                            self.probe(Delivery::new(place, options, pass), event.clone());
                            Some(Outcome::BreakerOpen { probing: true })
                        }
                        Ok(pass) => {
                            deliveries.push(Delivery::new(place, options, pass));
                            None
                        }
                        Err(outcome) => Some(outcome),
                    }
                }
            };
        }
        deliveries
    }

    /// Tries whether a plugin is well again, on a thread that nobody waits for: what has blocked may block again.
    fn probe<E: AuditEvent>(&self, mut delivery: Delivery<'static>, event: E) {
        let (shared, key, cancel) = (Arc::clone(self.shared), self.key, self.cancel.clone());
        let member = Arc::clone(delivery.member());
        delivery.isolate();
        let probe = move || {
            let outcome = futures_executor::block_on(delivery.alone(event, cancel));
            shared.note(key, &member, &outcome);
        };
        // A thread that cannot be had drops the pass: the next one that comes tries again, after another pause.
        drop(housekeeping::run("mini-chat-audit-probe", probe));
    }

    fn end(mut self) -> AuditReport {
        self.ended = true;
        let delivery = |(member, outcome): (&Arc<Member>, Option<Outcome>)| PluginDelivery {
            plugin: Arc::clone(&member.name),
            required: member.required,
            outcome: outcome.expect("each delivery has ended"),
        };
        let outcomes = std::mem::take(&mut self.outcomes);
        let deliveries = std::iter::zip(&*self.members, outcomes).map(delivery).collect();
        let mut report = AuditReport { deliveries };
        let result = report.result();
        Emits::add(if result.is_ok() { &self.shared.tally.emits.ok } else { &self.shared.tally.emits.failed });
        if result.is_ok() {
            // Nobody tries again.
            self.shared.memory.forget(&self.key);
        } else {
            for (member, delivery) in std::iter::zip(&*self.members, &mut report.deliveries) {
                if let Some(refusals) = self.shared.note(self.key, member, &delivery.outcome) {
                    tracing::warn!(plugin = &*member.name, event = %self.key, "event is given up for this audit plugin");
                    let last = delivery.outcome.to_string();
                    delivery.outcome = Outcome::Stuck { refusals, last };
                }
            }
        }
        for (member, delivery) in std::iter::zip(&*self.members, &report.deliveries) {
            member.count(&delivery.outcome);
        }
        report
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        Emits::add(&self.shared.tally.emits.failed);
        for (member, outcome) in std::iter::zip(&*self.members, &self.outcomes) {
            match outcome {
                Some(outcome) => {
                    self.shared.note(self.key, member, outcome);
                    member.count(outcome);
                }
                None => member.abandoned(),
            }
        }
    }
}

impl Shared {
    /// Remembers an outcome for the next try. How often the plugin has refused the event, if it is stuck now.
    fn note(&self, key: EventKey, member: &Member, outcome: &Outcome) -> Option<u32> {
        match outcome {
            Outcome::Accepted => self.memory.accepted(key, &member.name),
            Outcome::Transient(_) | Outcome::Timeout => {
                let rule = StuckRule::from(&member.settings);
                return self.memory.refused(key, &member.name, self.clock.now(), rule).map(|refusals| refusals.count);
            }
            // These were not asked, are known already, or are asked again.
            _ => {}
        }
        None
    }
}

/// The deliveries of one event to several plugins, as its caller polls them. Ready when each has its outcome.
struct Several<'r, E: AuditEvent> {
    relay: Arc<Relay<E>>,
    lookout: &'r Lookout,
    outcomes: &'r mut [Option<Outcome>],
    places: usize,
    /// How many have no outcome yet.
    left: usize,
    /// What those that are pending wake.
    waker: Option<Waker>,
}

impl<'r, E: AuditEvent> Several<'r, E> {
    fn new(
        lookout: &'r Lookout,
        deliveries: Vec<Delivery<'static>>,
        event: (E, Cancel),
        outcomes: &'r mut [Option<Outcome>],
    ) -> Self {
        let places = deliveries.len();
        let relay = Arc::new(Relay::new(event, deliveries));
        Self { relay, lookout, outcomes, places, left: places, waker: None }
    }

    fn ended(&mut self, place: usize, outcome: Outcome) {
        self.outcomes[place] = Some(outcome);
        self.left -= 1;
    }

    fn gather(&mut self, found: Vec<(usize, Outcome)>) {
        found.into_iter().for_each(|(place, outcome)| self.ended(place, outcome));
    }
}

impl<E: AuditEvent> Future for Several<'_, E> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let _seat = this.lookout.watch(Arc::clone(&this.relay) as _);
        let another_waker = this.waker.as_ref().is_some_and(|waker| !waker.will_wake(cx.waker()));
        for place in 0..this.places {
            let Some(mut delivery) = this.relay.take(place, another_waker) else { continue };
            if !delivery.has_begun() {
                this.relay.begin(&mut delivery);
            }
            match delivery.poll(cx) {
                Poll::Ready(outcome) => this.ended(delivery.place, outcome),
                Poll::Pending => this.relay.put_back(place, delivery),
            }
        }
        if this.left > 0 {
            // Before it looks: what is found afterwards wakes it.
            this.relay.round.register(cx.waker());
            this.gather(this.relay.found());
        }
        if this.left == 0 {
            return Poll::Ready(());
        }
        if another_waker || this.waker.is_none() {
            this.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl<E: AuditEvent> Drop for Several<'_, E> {
    fn drop(&mut self) {
        if self.left > 0 {
            self.gather(self.relay.give_up());
        }
        // Invariant 4 of the relay.
        drop(self.relay.round.take());
    }
}
