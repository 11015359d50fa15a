//! The supervisor: one thread per host that decides what serves, and swaps it.
//!
//! It looks (files, configuration), works out for each slot which build should serve ([`wishes`]), tells the slot's state
//! machine ([`crate::swap`]), and carries out what that asks for. Everything that blocks or runs a plugin's code is a job
//! on a thread of its own; the supervisor itself only waits for commands and jobs, so it is always ready to roll back.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `wishes.rs` | one look: what is wanted, what there is |
//! | `build.rs` | a build: code with settings |
//! | `seat.rs` | one slot as the supervisor knows it |
//! | `run.rs` | the loop: commands and jobs |
//! | `desire.rs` | from a look to offers |
//! | `effects.rs` | what the machine asks for |
//! | `memory.rs` | what a restart must know, and what it makes of it |
//! | `end.rs` | shutdown |

mod build;
mod desire;
mod effects;
mod end;
mod kinds;
mod memory;
mod outbox;
mod run;
mod seat;
mod wishes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot, watch};

use crate::error::SwapError;
use crate::open::turn;
use crate::services::HostIdentity;
use crate::slot::Slot;
use crate::start::Starter;
use crate::state::{Keeper, Remembered};
use crate::status::{
    HostFacts, HostSnapshot, Quarantined, RefusedFile, ShutdownReport, StateStatus, Swapped, Unpinned, seconds,
};
use crate::verify::{ReadLimits, VerifyPolicy};
pub(crate) use wishes::Sources;

/// What the supervisor and the host's handles share.
pub(crate) struct Shared {
    pub(crate) slots: RwLock<BTreeMap<String, Arc<Slot>>>,
    pub(crate) refused: Mutex<Vec<RefusedFile>>,
    pub(crate) snapshot: watch::Sender<HostSnapshot>,
    /// Grows after each change of the snapshot.
    pub(crate) version: AtomicU64,
    /// How it ended; set before anybody is told.
    pub(crate) report: Mutex<Option<ShutdownReport>>,
    /// Why the configuration is not what `plugins.toml` says.
    pub(crate) config_refused: Mutex<Option<String>>,
    pub(crate) state: Mutex<StateStatus>,
    /// Libraries that may be mapped in this process.
    pub(crate) max_images: u32,
    identity: HostIdentity,
    since: SystemTime,
}

impl Shared {
    pub(crate) fn new(max_images: u32, identity: HostIdentity) -> Self {
        Self {
            slots: RwLock::default(),
            refused: Mutex::default(),
            snapshot: watch::Sender::new(HostSnapshot::default()),
            version: AtomicU64::new(0),
            report: Mutex::default(),
            config_refused: Mutex::default(),
            state: Mutex::default(),
            max_images,
            identity,
            since: SystemTime::now(),
        }
    }

    /// The host as a process.
    pub(crate) fn facts(&self, ready: bool) -> HostFacts {
        let HostIdentity { name, version } = self.identity.clone();
        HostFacts { name, version, pid: std::process::id(), since: seconds(self.since), ready }
    }

    pub(crate) fn state_dir(&self, dir: Option<PathBuf>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).dir = dir;
    }

    pub(crate) fn state_problem(&self, problem: Option<String>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).problem = problem;
    }

    /// The slot of a name, which exists from now on.
    pub(crate) fn slot(&self, name: &str) -> Arc<Slot> {
        if let Some(slot) = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(slot);
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(name.to_owned()).or_insert_with(|| {
            let why = "no plugin of this name is configured, and no file has it as its id";
            Arc::new(Slot::new(name, "unknown-name", why))
        });
        Arc::clone(slot)
    }
}

/// Who waits for an answer.
type Answer<T> = oneshot::Sender<Result<T, SwapError>>;

/// What the supervisor is asked.
pub(crate) enum Command {
    /// Something may have changed. `completed`: files that were seen being completed.
    Look { completed: Vec<PathBuf> },
    /// Serve this file.
    Swap { path: PathBuf, answer: Answer<Vec<Swapped>> },
    /// Create anew what serves.
    Reload { name: String, answer: Answer<Swapped> },
    /// Serve what served before.
    RollBack { name: String, answer: Answer<Swapped> },
    /// Let the plugin directories decide again.
    Unpin { name: String, answer: Answer<Unpinned> },
    /// Try again what is in quarantine.
    Unquarantine { name: String, answer: Answer<Vec<Quarantined>> },
    /// Show that the supervisor is at work.
    Ping { answer: oneshot::Sender<()> },
    /// A generation does worse than its predecessor.
    Tripped { name: String, number: u64, why: String },
    /// A generation has not ended its calls within its drain limit.
    DrainLimit { name: String, number: u64, calls: i64 },
    /// End everything.
    Shutdown { answer: oneshot::Sender<ShutdownReport> },
    /// The host is gone.
    Abandon,
}

/// What the supervisor works with.
pub(crate) struct Means {
    pub(crate) starter: Starter,
    pub(crate) shared: Arc<Shared>,
    pub(crate) limits: ReadLimits,
    pub(crate) policy: VerifyPolicy,
    /// Limit of the whole shutdown.
    pub(crate) shutdown: Duration,
    /// Whether directories and files are watched, and how often they are looked at in any case.
    pub(crate) watch: Option<Duration>,
    /// Writes down what a restart must know.
    pub(crate) keeper: Option<Keeper>,
}

/// The thread; it ends with this.
pub(crate) struct Supervisor {
    commands: mpsc::UnboundedSender<Command>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the thread. `settled` is answered when every plugin that is there at start serves, or cannot; with the names
    /// and reasons of the required ones that do not.
    pub(crate) fn start(
        means: Means,
        remembered: Remembered,
        sources: Sources,
        settled: oneshot::Sender<Vec<(String, String)>>,
    ) -> std::io::Result<Self> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let own = commands.clone();
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let thread = std::thread::Builder::new().name("mini-chat-supervisor".to_owned()).spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || {
                turn::prepare_thread();
                let run = run::Run::new(means, remembered, own, settled);
                futures_executor::block_on(run.run(sources, receiver));
            });
        })?;
        Ok(Self { commands, thread: Some(thread) })
    }

    /// Where its questions go.
    pub(crate) fn commands(&self) -> mpsc::UnboundedSender<Command> {
        self.commands.clone()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Abandon);
        if let Some(thread) = self.thread.take() {
            // It waits for nothing that can hang. A panic in it has been reported.
            let _ = thread.join();
        }
    }
}
