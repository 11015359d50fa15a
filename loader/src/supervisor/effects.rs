//! What a slot's state machine asks for, carried out; and what came of it, told back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Command;
use super::build::{Build, Code};
use super::run::{Done, Failed, Run};
use super::seat::{Clock, Made, Seat};
use crate::error::{CreateError, PluginFailure, SwapError};
use crate::events::{HostEvent, Phases, micros};
use crate::housekeeping::{Housekeeping, after};
use crate::instance::{Handover, Instance, Trial};
use crate::slot::Slot;
use crate::start::{Prepared, Source, Started, Starter};
use crate::status::{BuildStatus, Swapped};
use crate::swap::{Effect, Event, Number};

impl Run {
    /// Tells a slot's machine something, and does what it asks for.
    pub(super) fn tell(&mut self, name: &str, event: Event<Build>) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        for effect in seat.machine.on(event) {
            self.carry_out(name, effect);
        }
    }

    fn carry_out(&mut self, name: &str, effect: Effect<Build>) {
        match effect {
            Effect::Check(build) => self.check(name, build),
            Effect::Create(build) => self.create(name, build),
            Effect::HandOver(build) => self.hand_over(name, build),
            Effect::Flip(number) => self.flip(name, number),
            Effect::Trial(number) => self.begin_trial(name, number),
            Effect::Proven(number) => self.proven(name, number),
            Effect::Ban(number) => self.ban(name, number),
            Effect::End(number) => self.end(name, number),
            Effect::Vacate => {
                let Some(seat) = self.seats.get_mut(name) else { return };
                let (kind, why) = seat.vacate_why.clone();
                seat.serving = None;
                seat.slot.vacate(kind, why);
                seat.slot.release();
            }
            Effect::Superseded(build) => {
                let Some(seat) = self.seats.get_mut(name) else { return };
                seat.answer(build.key, &Err(SwapError::Superseded { name: name.to_owned() }), &self.outbox);
            }
        }
    }

    fn check(&mut self, name: &str, build: Build) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        seat.clock = Clock::start();
        let kept = build.key.digest.and_then(|digest| seat.kept.get(&digest).cloned());
        let generation = seat.last + 1;
        let (starter, name) = (self.means.starter.clone(), name.to_owned());
        let (limits, policy) = (self.means.limits.clone(), self.means.policy.clone());
        self.job(async move {
            let begun = Instant::now();
            let source = match &build.code {
                Code::Linked(plugin) => Ok(Source::Linked(*plugin)),
                Code::File(known) => {
                    let (known, path) = (known.clone(), known.path.clone());
                    starter.read(path, &build.entry, move || known.load_or(kept.as_deref(), &limits, &policy)).await
                }
            };
            let read_us = micros(begun);
            let outcome = match source {
                Ok(source) => {
                    starter.preflight(None, source, &build.entry, Some(build.config.clone()), generation).await
                }
                Err(failure) => Err(failure),
            };
            let outcome = outcome.map(|mut prepared| {
                prepared.phases.read_us = read_us;
                prepared
            });
            Done::Checked(name, build, outcome)
        });
    }

    pub(super) fn checked(&mut self, name: &str, build: Build, outcome: Result<Prepared, PluginFailure>) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        // Another one may have taken its place meanwhile.
        if !seat.machine.checks(&build) {
            return;
        }
        match outcome {
            Ok(prepared) => {
                seat.clock.phases.check_us = seat.clock.lap();
                seat.prepared = Some((build.key, prepared));
                self.tell(name, Event::Checked(build));
            }
            Err(failure) => {
                self.refused(name, &build, &failure);
                self.tell(name, Event::Refused(build));
            }
        }
    }

    /// Notes, reports and answers that a build was not accepted.
    fn refused(&mut self, name: &str, build: &Build, failure: &PluginFailure) {
        if let PluginFailure::Load(crate::error::LoadError::Exchanged { path, .. }) = failure
            && let Some(sources) = &mut self.sources
        {
            sources.scanner.forget(path);
        }
        let Some(seat) = self.seats.get_mut(name) else { return };
        let was_good = seat.memory.was_refused(build);
        let retry = if was_good { None } else { seat.note_failure(build, failure) };
        self.report_refused(name, build.status(), failure, retry);
        if let Some(seat) = self.seats.get_mut(name) {
            seat.answer(build.key, &Err(SwapError::refused(failure)), &self.outbox);
        }
        if let Some(wait) = retry {
            self.later(after(wait), Done::Due(name.to_owned(), build.key));
        }
        if !was_good {
            self.fall_back(name, Some(build.key), &failure.to_string());
        }
    }

    /// Counts, logs and tells that a build was not accepted.
    pub(super) fn report_refused(
        &mut self,
        name: &str,
        build: BuildStatus,
        failure: &PluginFailure,
        retry: Option<Duration>,
    ) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        seat.refusals += 1;
        let (kind, message) = (failure.kind(), failure.to_string());
        if seat.serves() {
            tracing::error!(plugin = name, kind, ?retry, "build refused, what served before serves on: {message}");
        } else {
            tracing::error!(plugin = name, kind, ?retry, "plugin does not serve: {message}");
            seat.slot.because(kind, message.clone());
        }
        let BuildStatus { version, digest, file } = build;
        self.outbox.tell_all(HostEvent::Refused {
            plugin: name.to_owned(),
            version,
            digest,
            file,
            kind,
            message,
            retry_in_ms: retry.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        });
    }

    fn create(&mut self, name: &str, build: Build) {
        let Some((starter, seat)) = self.making(name) else { return };
        let Some(mut prepared) = seat.take_prepared(&build) else { return self.tell(name, Event::Failed(build)) };
        let number = seat.next_number();
        let predecessor = seat.instance().filter(|_| build.key.digest.is_some());
        let marked = self.mark(name, &build);
        let name = name.to_owned();
        self.job(async move {
            let begun = Instant::now();
            marked.await;
            prepared.phases.mark_us = micros(begun);
            let begun = Instant::now();
            let hint = match predecessor {
                Some(predecessor) => hint(&predecessor).await,
                None => None,
            };
            prepared.phases.predecessor_us = micros(begun);
            let outcome = starter.create(prepared, &build.entry, number, hint).await.map_err(Failed::from);
            Done::Created(name, build, number, outcome)
        });
    }

    fn hand_over(&mut self, name: &str, build: Build) {
        let Some((starter, seat)) = self.making(name) else { return };
        let (Some(mut prepared), Some(predecessor)) = (seat.take_prepared(&build), seat.instance()) else {
            return self.tell(name, Event::Failed(build));
        };
        let number = seat.next_number();
        let slot = Arc::clone(&seat.slot);
        let marked = self.mark(name, &build);
        let name = name.to_owned();
        self.job(async move {
            let begun = Instant::now();
            marked.await;
            prepared.phases.mark_us = micros(begun);
            let outcome = handover(&starter, &slot, &predecessor, prepared, &build, number).await;
            Done::Created(name, build, number, outcome)
        });
    }

    fn making(&mut self, name: &str) -> Option<(Starter, &mut Seat)> {
        let starter = self.means.starter.clone();
        let seat = self.seats.get_mut(name)?;
        seat.clock.phases.wait_us = seat.clock.lap();
        Some((starter, seat))
    }

    pub(super) fn created(&mut self, name: &str, build: Build, number: Number, outcome: Result<Started, Failed>) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        match outcome {
            Ok(Started { instance, phases }) => {
                let Phases { check_us, wait_us, .. } = seat.clock.phases;
                seat.clock.phases = Phases { check_us, wait_us, create_us: seat.clock.lap(), ..phases };
                if let (Some(digest), Some(path)) = (build.key.digest, instance.image.private_copy()) {
                    seat.kept.insert(digest, path.to_owned());
                }
                seat.made.insert(number, Made { instance, build: build.clone() });
                self.tell(name, Event::Created(build, number));
            }
            Err(Failed { failure, lost }) => {
                self.refused(name, &build, &failure);
                match lost {
                    None => self.tell(name, Event::Failed(build)),
                    Some(lost) => self.lost(name, build, &lost),
                }
            }
        }
    }

    fn lost(&mut self, name: &str, build: Build, why: &PluginFailure) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let (message, generation) = (why.to_string(), seat.serving.unwrap_or_default());
        tracing::error!(
            plugin = name,
            generation,
            "it could not take back what it had given up, and is started anew: {message}"
        );
        seat.vacate_why = ("resume-failed", message.clone());
        self.outbox.tell_all(HostEvent::ResumeFailed { plugin: name.to_owned(), generation, message });
        self.tell(name, Event::Lost(build));
    }

    fn flip(&mut self, name: &str, number: Number) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let Some(made) = seat.made.get(&number) else { return };
        let (instance, build) = (Arc::clone(&made.instance), made.build.clone());
        if let Some(before) = seat.instance() {
            seat.before = before.shares();
        }
        let started = Instant::now();
        // The one that it replaces is kept by its seat.
        drop(seat.slot.flip(Arc::clone(&instance)));
        let flip_ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        seat.slot.release();
        let replaces = seat.serving.replace(number);
        seat.again = None;
        // Back to what stood by: the steps of its own start are not this flip's.
        let is_new = replaces.is_none_or(|before| before < number);
        seat.swaps += u64::from(is_new && replaces.is_some());
        let phases = Phases { flip_ns, ..if is_new { seat.clock.phases } else { Phases::default() } };
        let probation = is_new && replaces.is_some() && !build.rollback;
        let descriptor = &instance.image.descriptor;
        tracing::info!(
            plugin = name,
            generation = number,
            id = descriptor.id,
            version = descriptor.version,
            abi = descriptor.abi.version,
            digest = build.key.digest.map(|digest| digest.short().to_string()),
            "plugin is serving"
        );
        for method in descriptor.answered_by_default().into_iter().filter(|_| is_new) {
            tracing::warn!(plugin = name, "{method} is newer than the plugin: answered by default");
        }
        let swapped = Swapped { plugin: name.to_owned(), generation: number, already: false, phases };
        self.outbox.tell_all(HostEvent::Serving {
            plugin: name.to_owned(),
            generation: number,
            replaces,
            version: instance.image.descriptor.version.clone(),
            digest: build.key.digest,
            file: build.file(),
            probation,
            phases,
        });
        seat.answer(build.key, &Ok(swapped), &self.outbox);
        self.served(name, number, is_new);
    }

    fn begin_trial(&mut self, name: &str, number: Number) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let Some(made) = seat.made.get(&number) else { return };
        let rule = made.build.entry.probation.clone();
        let duration = rule.duration;
        let (commands, of) = (self.commands.clone(), name.to_owned());
        made.instance.try_out(Trial::new(rule, seat.before, move |why| {
            let _ = commands.send(Command::Tripped { name: of.clone(), number, why });
        }));
        self.later(after(duration), Done::ProbationOver(name.to_owned(), number));
    }

    fn proven(&mut self, name: &str, number: Number) {
        let Some(made) = self.seats.get(name).and_then(|seat| seat.made.get(&number)) else { return };
        made.instance.trust();
        tracing::info!(plugin = name, generation = number, "its probation has ended well");
        self.outbox.tell_all(HostEvent::Proven { plugin: name.to_owned(), generation: number });
        self.is_good(name, number);
    }

    pub(super) fn tripped(&mut self, name: &str, number: Number, why: String) {
        if let Some(seat) = self.seats.get_mut(name) {
            seat.rollback_why = ("probation", why);
            self.tell(name, Event::Tripped(number));
        }
    }

    fn ban(&mut self, name: &str, number: Number) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let Some(Made { build, instance }) = seat.made.get(&number) else { return };
        let (build, (kind, why)) = (build.clone(), seat.rollback_why.clone());
        instance.trust();
        // The same content with other settings: it is the settings that were no good.
        let same = seat
            .machine
            .rollback_to()
            .or(seat.machine.serving())
            .is_some_and(|good| good.key.digest == build.key.digest && good.key.settings != build.key.settings);
        seat.add_ban(&build, same, kind, why.clone());
        seat.memory.unmark(&build);
        seat.rollbacks += 1;
        seat.by_hand = None;
        tracing::error!(plugin = name, generation = number, version = build.version(), "rolled back: {why}");
        self.outbox.tell_all(HostEvent::RolledBack {
            plugin: name.to_owned(),
            generation: number,
            digest: build.key.digest,
            kind,
            why,
        });
    }

    pub(super) fn drain_limit(&mut self, name: &str, number: Number, calls: i64) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        tracing::warn!(plugin = name, generation = number, calls, "calls have not ended within the drain limit");
        self.outbox.tell_all(HostEvent::Zombie { plugin: name.to_owned(), generation: number, calls });
        seat.made.remove(&number);
        self.tell(name, Event::DrainLimit(number));
    }
}

impl Seat {
    /// What serves.
    pub(super) fn instance(&self) -> Option<Arc<Instance>> {
        self.serving.and_then(|number| self.made.get(&number)).map(|made| Arc::clone(&made.instance))
    }

    fn next_number(&mut self) -> Number {
        self.last += 1;
        self.last
    }

    /// What the check of this build made ready.
    fn take_prepared(&mut self, build: &Build) -> Option<Prepared> {
        let (key, prepared) = self.prepared.take()?;
        (key == build.key).then_some(prepared)
    }
}

/// What a predecessor that goes on serving tells its successor: nothing, if it cannot.
async fn hint(predecessor: &Instance) -> Option<Handover> {
    let limit = predecessor.settings.limits.health;
    match predecessor.export_state(limit).await {
        Ok(bytes) => bytes.map(|bytes| Handover { bytes: bytes.into(), exact: false }),
        Err(error) => {
            tracing::warn!(plugin = predecessor.name(), "its successor starts without a hint: {error}");
            None
        }
    }
}

/// Lets a quiesced instance take back what it gave up. What its successor holds of that is free a moment after its end: what
/// the plugin calls retryable is tried again as long as calls may be held.
async fn resumed(instance: &Instance, housekeeping: &Housekeeping) -> Result<(), CreateError> {
    let limits = &instance.settings.limits;
    let until = after(limits.hold);
    loop {
        match instance.resume(limits.health).await {
            Err(error) if error.is_retryable() && Instant::now() < until => {
                housekeeping.sleep_until(after(Duration::from_millis(20))).await;
            }
            outcome => return outcome,
        }
    }
}

/// Creates an instance in the place of one that must not run beside it. While this goes on, calls are held.
async fn handover(
    starter: &Starter,
    slot: &Slot,
    predecessor: &Arc<Instance>,
    mut prepared: Prepared,
    build: &Build,
    number: Number,
) -> Result<Started, Failed> {
    let limits = &predecessor.settings.limits;
    let hold = limits.hold;
    let housekeeping: &Housekeeping = &starter.housekeeping;
    let begun = Instant::now();
    slot.hold(hold, housekeeping);
    if housekeeping.until(after(hold), predecessor.emptied()).await.is_none() {
        predecessor.open_again();
        slot.release();
        return Err(PluginFailure::Busy {
            plugin: slot.name().to_owned(),
            calls: predecessor.in_flight(),
            limit: hold,
        }
        .into());
    }
    let made = async {
        predecessor.quiesce(limits.health).await?;
        let state = predecessor.export_state(limits.health).await?;
        let exact = state.map(|bytes| Handover { bytes: bytes.into(), exact: true });
        prepared.phases.predecessor_us = micros(begun);
        starter.create(prepared, &build.entry, number, exact).await
    };
    match made.await {
        // The hold ends with the flip.
        Ok(started) => Ok(started),
        Err(failure) => {
            let lost = resumed(predecessor, housekeeping).await.err().map(PluginFailure::from);
            if lost.is_none() {
                predecessor.open_again();
                slot.release();
            }
            Err(Failed { failure, lost })
        }
    }
}
