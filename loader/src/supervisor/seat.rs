//! [`Seat`]: one slot as the supervisor knows it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::oneshot;

use super::build::{Build, Key};
use super::kinds::Narrower;
use super::memory::SeatMemory;
use super::outbox::Outbox;
use crate::config::{PluginEntry, ResolvedConfig};
use crate::error::{PluginFailure, Remedy, SwapError};
use crate::events::Phases;
use crate::instance::{Instance, Shares};
use crate::scan::Known;
use crate::slot::{Slot, Wishes};
use crate::start::Prepared;
use crate::status::{Quarantined, Retry, SwapStatus, Swapped, seconds};
use crate::swap::{Machine, Number};
use crate::verify::Digest;

/// The first pause before a build is tried again; it doubles with each try.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest pause.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Kind of what stands against a build that was rolled back by hand.
pub(super) const ROLLED_BACK: &str = "rolled-back";

/// Who waits for what becomes of a build.
pub(super) type Waiter = oneshot::Sender<Result<Swapped, SwapError>>;

/// A generation that is alive.
pub(super) struct Made {
    pub(super) instance: Arc<Instance>,
    pub(super) build: Build,
}

/// A build that is not tried.
pub(super) struct Ban {
    /// Only with these settings; none: with whatever settings.
    pub(super) settings: Option<[u8; 32]>,
    pub(super) status: Quarantined,
    /// It served and was taken back: what comes after a restart must know.
    pub(super) served: bool,
}

impl Ban {
    /// Whether a build falls under it.
    pub(super) fn covers(&self, digest: Option<Digest>, settings: &[u8; 32]) -> bool {
        self.status.build.digest == digest && self.settings.as_ref().is_none_or(|banned| banned == settings)
    }

    /// Whether somebody wanted it.
    pub(super) fn by_hand(&self) -> bool {
        self.status.kind == ROLLED_BACK
    }
}

/// A build that is to be tried again.
pub(super) struct Again {
    key: Key,
    attempts: u32,
    at: SystemTime,
    due: bool,
    kind: &'static str,
    message: String,
}

/// A file that was asked for by hand.
pub(super) struct ByHand {
    pub(super) known: Known,
    /// What the directories had then: something else from them ends it.
    pub(super) instead_of: Option<Digest>,
}

/// When the candidate under way reached which step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) since: Instant,
    pub(super) phases: Phases,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { since: Instant::now(), phases: Phases::default() }
    }

    /// Microseconds since the last step.
    pub(super) fn lap(&mut self) -> u64 {
        let now = Instant::now();
        let lap = now - std::mem::replace(&mut self.since, now);
        u64::try_from(lap.as_micros()).unwrap_or(u64::MAX)
    }
}

/// One slot.
pub(super) struct Seat {
    pub(super) slot: Arc<Slot>,
    pub(super) machine: Machine<Build>,
    pub(super) entry: Arc<PluginEntry>,
    /// As last resolved.
    pub(super) config: Option<ResolvedConfig>,
    /// An entry names it; otherwise a file that is there has its id.
    pub(super) listed: bool,
    pub(super) disabled: bool,
    pub(super) orphaned: bool,
    pub(super) made: BTreeMap<Number, Made>,
    pub(super) last: Number,
    pub(super) serving: Option<Number>,
    /// How the generation that served before did.
    pub(super) before: Shares,
    /// What the check of the candidate under way has made ready.
    pub(super) prepared: Option<(Key, Prepared)>,
    pub(super) clock: Clock,
    /// The private copies of what has served, by digest: the original may be another file by now.
    pub(super) kept: BTreeMap<Digest, PathBuf>,
    pub(super) bans: Vec<Ban>,
    /// What is passed over for lack of a kind.
    pub(super) narrower: Option<Narrower>,
    pub(super) again: Option<Again>,
    pub(super) by_hand: Option<ByHand>,
    /// Builds that have replaced another one.
    pub(super) swaps: u64,
    pub(super) rollbacks: u64,
    pub(super) refusals: u64,
    /// What the directories had at the last look.
    pub(super) offered: Option<Digest>,
    pub(super) reloads: u64,
    pub(super) waiters: Vec<(Key, Waiter)>,
    /// Waits for the build that the next look makes.
    pub(super) reload: Option<Waiter>,
    /// The last complaint about its configuration, so that it is made once.
    pub(super) complained: Option<String>,
    /// What was last found good, and what a restart must know of what was not.
    pub(super) memory: SeatMemory,
    /// Why the next rollback is made.
    pub(super) rollback_why: (&'static str, String),
    /// Why the slot is vacated next.
    pub(super) vacate_why: (&'static str, String),
}

impl Seat {
    pub(super) fn new(slot: Arc<Slot>, entry: Arc<PluginEntry>) -> Self {
        Self {
            slot,
            machine: Machine::default(),
            entry,
            config: None,
            listed: false,
            disabled: false,
            orphaned: false,
            made: BTreeMap::new(),
            last: 0,
            serving: None,
            before: Shares::default(),
            prepared: None,
            clock: Clock::start(),
            kept: BTreeMap::new(),
            bans: Vec::new(),
            narrower: None,
            again: None,
            by_hand: None,
            swaps: 0,
            rollbacks: 0,
            refusals: 0,
            offered: None,
            reloads: 0,
            waiters: Vec::new(),
            reload: None,
            complained: None,
            memory: SeatMemory::default(),
            rollback_why: (ROLLED_BACK, String::new()),
            vacate_why: ("disabled", String::new()),
        }
    }

    pub(super) fn serves(&self) -> bool {
        self.serving.is_some()
    }

    /// Whether the host is not ready without it.
    pub(super) fn is_required(&self) -> bool {
        self.entry.required && !self.disabled
    }

    pub(super) fn is_settled(&self) -> bool {
        self.machine.under_way().is_none() && !self.memory.recovering
    }

    /// Forgets what stood against this content.
    pub(super) fn pardon(&mut self, digest: Option<Digest>) {
        self.bans.retain(|ban| ban.status.build.digest != digest);
        self.again = None;
    }

    /// Takes back what stands against builds, and gives what it was.
    pub(super) fn lift(&mut self, which: impl Fn(&Ban) -> bool) -> Vec<Quarantined> {
        self.again = None;
        self.bans.extract_if(.., |ban| which(ban)).map(|ban| ban.status).collect()
    }

    pub(super) fn add_ban(&mut self, build: &Build, with_settings: bool, kind: &'static str, message: String) {
        let settings = with_settings.then_some(build.key.settings);
        let served = self.made.values().any(|made| made.build.key == build.key);
        let status = Quarantined { build: build.status(), kind: kind.into(), message };
        self.bar(Ban { settings, status, served });
    }

    /// Takes the place of what stood against the same.
    pub(super) fn bar(&mut self, ban: Ban) {
        self.bans.retain(|old| old.status.build.digest != ban.status.build.digest || old.settings != ban.settings);
        self.bans.push(ban);
    }

    /// Notes that a build has failed. Gives how long to wait before it is tried again, if it is to be.
    pub(super) fn note_failure(&mut self, build: &Build, failure: &PluginFailure) -> Option<Duration> {
        let message = failure.to_string();
        let asked = match failure.remedy() {
            Remedy::NewFile => {
                self.add_ban(build, false, failure.kind(), message);
                return None;
            }
            Remedy::NewSettings => {
                self.add_ban(build, true, failure.kind(), message);
                return None;
            }
            Remedy::Time(asked) => asked,
        };
        let attempts = self.again.take().filter(|again| again.key == build.key).map_or(0, |again| again.attempts) + 1;
        let doubled = FIRST_RETRY.saturating_mul(2_u32.saturating_pow(attempts - 1)).min(LAST_RETRY);
        let wait = asked.map_or(doubled, |asked| asked.clamp(FIRST_RETRY, LAST_RETRY));
        let at = SystemTime::now() + wait;
        self.again = Some(Again { key: build.key, attempts, at, due: false, kind: failure.kind(), message });
        Some(wait)
    }

    /// Whether a build must wait before it is tried again.
    pub(super) fn waits(&self, key: Key) -> bool {
        self.again.as_ref().is_some_and(|again| again.key == key && !again.due)
    }

    /// The pause is over.
    pub(super) fn due(&mut self, key: Key) {
        if let Some(again) = self.again.as_mut().filter(|again| again.key == key) {
            again.due = true;
        }
    }

    /// Tells those who wait for a build what became of it.
    pub(super) fn answer(&mut self, key: Key, outcome: &Result<Swapped, SwapError>, outbox: &Outbox) {
        for (_, waiter) in self.waiters.extract_if(.., |(waited, _)| *waited == key) {
            outbox.answer(waiter, outcome.clone());
        }
    }

    /// What stands against builds.
    pub(super) fn against(&self) -> impl Iterator<Item = &Quarantined> {
        self.bans.iter().map(|ban| &ban.status).chain(self.narrower.as_ref().map(|narrower| &narrower.status))
    }

    pub(super) fn publish(&self) {
        let rollback_to = self.machine.rollback_to().map(Build::status);
        let retry = self.again.as_ref().map(|again| Retry {
            attempts: again.attempts,
            at: seconds(again.at),
            kind: again.kind,
            message: again.message.clone(),
        });
        self.slot.set_required(self.is_required());
        self.slot.set_library(&self.entry.library);
        let (wanted, required, audit) = (!self.disabled, self.entry.required, self.entry.audit.clone());
        self.slot.set_wishes(Wishes { wanted, required, audit });
        self.slot.set_swap_status(SwapStatus {
            state: self.machine.phase().name(),
            candidate: self.machine.under_way().map(Build::status),
            rollback_to,
            swaps: self.swaps,
            rollbacks: self.rollbacks,
            refusals: self.refusals,
            orphaned: self.orphaned,
            pinned: self.by_hand.as_ref().map(|by_hand| by_hand.known.status()),
            last_good: self.memory.stands_in(self.machine.serving()).map(str::to_owned),
            quarantine: self.against().cloned().collect(),
            retry,
            // These two the slot knows itself.
            zombies: Vec::new(),
            retired: Vec::new(),
        });
    }
}
