//! What happens in a host, told to whoever listens.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::broadcast;

use crate::config::ExecutionMode;
use crate::metrics::Happened;
use crate::verify::Digest;

/// How many events a slow receiver may be behind.
const CAPACITY: usize = 1024;

/// Something that happened in a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum HostEvent {
    /// The watchdog moved a plugin's calls onto the plugin's own runtime, or back.
    ModeChanged {
        /// The name of its slot.
        plugin: String,
        /// Where its calls run now.
        now: ExecutionMode,
        /// Why.
        why: String,
    },
    /// A generation serves from now on.
    Serving {
        /// The name of its slot.
        plugin: String,
        /// Its number in the slot.
        generation: u64,
        /// The number of the one that served before.
        replaces: Option<u64>,
        /// The plugin's version.
        version: String,
        /// Digest of the file; none if it is linked into the program.
        digest: Option<Digest>,
        /// The file.
        file: Option<PathBuf>,
        /// Whether it is on probation.
        probation: bool,
        /// How long its checks, its creation and the flip took.
        phases: Phases,
    },
    /// A build was not accepted. What served before serves on.
    Refused {
        /// The name of the slot.
        plugin: String,
        /// The build's version.
        version: String,
        /// Digest of the file; none if it is linked into the program.
        digest: Option<Digest>,
        /// The file.
        file: Option<PathBuf>,
        /// A stable code.
        kind: &'static str,
        /// For people.
        message: String,
        /// In how many milliseconds it is tried again; none: not before its content or its configuration changes.
        retry_in_ms: Option<u64>,
    },
    /// Nothing that the plugin directories have can serve: the last good build, out of the state directory, serves.
    FellBack {
        /// The name of the slot.
        plugin: String,
        /// The generation that serves.
        generation: u64,
        /// The plugin's version.
        version: String,
        /// Digest of its file.
        digest: Option<Digest>,
        /// Why.
        why: String,
    },
    /// A generation on probation did worse than its predecessor, which serves again.
    RolledBack {
        /// The name of the slot.
        plugin: String,
        /// The generation that was no good.
        generation: u64,
        /// Digest of its file: not tried again.
        digest: Option<Digest>,
        /// A stable code: `probation` if it did worse than its predecessor, `rolled-back` if somebody asked for it.
        kind: &'static str,
        /// Why.
        why: String,
    },
    /// A generation's probation has ended well.
    Proven {
        /// The name of the slot.
        plugin: String,
        /// The generation.
        generation: u64,
    },
    /// A generation was replaced, or its plugin disabled, and it has ended.
    Retired {
        /// The name of the slot.
        plugin: String,
        /// The generation.
        generation: u64,
        /// Calls that had not ended when the drain limit passed; their callers got errors.
        abandoned_calls: i64,
        /// What its shutdown hook failed with.
        shutdown_error: Option<String>,
        /// Bytes of heap that it still holds.
        heap_growth_bytes: Option<i64>,
        /// How long its last calls were waited for, in microseconds.
        drain_us: u64,
        /// How long its end took after that, in microseconds: its shutdown hook, and stopping its threads.
        end_us: u64,
    },
    /// A replaced generation has calls that did not end within the drain limit: it is listed until they do.
    Zombie {
        /// The name of the slot.
        plugin: String,
        /// The generation.
        generation: u64,
        /// Calls that have not ended.
        calls: i64,
    },
    /// An exclusive plugin could not take back what it had given up for a successor that failed: it is started anew.
    ResumeFailed {
        /// The name of the slot.
        plugin: String,
        /// The generation.
        generation: u64,
        /// Why.
        message: String,
    },
    /// The file of what serves has vanished. It serves on.
    Orphaned {
        /// The name of the slot.
        plugin: String,
        /// The file.
        file: Option<PathBuf>,
    },
    /// A plugin is no longer to serve.
    Disabled {
        /// The name of the slot.
        plugin: String,
    },
    /// A file in a plugin directory cannot be used.
    FileRefused {
        /// The file, or the directory that could not be read.
        file: PathBuf,
        /// A stable code.
        kind: &'static str,
        /// For people.
        message: String,
    },
    /// `plugins.toml`, or a secret that it refers to, is wrong. What was read before stays in force.
    ConfigRefused {
        /// For people; no value is quoted.
        message: String,
    },
}

/// How long the steps of a start, or of a swap, took. What a whole has beyond its parts are threads that begin and wait.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Phases {
    /// Reading, verifying, and preflight, in microseconds.
    pub check_us: u64,
    /// Of these: reading the file, its digest, and judging it without executing anything.
    pub read_us: u64,
    /// Of these: writing the private copy.
    pub copy_us: u64,
    /// Of these: the trial in a process of its own, and waiting for its turn; 0 without.
    pub preflight_us: u64,
    /// Waiting for a predecessor to end, in microseconds.
    pub wait_us: u64,
    /// Mapping, opening, constructor and health check, in microseconds. Calls of an exclusive plugin are held meanwhile.
    pub create_us: u64,
    /// Of these: writing to the state directory that the build is on trial; 0 without.
    pub mark_us: u64,
    /// Of these: what the predecessor did for it. Its state as a hint; of an exclusive one its last calls, the hook `quiesce`
    /// and its state.
    pub predecessor_us: u64,
    /// Of these: mapping the library, its relocations and its ELF constructors; waiting for the dynamic linker.
    pub map_us: u64,
    /// Of these: its entry, and comparing the layouts of everything that crosses.
    pub entry_us: u64,
    /// Of these: reading its configuration, and starting its threads.
    pub open_us: u64,
    /// Of these: the author's constructor.
    pub construct_us: u64,
    /// Of these: the health check.
    pub health_us: u64,
    /// The flip itself, in nanoseconds.
    pub flip_ns: u64,
}

/// Microseconds since then.
pub(crate) fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// The sending side.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    sender: broadcast::Sender<HostEvent>,
    happened: Arc<Mutex<Happened>>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), happened: Arc::default() }
    }

    /// Tells everybody who listens; nobody may.
    pub(crate) fn send(&self, event: HostEvent) {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner).note(&event);
        let _ = self.sender.send(event);
    }

    /// What all of them come to.
    pub(crate) fn happened(&self) -> Happened {
        self.happened.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<HostEvent> {
        self.sender.subscribe()
    }
}
