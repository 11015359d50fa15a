//! What a restart must know of a slot, and what a start makes of it. See [`crate::state`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::build::{Build, Code, Key};
use super::kinds;
use super::run::{Done, Run};
use super::seat::{Ban, ByHand, Seat};
use super::wishes::Wish;
use crate::config::{PluginEntry, ProcessSecrets};
use crate::events::HostEvent;
use crate::housekeeping::{self, after};
use crate::method::Kind;
use crate::scan::Scan;
use crate::state::{Barred, ConfigRef, Good, Keeper, Kept, Material, Pin, Record, Tried, Written};
use crate::status::{BuildStatus, Quarantined};
use crate::swap::{Event, Number};
use crate::verify::Digest;

/// How long a build that is not known to be good waits until it is written down that it is tried: the disk may hang.
const WRITING: Duration = Duration::from_secs(2);

/// Kind of what stands against a build during whose trial the host came to a sudden end.
const UNCLEAN_END: &str = "unclean-end";

/// What a seat remembers beyond the life of the host.
#[derive(Default)]
pub(super) struct SeatMemory {
    /// What served last and was found good.
    good: Option<Good>,
    /// The build that is being tried.
    marked: Option<Tried>,
    /// The good build is being read.
    pub(super) recovering: bool,
    /// The good build as it was offered, and why it is to serve.
    pub(super) fallback: Option<(Key, String)>,
    /// What the good build has stood in for: once each.
    instead_of: Vec<Option<Key>>,
}

impl SeatMemory {
    /// Whether what was refused is the good build itself; if not, it is not on trial any more.
    pub(super) fn was_refused(&mut self, build: &Build) -> bool {
        self.unmark(build);
        self.fallback.as_ref().is_some_and(|(key, _)| *key == build.key)
    }

    /// Whether the good build stands in for what is in the directories.
    pub(super) fn serves_last_good(&self) -> bool {
        self.fallback.is_some()
    }

    /// Why the good build stands in for what is in the directories, if it is what serves.
    pub(super) fn stands_in(&self, serving: Option<&Build>) -> Option<&str> {
        let (key, why) = self.fallback.as_ref()?;
        serving.is_some_and(|serving| serving.key == *key).then_some(why)
    }

    /// Its trial is over.
    pub(super) fn unmark(&mut self, build: &Build) {
        self.marked.take_if(|marked| tried(build).is_some_and(|tried| tried.is(marked)));
    }

    /// The kinds of the last good build.
    pub(super) fn good_kinds(&self) -> Vec<Kind> {
        self.good.as_ref().map(|good| kinds::by_name(&good.kinds)).unwrap_or_default()
    }

    pub(super) fn forget_mark(&mut self) {
        self.marked = None;
    }
}

impl Run {
    /// Gives a new seat what was kept of its plugin.
    pub(super) fn remember(&mut self, name: &str, seat: &mut Seat) {
        let Some(kept) = self.absent.remove(name) else { return };
        let Kept { good, trial, quarantine, pin } = kept;
        quarantine.into_iter().for_each(|barred| seat.bar(barred.into()));
        if let Some(tried) = trial {
            let message = "the host came to a sudden end while this build was on trial; if it was not the cause, take it out \
                           of quarantine";
            tracing::error!(plugin = name, version = tried.version, digest = %tried.digest.short(), "quarantined: {message}");
            // The same content with other settings: it is the settings that were no good.
            let same = good.as_ref().is_some_and(|good| good.build.digest == tried.digest);
            let settings = same.then_some(*tried.settings.as_bytes());
            let status = Quarantined { build: tried.into(), kind: UNCLEAN_END.into(), message: message.to_owned() };
            seat.bar(Ban { settings, status, served: true });
        }
        if let (Some(Pin { instead_of, .. }), Some(known)) = (pin, self.pinned.remove(name)) {
            seat.by_hand = Some(ByHand { known, instead_of });
        }
        seat.memory.good = good;
    }

    /// A file that no entry names may have been made unusable in the place of a good one: its id is known from then.
    pub(super) fn remember_unlisted(&mut self, wishes: &BTreeMap<String, Wish>, scan: &Scan) {
        let refused = |kept: &Kept| {
            let file = kept.good.as_ref().map(|good| good.build.file.as_str());
            scan.refused.iter().find(|refused| refused.path.to_str() == file).map(|refused| refused.message.clone())
        };
        let found: Vec<(String, String)> = self
            .absent
            .iter()
            .filter(|(name, _)| !wishes.contains_key(*name))
            .filter_map(|(name, kept)| Some((name.clone(), refused(kept)?)))
            .collect();
        for (name, why) in found {
            let slot = self.means.shared.slot(&name);
            let entry = PluginEntry { required: false, ..PluginEntry::new(name.clone()) };
            let mut seat = Seat::new(slot, Arc::new(entry));
            self.remember(&name, &mut seat);
            seat.slot.because("file-refused", why.clone());
            self.seats.insert(name.clone(), seat);
            self.fall_back(&name, None, &why);
        }
    }

    /// Nothing serves, and `cause` (or nothing at all) cannot: the last good build may, if it is another one.
    pub(super) fn fall_back(&mut self, name: &str, cause: Option<Key>, why: &str) {
        let (Some(seat), Some(keeper)) = (self.seats.get_mut(name), &self.means.keeper) else { return };
        let memory = &mut seat.memory;
        let Some(good) = memory.good.clone() else { return };
        let is_it =
            |key: &Key| key.digest == Some(good.build.digest) && key.settings == *good.build.settings.as_bytes();
        if self.ending.is_some()
            || seat.serving.is_some()
            || memory.recovering
            || memory.instead_of.contains(&cause)
            || cause.as_ref().is_some_and(is_it)
        {
            return;
        }
        memory.instead_of.push(cause);
        memory.recovering = true;
        let (dir, entry, reloads) = (Arc::clone(keeper.dir()), Arc::clone(&seat.entry), seat.reloads);
        let (limits, policy) = (self.means.limits.clone(), self.means.policy.clone());
        let (name, why, of) = (name.to_owned(), why.to_owned(), name.to_owned());
        let job = housekeeping::run("mini-chat-read", move || {
            let known = dir.good_image(&good.build.digest, &limits, &policy).map_err(|error| error.to_string())?;
            let kept = dir.good_entry(&of, &good).map_err(|error| error.to_string())?;
            let entry = kept.map_or(entry, Arc::new);
            let config = entry.config.resolve(&ProcessSecrets).map_err(|error| error.to_string())?;
            Ok((Build::new(Code::File(known), entry, config, reloads), why))
        });
        self.job(async move {
            let recovered = job.await.unwrap_or_else(|_| Err("the thread that read it was lost".to_owned()));
            Done::Recovered(name, recovered.map(Box::new))
        });
    }

    pub(super) fn recovered(&mut self, name: &str, recovered: Result<Box<(Build, String)>, String>) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        seat.memory.recovering = false;
        match recovered.map(|recovered| *recovered) {
            Err(error) => tracing::error!(plugin = name, "the last good build cannot serve either: {error}"),
            Ok((build, why)) if seat.serving.is_none() && seat.is_settled() && !seat.disabled => {
                seat.memory.fallback = Some((build.key, why));
                self.tell(name, Event::Offered(build));
            }
            // Something else came first; should that fail, this may be tried again.
            Ok(_) => drop(seat.memory.instead_of.pop()),
        }
    }

    /// A build that is not known to be good is to be mapped: that is written down before.
    pub(super) fn mark(&mut self, name: &str, build: &Build) -> impl Future<Output = ()> + Send + use<> {
        let written = self.seats.get_mut(name).and_then(|seat| {
            let tried = tried(build)?;
            // Without something to go back to, a quarantine would only make it worse.
            if !build.rollback && !seat.memory.good.as_ref()?.build.is(&tried) {
                seat.memory.marked = Some(tried);
            }
            Some(())
        });
        let written = written.and_then(|()| self.persist());
        let (housekeeping, name) = (self.means.starter.housekeeping.clone(), name.to_owned());
        async move {
            let Some(written) = written else { return };
            if !matches!(housekeeping.until(after(WRITING), written).await, Some(Ok(()))) {
                tracing::warn!(
                    plugin = name,
                    "it is tried without that being written down: a restart would try it again"
                );
            }
        }
    }

    /// A generation serves now.
    pub(super) fn served(&mut self, name: &str, number: Number, is_new: bool) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let Some(made) = seat.made.get(&number) else { return };
        let (build, duration) = (made.build.clone(), made.build.entry.probation.duration);
        let stands_in = seat.memory.stands_in(Some(&build)).map(str::to_owned);
        if stands_in.is_none() {
            seat.memory.instead_of.clear();
        }
        let known = |good: &Good| tried(&build).is_none_or(|tried| good.build.is(&tried));
        if build.rollback || !is_new || seat.memory.good.is_none() {
            // Nothing is better known.
            self.is_good(name, number);
        } else if !seat.memory.good.as_ref().is_some_and(known) {
            // The machine tells of a probation's end only where there was a predecessor.
            self.later(after(duration), Done::ProbationOver(name.to_owned(), number));
        }
        let Some(why) = stands_in.filter(|_| is_new) else { return };
        let version = build.version();
        tracing::error!(
            plugin = name,
            generation = number,
            version,
            "THE LAST GOOD BUILD serves, out of the state directory, as what the plugin directories have cannot: {why}"
        );
        self.outbox.tell_all(HostEvent::FellBack {
            plugin: name.to_owned(),
            generation: number,
            version,
            digest: build.key.digest,
            why,
        });
    }

    /// What serves has proved good.
    pub(super) fn is_good(&mut self, name: &str, number: Number) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let Some(made) = seat.made.get(&number).filter(|_| seat.serving == Some(number)) else { return };
        let build = made.build.clone();
        seat.memory.unmark(&build);
        let Some(good) = good(&build) else { return };
        // The same out of the state directory is not a better one.
        if !seat.memory.good.as_ref().is_some_and(|before| before.build.is(&good.build)) {
            seat.memory.good = Some(good);
        }
    }

    /// Writes down what a restart must know, if that has changed.
    pub(super) fn persist(&mut self) -> Option<Written> {
        let Some(keeper) = &mut self.means.keeper else { return None };
        let mut record = Record { plugins: self.absent.clone(), ..Record::default() };
        record.config = self.accepted.as_deref().and_then(ConfigRef::of);
        for (name, seat) in &self.seats {
            let kept = seat.to_keep();
            if !kept.is_empty() {
                record.plugins.insert(name.clone(), kept);
            }
        }
        let (seats, accepted) = (&self.seats, &self.accepted);
        keeper.keep(record, || Material {
            images: seats
                .values()
                .flat_map(|seat| seat.kept.iter().map(|(digest, path)| (*digest, path.clone())))
                .collect(),
            configs: seats
                .values()
                .flat_map(|seat| seat.made.values().filter_map(|made| made.build.entry.origin.clone()))
                .chain(accepted.clone())
                .collect(),
        })
    }

    /// The same, and the end waits until everything is on the disk.
    pub(super) fn persist_last(&mut self) {
        let _ = self.persist();
        if let Some(written) = self.means.keeper.as_ref().map(Keeper::flush) {
            self.ends += 1;
            self.job(async move {
                let _ = written.await;
                Done::Kept
            });
        }
    }
}

impl Seat {
    fn to_keep(&self) -> Kept {
        let quarantine = self.bans.iter().filter(|ban| ban.served).filter_map(Barred::of).collect();
        let good = self.memory.good.clone();
        let pin = self.by_hand.as_ref().filter(|by_hand| {
            // Only the image of what is good is kept.
            good.as_ref().is_some_and(|good| good.build.digest == by_hand.known.digest)
        });
        let pin = pin.map(|by_hand| Pin { digest: by_hand.known.digest, instead_of: by_hand.instead_of });
        Kept { trial: self.memory.marked.clone(), quarantine, pin, good }
    }

    /// Why nothing of what there is serves.
    pub(super) fn why_not(&self) -> String {
        match self.against().last() {
            Some(against) => format!("{} is in quarantine: {}", against.build.version, against.message),
            None => self.slot.reason().text,
        }
    }
}

fn tried(build: &Build) -> Option<Tried> {
    let Code::File(known) = &build.code else { return None };
    Some(Tried {
        digest: known.digest,
        settings: Digest::from_bytes(build.key.settings),
        version: known.version.to_string(),
        file: known.path.display().to_string(),
    })
}

fn good(build: &Build) -> Option<Good> {
    let config = build.entry.origin.as_deref().and_then(ConfigRef::of);
    Some(Good { build: tried(build)?, config, kinds: kinds::of(build) })
}

impl Barred {
    fn of(ban: &Ban) -> Option<Self> {
        let Quarantined { build, kind, message } = &ban.status;
        Some(Self {
            digest: build.digest?,
            settings: ban.settings.map(Digest::from_bytes),
            version: build.version.clone(),
            file: build.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(),
            kind: kind.to_string(),
            message: message.clone(),
        })
    }
}

impl From<Barred> for Ban {
    fn from(barred: Barred) -> Self {
        let Barred { digest, settings, version, file, kind, message } = barred;
        let build = BuildStatus { version, digest: Some(digest), file: Some(file.into()) };
        let status = Quarantined { build, kind: kind.into(), message };
        Self { settings: settings.map(|settings| *settings.as_bytes()), status, served: true }
    }
}

impl From<Tried> for BuildStatus {
    fn from(tried: Tried) -> Self {
        Self { version: tried.version, digest: Some(tried.digest), file: Some(tried.file.into()) }
    }
}
