//! Full load: threads that run whole turns, one after the other, on all nine methods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use futures_executor::block_on;
use hdrhistogram::Histogram;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_sdk::prelude::*;

use crate::builds::ID;
use crate::tally::{Expected, METHODS, request};

/// How long a call may have taken, in nanoseconds; a figure is right to one part in a thousand.
const TIMES: (u64, u64, u8) = (1, 600_000_000_000, 3);
/// Messages of failures that are kept.
const KEPT: usize = 20;

/// What callers and whoever swaps builds tell each other.
#[derive(Default)]
pub(crate) struct Shared {
    stop: AtomicBool,
    /// A build is on its way.
    window: AtomicBool,
    /// Odd: a build is there, or may be, that is to be rolled back. Its failures, and the way back, are its own.
    bad: AtomicU64,
    /// When a build first answered.
    first: Mutex<BTreeMap<u64, Instant>>,
    /// What failed and should not have.
    failures: Mutex<Vec<String>>,
}

impl Shared {
    /// A build is on its way, or is no more.
    pub(crate) fn set_window(&self, open: bool) {
        self.window.store(open, Ordering::SeqCst);
    }

    /// A build that is to be rolled back is on its way.
    pub(crate) fn expect_a_bad_one(&self) {
        assert_eq!(self.bad.fetch_add(1, Ordering::SeqCst) % 2, 0);
    }

    /// It has been rolled back.
    pub(crate) fn it_is_gone(&self) {
        assert_eq!(self.bad.fetch_add(1, Ordering::SeqCst) % 2, 1);
    }

    /// When this build, or a later one, was first heard of.
    pub(crate) fn first_answer(&self, build: u64) -> Option<Instant> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        first.range(build..).map(|(_, at)| *at).min()
    }

    fn heard(&self, build: u64) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).entry(build).or_insert_with(Instant::now);
    }

    fn failed(&self, what: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() < KEPT {
            failures.push(what);
        }
    }
}

/// Nothing yet.
pub(crate) fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(TIMES.0, TIMES.1, TIMES.2).expect("bounds that it can have")
}

/// What one caller, or all of them, saw.
pub(crate) struct Seen {
    pub(crate) calls: u64,
    pub(crate) turns: u64,
    pub(crate) failed_calls: u64,
    pub(crate) failed_turns: u64,
    /// Failed because of a build that was rolled back for it.
    pub(crate) failed_calls_of_bad_builds: u64,
    pub(crate) older_answers: u64,
    /// Turns that more than one build answered.
    pub(crate) spanning_turns: u64,
    pub(crate) inside: Histogram<u64>,
    pub(crate) outside: Histogram<u64>,
    pub(crate) expected: Vec<Expected>,
    pub(crate) failures: Vec<String>,
}

impl Seen {
    fn new() -> Self {
        Self {
            calls: 0,
            turns: 0,
            failed_calls: 0,
            failed_turns: 0,
            failed_calls_of_bad_builds: 0,
            older_answers: 0,
            spanning_turns: 0,
            inside: times(),
            outside: times(),
            expected: Vec::new(),
            failures: Vec::new(),
        }
    }

    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.turns += other.turns;
        self.failed_calls += other.failed_calls;
        self.failed_turns += other.failed_turns;
        self.failed_calls_of_bad_builds += other.failed_calls_of_bad_builds;
        self.older_answers += other.older_answers;
        self.spanning_turns += other.spanning_turns;
        self.inside.add(other.inside).expect("the same bounds");
        self.outside.add(other.outside).expect("the same bounds");
        self.expected.extend(other.expected);
        self.failures.extend(other.failures);
    }
}

/// Threads that call.
pub(crate) struct Callers {
    pub(crate) shared: Arc<Shared>,
    threads: Vec<JoinHandle<Seen>>,
}

impl Callers {
    /// One per processor, at least two.
    pub(crate) fn start(host: &PluginHost) -> Self {
        let shared = Arc::new(Shared::default());
        let count = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2)) as u64;
        let threads = (0..count).map(|number| {
            let mut caller = Caller {
                shared: Arc::clone(&shared),
                policy: host.model_policy(ID),
                audit: host.audit(ID),
                number,
                events: Events::new(),
                newest: (0, 0),
                bad: 0,
                unacknowledged: BTreeSet::new(),
                seen: Seen::new(),
            };
            let thread = std::thread::Builder::new().name(format!("caller-{number}"));
            thread.spawn(move || caller.run()).expect("a thread")
        });
        Self { threads: threads.collect(), shared }
    }

    /// Ends them. What they saw.
    pub(crate) fn end(self) -> Seen {
        self.shared.stop.store(true, Ordering::SeqCst);
        let mut all = Seen::new();
        for thread in self.threads {
            all.add(thread.join().expect("a caller does not panic"));
        }
        all.failures = std::mem::take(&mut *self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner));
        all
    }
}

/// What is sent.
struct Events {
    usage: UsageEvent,
    turn: TurnAuditEvent,
    retry: TurnRetryAuditEvent,
    edit: TurnEditAuditEvent,
    delete: TurnDeleteAuditEvent,
}

macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str(include_str!(concat!("../../fixtures/mini-chat/full/", $name, ".json")))
            .expect("the fixture is one")
    };
}

impl Events {
    fn new() -> Self {
        Self {
            usage: fixture!("UsageEvent"),
            turn: fixture!("TurnAuditEvent"),
            retry: fixture!("TurnRetryAuditEvent"),
            edit: fixture!("TurnEditAuditEvent"),
            delete: fixture!("TurnDeleteAuditEvent"),
        }
    }
}

struct Caller {
    shared: Arc<Shared>,
    policy: Arc<dyn MiniChatModelPolicyPluginClientV1>,
    audit: Arc<dyn MiniChatAuditPluginClientV1>,
    number: u64,
    events: Events,
    /// The newest build and the newest generation that answered.
    newest: (u64, u64),
    /// [`Shared::bad`] at the last call.
    bad: u64,
    unacknowledged: BTreeSet<(usize, u64)>,
    seen: Seen,
}

impl Caller {
    fn run(&mut self) -> Seen {
        let mut before = None;
        while !self.shared.stop.load(Ordering::Relaxed) {
            let version = self.turn();
            self.seen.turns += 1;
            // The next turn's first call follows the last one of this turn at once.
            if before.is_some() && version.is_some() && before != version {
                self.seen.spanning_turns += 1;
            }
            before = version;
        }
        let (caller, turns) = (self.number, self.seen.turns);
        let unacknowledged = std::mem::take(&mut self.unacknowledged);
        self.seen.expected.push(Expected { caller, turns, unacknowledged });
        std::mem::replace(&mut self.seen, Seen::new())
    }

    /// One turn. Gives the version that it is about.
    fn turn(&mut self) -> Option<u64> {
        let (user, failed) = (Uuid::from_u128(7), self.seen.failed_calls);
        let request = request(self.number, self.seen.turns);
        let (policy, audit) = (Arc::clone(&self.policy), Arc::clone(&self.audit));
        let token = CancellationToken::new;

        let version = self.call("get_current_policy_version", || {
            block_on(policy.get_current_policy_version(user, token())).map(|info| info.policy_version)
        });
        if let Some(version) = version {
            self.build(version);
        }
        let about = version.unwrap_or(self.newest.0);
        self.snapshot(&*policy, user, about);
        let limits = self.call("get_user_limits", || block_on(policy.get_user_limits(user, about, token())));
        if let Some(limits) = limits {
            self.build(limits.standard.limit_daily_credits_micro.unsigned_abs());
            self.generation(limits.standard.limit_monthly_credits_micro.unsigned_abs());
            if limits.policy_version != about {
                self.wrong(format!("limits of version {}, asked for {about}", limits.policy_version));
            }
        }
        let licence = self.call("check_user_license", || block_on(policy.check_user_license(user, token())));
        if licence.is_some_and(|licence| !licence.active) {
            self.wrong("a licence that is not active".to_owned());
        }
        let (mut usage, mut turn) = (self.events.usage.clone(), self.events.turn.clone());
        (usage.request_id, turn.request_id) = (request, request);
        self.event(0, || block_on(policy.publish_usage(usage, token())));
        self.event(1, || block_on(audit.emit_turn_audit(turn)));
        let (mut retry, mut edit) = (self.events.retry.clone(), self.events.edit.clone());
        (retry.original_request_id, edit.original_request_id) = (request, request);
        self.event(2, || block_on(audit.emit_turn_retry_audit(retry)));
        self.event(3, || block_on(audit.emit_turn_edit_audit(edit)));
        let mut delete = self.events.delete.clone();
        delete.request_id = request;
        self.event(4, || block_on(audit.emit_turn_delete_audit(delete)));
        // A newer build answers for the version of an older one.
        self.snapshot(&*policy, user, about);
        self.seen.failed_turns += u64::from(self.seen.failed_calls != failed);
        version
    }

    fn snapshot(&mut self, policy: &dyn MiniChatModelPolicyPluginClientV1, user: Uuid, about: u64) {
        let snapshot = self.call("get_policy_snapshot", || {
            block_on(policy.get_policy_snapshot(user, about, CancellationToken::new()))
        });
        if let Some(snapshot) = snapshot
            && snapshot.policy_version != about
        {
            self.wrong(format!("a snapshot of version {}, asked for {about}", snapshot.policy_version));
        }
    }

    fn event<E: std::fmt::Display>(&mut self, method: usize, call: impl FnOnce() -> Result<(), E>) {
        if self.call(METHODS[method], call).is_none() {
            self.unacknowledged.insert((method, self.seen.turns));
        }
    }

    /// One call, timed. Nothing if it failed.
    fn call<T, E: std::fmt::Display>(&mut self, method: &str, call: impl FnOnce() -> Result<T, E>) -> Option<T> {
        let (bad, inside) = (self.shared.bad.load(Ordering::SeqCst), self.shared.window.load(Ordering::SeqCst));
        let begin = Instant::now();
        let answer = call();
        let took = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let after = self.shared.bad.load(Ordering::SeqCst);
        self.seen.calls += 1;
        let histogram = if inside { &mut self.seen.inside } else { &mut self.seen.outside };
        histogram.saturating_record(took.max(1));
        // Around a bad build, an older one may answer after it.
        if bad != self.bad || bad % 2 == 1 || after != bad {
            self.newest = (0, 0);
        }
        self.bad = after;
        match answer {
            Ok(answer) => return Some(answer),
            Err(_) if bad % 2 == 1 || after % 2 == 1 || bad != after => self.seen.failed_calls_of_bad_builds += 1,
            Err(error) => {
                self.seen.failed_calls += 1;
                self.shared.failed(format!("{method}: {error}"));
            }
        }
        None
    }

    fn build(&mut self, build: u64) {
        if build < self.newest.0 {
            self.seen.older_answers += 1;
            self.shared.failed(format!("build {build} answered after build {}", self.newest.0));
        } else if build > self.newest.0 {
            self.newest.0 = build;
            self.shared.heard(build);
        }
    }

    fn generation(&mut self, generation: u64) {
        if generation < self.newest.1 {
            self.seen.older_answers += 1;
            self.shared.failed(format!("generation {generation} answered after generation {}", self.newest.1));
        }
        self.newest.1 = self.newest.1.max(generation);
    }

    /// An answer that is wrong is as good as none.
    fn wrong(&mut self, what: String) {
        self.seen.failed_calls += 1;
        self.shared.failed(what);
    }
}
