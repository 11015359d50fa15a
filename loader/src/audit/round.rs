//! [`Round`]: one try to deliver one event.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::Shared;
use super::counters::Emits;
use super::event::{AuditEvent, EventKey};
use super::member::{Member, Pass};
use super::memory::{Past, StuckRule};
use super::report::{AuditReport, Outcome, PluginDelivery};
use super::roster::Members;
use crate::call::CallOptions;
use crate::housekeeping;

/// A delivery under way; gives the place of the plugin, and what became of it.
type Delivering = Pin<Box<dyn Future<Output = (usize, Outcome)> + Send>>;

/// One try to deliver one event. Dropped before its end, it was given up.
pub(super) struct Round<'f> {
    shared: &'f Arc<Shared>,
    key: EventKey,
    members: Members,
    outcomes: Vec<Option<Outcome>>,
    ended: bool,
}

/// A delivery that is to begin.
struct Going {
    place: usize,
    pass: Pass,
    options: CallOptions,
}

impl<'f> Round<'f> {
    pub(super) fn new(shared: &'f Arc<Shared>, key: EventKey, members: Members) -> Self {
        let outcomes = vec![None; members.len()];
        Self { shared, key, members, outcomes, ended: false }
    }

    pub(super) async fn run<E: AuditEvent>(mut self, event: E) -> AuditReport {
        let mut going = self.admit(&event);
        // The one that the caller polls is the last to begin. A single one stands in nobody's way.
        let polled = going.iter().rposition(|going| going.pass.member.is_clean());
        let alone = going.len() == 1;
        if let Some(polled) = polled {
            let last = going.remove(polled);
            going.push(last);
        }
        let last = going.pop();
        let mut delivering = FuturesUnordered::new();
        for one in going {
            delivering.push(deliver(one, event.clone(), true));
        }
        if let Some(last) = last {
            let last = deliver(last, event, !alone && polled.is_none());
            if alone {
                let (place, outcome) = last.await;
                self.outcomes[place] = Some(outcome);
            } else {
                delivering.push(last);
            }
        }
        while let Some((place, outcome)) = delivering.next().await {
            self.outcomes[place] = Some(outcome);
        }
        self.end()
    }

    /// Who gets the event now; the outcomes of the others are known at once.
    fn admit<E: AuditEvent>(&mut self, event: &E) -> Vec<Going> {
        let past = self.shared.memory.recall(&self.key);
        let options = CallOptions::with_current(|options| options.cloned().unwrap_or_default());
        let key =
            if options.idempotency_key.is_empty() { self.key.to_string() } else { options.idempotency_key.clone() };
        let options = options.idempotency_key(key);
        let mut going = Vec::with_capacity(self.members.len());
        for (place, member) in self.members.iter().enumerate() {
            let past = past.iter().find(|(plugin, _)| *plugin == member.name).map(|(_, past)| *past);
            let mut options = options.clone();
            self.outcomes[place] = match past {
                Some(Past::Accepted) => Some(Outcome::AlreadyAccepted),
                Some(Past::Stuck(refusals)) => {
                    Some(Outcome::Stuck { refusals: refusals.count, last: "refused at an earlier try".to_owned() })
                }
                Some(Past::Refused(_)) | None => {
                    if let Some(Past::Refused(refusals)) = past {
                        options.attempt = refusals.count.saturating_add(1);
                    }
                    match member.admit(&self.shared.clock) {
                        Ok(pass) if pass.probe => {
                            self.probe(Going { place, pass, options }, event.clone());
                            Some(Outcome::BreakerOpen { probing: true })
                        }
                        Ok(pass) => {
                            going.push(Going { place, pass, options });
                            None
                        }
                        Err(outcome) => Some(outcome),
                    }
                }
            };
        }
        going
    }

    /// Tries whether a plugin is well again, on a thread that nobody waits for: what has blocked may block again.
    fn probe<E: AuditEvent>(&self, going: Going, event: E) {
        let (shared, key) = (Arc::clone(self.shared), self.key);
        let member = Arc::clone(&going.pass.member);
        let probe = move || {
            let (_, outcome) = futures_executor::block_on(deliver(going, event, true));
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
                return self.memory.refused(key, &member.name, (self.clock)(), rule).map(|refusals| refusals.count);
            }
            // These were not asked, are known already, or are asked again.
            _ => {}
        }
        None
    }
}

/// The delivery to one plugin. Nothing happens before it is polled.
fn deliver<E: AuditEvent>(going: Going, event: E, isolated: bool) -> Delivering {
    let Going { place, pass, options } = going;
    let options = CallOptions { isolated, ..options };
    Box::pin(async move {
        let mut pass = pass;
        let member = Arc::clone(&pass.member);
        let mut emitting = std::pin::pin!(options.scope(event.emit(&*member.client)));
        let outcome = Outcome::from(poll_fn(|cx| pass.stopwatch.poll(emitting.as_mut(), cx)).await);
        pass.answered(&outcome);
        (place, outcome)
    })
}
