//! From a look to offers: for each slot, the build that should serve, if it is not the one that does.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::build::{Build, Code, fingerprint};
use super::run::{Done, Run};
use super::seat::{ByHand, ROLLED_BACK, Seat, Waiter};
use super::wishes::{Looked, Wish};
use super::{Answer, Command};
use crate::error::{CreateError, LoadError, PluginFailure, SwapError};
use crate::events::HostEvent;
use crate::find::Candidate as FoundFile;
use crate::housekeeping;
use crate::scan::{Known, Scan, choice};
use crate::status::{Quarantined, RefusedFile, Swapped, Unpinned};
use crate::swap::Event;
use crate::watch::{Wake, Watcher};

impl Run {
    /// A look is over.
    pub(super) fn looked(&mut self, looked: Looked) {
        let Looked { sources, scan, wishes, refused } = looked;
        self.accepted.clone_from(&sources.accepted);
        self.complain(refused);
        self.report_files(&scan);
        let targets = sources.targets();
        match (&self.watcher, self.means.watch) {
            (Some(watcher), _) => watcher.set_targets(targets),
            (None, Some(period)) => {
                let commands = self.commands.clone();
                let tell = move |wake: Wake| {
                    let _ = commands.send(Command::Look { completed: wake.completed });
                };
                match Watcher::start(targets, period, tell) {
                    Ok(watcher) => self.watcher = Some(watcher),
                    Err(error) => tracing::error!("no thread to watch the plugin directories: {error}"),
                }
            }
            (None, None) => {}
        }
        self.sources = Some(sources);
        self.first_look = false;
        if self.ending.is_some() {
            return;
        }
        self.desire(wishes, &scan);
        if let Some(wait) = scan.settle_in {
            self.later(housekeeping::after(wait), Done::Settled);
        }
        if let Some(wake) = self.look_again.take() {
            self.look(wake);
        }
    }

    fn complain(&mut self, refused: Option<String>) {
        if refused != self.complained
            && let Some(message) = &refused
        {
            tracing::error!("configuration refused, what was read before stays in force: {message}");
            self.outbox.tell_all(HostEvent::ConfigRefused { message: message.clone() });
        }
        if refused.is_none() && self.complained.is_some() {
            tracing::info!("the configuration is accepted again");
        }
        *self.means.shared.config_refused.lock().unwrap_or_else(PoisonError::into_inner) = refused.clone();
        self.complained = refused;
    }

    /// Says which files cannot be used, each once.
    fn report_files(&self, scan: &Scan) {
        let now: Vec<RefusedFile> = scan.refused.iter().chain(&scan.unreadable).cloned().collect();
        let mut before = self.means.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for file in now.iter().filter(|file| !before.contains(file)) {
            tracing::warn!(kind = file.kind, "plugin file refused: {}", file.message);
            let RefusedFile { path, kind, message } = file.clone();
            self.outbox.tell_all(HostEvent::FileRefused { file: path, kind, message });
        }
        *before = now;
    }

    fn desire(&mut self, mut wishes: BTreeMap<String, Wish>, scan: &Scan) {
        for (name, wish) in &wishes {
            if !self.seats.contains_key(name) {
                let slot = self.means.shared.slot(name);
                slot.because("starting", "it is being started");
                let mut seat = Seat::new(slot, Arc::clone(&wish.entry));
                self.remember(name, &mut seat);
                self.seats.insert(name.clone(), seat);
            }
        }
        self.remember_unlisted(&wishes, scan);
        for name in self.seats.keys().cloned().collect::<Vec<_>>() {
            match wishes.remove(&name) {
                None => self.not_wished(&name, scan),
                Some(wish) if !wish.entry.enabled => self.disable(&name, "disabled", "it is disabled in plugins.toml"),
                Some(wish) => self.wished(&name, wish, scan),
            }
        }
    }

    /// Neither an entry nor a file asks for it any more.
    fn not_wished(&mut self, name: &str, scan: &Scan) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        if seat.listed {
            self.disable(name, "removed", "it is no longer in plugins.toml");
        } else if !seat.memory.serves_last_good() && !scan.held.contains(&seat.entry.library) {
            self.orphan(name);
        }
    }

    fn disable(&mut self, name: &str, kind: &'static str, why: &str) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        if std::mem::replace(&mut seat.disabled, true) {
            return;
        }
        if !seat.serves() {
            seat.slot.because(kind, why);
        } else {
            tracing::info!(plugin = name, "plugin ends: {why}");
        }
        seat.vacate_why = (kind, why.to_owned());
        self.outbox.tell_all(HostEvent::Disabled { plugin: name.to_owned() });
        self.tell(name, Event::Disabled);
    }

    fn orphan(&mut self, name: &str) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        if !seat.serves() || std::mem::replace(&mut seat.orphaned, true) {
            return;
        }
        let file = seat.machine.serving().and_then(Build::file);
        tracing::warn!(plugin = name, ?file, "the file of what serves has vanished: it serves on, until the host ends");
        self.outbox.tell_all(HostEvent::Orphaned { plugin: name.to_owned(), file });
        self.tell(name, Event::Orphaned);
    }

    fn wished(&mut self, name: &str, wish: Wish, scan: &Scan) {
        let remembers = self.means.keeper.is_some();
        let Some(seat) = self.seats.get_mut(name) else { return };
        let Wish { entry, listed, linked, config } = wish;
        seat.listed = listed;
        seat.disabled = false;
        seat.entry = Arc::clone(&entry);
        let config = match config {
            Ok(config) => config,
            Err(source) => return self.no_config(name, source),
        };
        seat.complained = None;
        seat.config = Some(config.clone());
        let code = match linked {
            Some(plugin) => Some(Code::Linked(plugin)),
            None => {
                let settings = fingerprint(&entry, &config);
                let best = seat.best(scan, &settings);
                if let Some((build, failure)) = seat.passes_over(best, remembers) {
                    self.report_refused(name, build, &failure, None);
                }
                let Some(seat) = self.seats.get_mut(name) else { return };
                seat.choose(scan, &settings, remembers).map(Code::File)
            }
        };
        let Some(seat) = self.seats.get_mut(name) else { return };
        let Some(code) = code else { return self.nothing_to_serve(name, scan) };
        seat.orphaned = false;
        let build = Build::new(code, entry, config, seat.reloads);
        if let Some(waiter) = seat.reload.take() {
            seat.waiters.push((build.key, waiter));
        }
        self.offer(name, build);
    }

    fn no_config(&mut self, name: &str, source: crate::error::ConfigError) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        let failure = PluginFailure::from(CreateError::Config { plugin: name.to_owned(), source });
        let message = failure.to_string();
        if let Some(waiter) = seat.reload.take() {
            self.outbox.answer(waiter, Err(SwapError::refused(&failure)));
        }
        if !seat.serves() {
            seat.slot.because(failure.kind(), message.clone());
        }
        if seat.complained.as_ref() != Some(&message) {
            tracing::error!(plugin = name, kind = failure.kind(), "configuration refused: {message}");
            self.outbox.tell_all(HostEvent::ConfigRefused { message: message.clone() });
            seat.complained = Some(message.clone());
        }
        self.fall_back(name, None, &message);
    }

    /// No file of its id can be used.
    fn nothing_to_serve(&mut self, name: &str, scan: &Scan) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        if let Some(waiter) = seat.reload.take() {
            let why = seat.slot.reason().text;
            self.outbox.answer(waiter, Err(SwapError::NothingToServe { name: name.to_owned(), why }));
        }
        let entry = &seat.entry;
        let versions = scan.of(&entry.library);
        let missing = match &entry.version {
            Some(pin) => !versions.iter().any(|known| known.version == *pin),
            None => versions.is_empty(),
        };
        let missing = missing && !scan.held.contains(&entry.library);
        if seat.serves() {
            if missing {
                self.orphan(name);
            }
        } else if missing && seat.is_settled() {
            let failure = PluginFailure::no_file(entry, versions.iter().map(|known| &known.version));
            let text = with_refused(&failure, &scan.refused);
            if seat.slot.reason().text != text {
                tracing::error!(plugin = name, kind = failure.kind(), "plugin does not serve: {failure}");
                seat.slot.because(failure.kind(), text.clone());
            }
            self.fall_back(name, None, &text);
        } else if seat.is_settled() {
            let why = seat.why_not();
            self.fall_back(name, None, &why);
        }
    }

    /// Tells the slot what should serve.
    pub(super) fn offer(&mut self, name: &str, build: Build) {
        let Some(seat) = self.seats.get_mut(name) else { return };
        if seat.machine.serving() == Some(&build) {
            if let Some(number) = seat.serving {
                let swapped =
                    Swapped { plugin: name.to_owned(), generation: number, already: true, ..Swapped::default() };
                seat.answer(build.key, &Ok(swapped), &self.outbox);
            }
            if seat.machine.under_way().is_some() {
                self.tell(name, Event::Withdrawn);
            }
        } else if !seat.waits(build.key)
            && !seat.bans.iter().any(|ban| ban.covers(build.key.digest, &build.key.settings))
            && seat.machine.under_way() != Some(&build)
        {
            self.tell(name, Event::Offered(build));
        }
    }

    /// Reads a file that is to serve.
    pub(super) fn swap(&mut self, path: PathBuf, answer: Answer<Vec<Swapped>>) {
        let (limits, policy, of) = (self.means.limits.clone(), self.means.policy.clone(), path.clone());
        let job = housekeeping::run("mini-chat-read", move || {
            Known::new(&FoundFile::from_path(path).read(&limits)?.verify(&policy)?)
        });
        self.job(async move {
            match job.await {
                Ok(known) => Done::Read(known, answer),
                Err(_) => Done::Read(Err(LoadError::OpenLost { path: of }), answer),
            }
        });
    }

    /// A file that somebody asked for was read.
    pub(super) fn read(&mut self, known: Result<Known, LoadError>, answer: Answer<Vec<Swapped>>) {
        let known = match known {
            Ok(known) => known,
            Err(error) => {
                self.outbox.answer(answer, Err(SwapError::refused(&error.into())));
                return;
            }
        };
        let (id, remembers) = (&known.descriptor.id, self.means.keeper.is_some());
        let wants = |seat: &Seat| seat.entry.library == *id && !seat.disabled && seat.config.is_some();
        let names: Vec<String> =
            self.seats.iter().filter(|(_, seat)| wants(seat)).map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            self.outbox.answer(answer, Err(SwapError::UnknownId { file: known.path.clone(), id: id.clone() }));
            return;
        }
        let mut outcomes = Vec::new();
        for name in names {
            let Some(seat) = self.seats.get_mut(&name) else { continue };
            let Some(config) = seat.config.clone() else { continue };
            let (sender, receiver) = oneshot::channel();
            outcomes.push(receiver);
            if let Some(failure) = seat.too_narrow(&known, remembers) {
                self.report_refused(&name, known.status(), &failure, None);
                self.outbox.answer(sender, Err(SwapError::refused(&failure)));
                continue;
            }
            seat.pardon(Some(known.digest));
            seat.by_hand = Some(ByHand { known: known.clone(), instead_of: seat.offered });
            let build = Build::new(Code::File(known.clone()), Arc::clone(&seat.entry), config, seat.reloads);
            seat.waiters.push((build.key, sender));
            self.offer(&name, build);
        }
        self.job(async move {
            let outcomes = join_all(outcomes).await.into_iter();
            let all = outcomes.map(|outcome| outcome.unwrap_or(Err(SwapError::ShuttingDown))).collect();
            let _ = answer.send(all);
            Done::Nothing
        });
    }

    pub(super) fn reload(&mut self, name: &str, answer: Waiter) {
        let Some(seat) = self.seats.get_mut(name) else {
            self.outbox.answer(answer, Err(self.unknown(name)));
            return;
        };
        seat.reloads += 1;
        if let Some(digest) = seat.machine.serving().map(|build| build.key.digest) {
            seat.pardon(digest);
        }
        if let Some(before) = seat.reload.replace(answer) {
            self.outbox.answer(before, Err(SwapError::Superseded { name: name.to_owned() }));
        }
        self.look(Vec::new());
    }

    pub(super) fn roll_back(&mut self, name: &str, answer: Waiter) {
        let Some(seat) = self.seats.get_mut(name) else {
            self.outbox.answer(answer, Err(self.unknown(name)));
            return;
        };
        let Some(build) = seat.machine.rollback_to().filter(|_| seat.serves()) else {
            self.outbox.answer(answer, Err(SwapError::NothingToRollBackTo { name: name.to_owned() }));
            return;
        };
        let pinned = match &build.code {
            Code::File(known) => Some(ByHand { known: known.clone(), instead_of: seat.offered }),
            Code::Linked(_) => None,
        };
        seat.waiters.push((build.key, answer));
        seat.rollback_why = (ROLLED_BACK, "it was rolled back by hand".to_owned());
        self.tell(name, Event::RollBack);
        if let Some(seat) = self.seats.get_mut(name) {
            seat.by_hand = pinned;
        }
    }

    pub(super) fn unpin(&mut self, name: &str, answer: Answer<Unpinned>) {
        let Some(seat) = self.seats.get_mut(name) else {
            self.outbox.answer(answer, Err(self.unknown(name)));
            return;
        };
        let was = seat.by_hand.take().map(|by_hand| by_hand.known.status());
        let lifted = seat.lift(|ban| ban.by_hand());
        tracing::info!(plugin = name, "not pinned any more: the plugin directories decide");
        self.outbox.answer(answer, Ok(Unpinned { was, lifted }));
        self.look(Vec::new());
    }

    pub(super) fn unquarantine(&mut self, name: &str, answer: Answer<Vec<Quarantined>>) {
        let Some(seat) = self.seats.get_mut(name) else {
            self.outbox.answer(answer, Err(self.unknown(name)));
            return;
        };
        let lifted = seat.lift(|_| true);
        tracing::info!(plugin = name, builds = lifted.len(), "its quarantine is lifted");
        self.outbox.answer(answer, Ok(lifted));
        self.look(Vec::new());
    }

    fn unknown(&self, name: &str) -> SwapError {
        SwapError::UnknownName { name: name.to_owned(), known: self.seats.keys().cloned().collect() }
    }
}

impl Seat {
    fn is_banned(&self, known: &Known, settings: &[u8; 32]) -> bool {
        self.bans.iter().any(|ban| ban.covers(Some(known.digest), settings))
    }

    /// The file that would serve, whatever kinds it has.
    fn best<'a>(&self, scan: &'a Scan, settings: &[u8; 32]) -> Option<&'a Known> {
        let banned = |known: &Known| self.is_banned(known, settings);
        choice(scan.of(&self.entry.library), self.entry.version.as_ref(), banned)
    }

    /// The file that should serve.
    fn choose(&mut self, scan: &Scan, settings: &[u8; 32], remembers: bool) -> Option<Known> {
        let unfit = |known: &Known| self.is_banned(known, settings) || !self.lacks(known, remembers).is_empty();
        let listed = choice(scan.of(&self.entry.library), self.entry.version.as_ref(), unfit).cloned();
        let digest = listed.as_ref().map(|known| known.digest);
        self.offered = digest.or(self.offered);
        if let Some(by_hand) = &self.by_hand {
            if digest.is_none_or(|digest| by_hand.instead_of == Some(digest))
                && !self.is_banned(&by_hand.known, settings)
            {
                return Some(by_hand.known.clone());
            }
            self.by_hand = None;
        }
        let listed = listed?;
        // In doubt, what serves does not give way to a lower version.
        let lower = |serving: &Build| match &serving.code {
            Code::File(serving) => listed.version < serving.version,
            Code::Linked(_) => false,
        };
        if scan.held.contains(&self.entry.library) && self.machine.serving().is_some_and(lower) {
            return None;
        }
        Some(listed)
    }
}

/// A missing file may be one of those that were refused: name them.
fn with_refused(failure: &PluginFailure, refused: &[RefusedFile]) -> String {
    match failure {
        PluginFailure::NoFile { .. } | PluginFailure::NoVersion { .. } if !refused.is_empty() => {
            let files = refused.iter().map(|file| file.message.as_str()).collect::<Vec<_>>().join("; ");
            format!("{failure} (refused files: {files})")
        }
        _ => failure.to_string(),
    }
}
