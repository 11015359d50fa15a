//! Step 4 of the life cycle: a process of its own tries a candidate before this one maps it.
//!
//! One ELF constructor that hangs would freeze every new thread of the host, one that faults or exits would end it, and
//! nothing in the host could stop either. So a child process maps the very private copy that the host will map, calls its
//! entry, compares layouts, reads the configuration ([`PreflightLevel::Open`]), and, if the plugin allows, also creates an
//! instance, asks its health and ends it ([`PreflightLevel::Create`]): with the purpose "preflight", in a scratch data
//! directory, under limits. What ends the child ends nothing else.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `wire.rs`, `faults.rs` | what the two processes say to each other |
//! | `run.rs`, `process.rs` | the host's side: starts the child, listens, kills and reaps it |
//! | `verdict.rs` | what a child's end means |
//! | `child.rs`, `confine.rs` | the child's side |
//! | `checker.rs` | trials without a host: `mini-chat-plugins check` |
//!
//! The configuration, which may hold secrets, goes through a pipe: not through arguments, environment or files.

mod checker;
mod child;
mod confine;
mod faults;
mod process;
mod run;
pub(crate) mod scratch;
#[cfg(test)]
mod tests;
mod verdict;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

pub use checker::Checker;
pub use child::preflight_child;

use crate::config::{PluginEntry, ResolvedConfig};
use crate::error::{PluginFailure, PreflightError};
use crate::housekeeping::{self, Housekeeping, after};
use crate::services::HostIdentity;
use crate::verify::{self, Descriptor, VerifiedImage};

/// What a trial may have of memory beyond what its process has at its start, where nobody says otherwise: 1 GiB.
pub(crate) const DEFAULT_MEMORY: u64 = 1 << 30;

/// Whether candidates are tried in a process of their own before they are mapped, and which program that is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Preflight {
    /// The host's own program, if it called [`preflight_child`] before; else none, with a warning.
    #[default]
    Automatic,
    /// This program, which must call [`preflight_child`] at the top of its `main`, and be built with this version of the
    /// loader: `mini-chat-plugins` is one.
    Program(PathBuf),
    /// None: what a candidate does while it is mapped, it does to the host.
    Off,
}

/// How far a trial goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PreflightLevel {
    /// Map it, compare layouts, read the configuration.
    Open,
    /// Also create an instance, ask its health, and end it.
    Create,
}

impl PreflightLevel {
    /// The furthest that a plugin allows. One that is exclusive (it has a hook `quiesce`) must not be created while
    /// another generation of it may serve.
    #[must_use]
    pub fn of(descriptor: &Descriptor) -> Self {
        match descriptor.preflight {
            verify::Preflight::Create if !descriptor.is_exclusive() => Self::Create,
            _ => Self::Open,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Create => "create",
        }
    }
}

/// What a trial found that ended well.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PreflightReport {
    /// How far it went.
    pub level: PreflightLevel,
    /// How long it took, the start of its process included.
    pub took: Duration,
    /// What the shutdown hook failed with: no reason to refuse the candidate.
    pub shutdown_error: Option<String>,
    /// The end of what the process wrote to stdout and stderr.
    pub wrote: String,
}

/// Tries candidates.
#[derive(Debug, Clone)]
pub(crate) struct Preflighter {
    /// None: no trials.
    program: Option<PathBuf>,
    memory: u64,
    /// A trial wants a processor of its own, more or less, and may take its share of memory.
    permits: Arc<Semaphore>,
}

/// One candidate, with what its instance will have.
pub(crate) struct Trial {
    pub(crate) image: Arc<VerifiedImage>,
    /// The private copy that the host will map.
    pub(crate) copy: PathBuf,
    pub(crate) level: PreflightLevel,
    pub(crate) entry: PluginEntry,
    pub(crate) generation: u64,
    pub(crate) workers: u32,
    pub(crate) config: ResolvedConfig,
    pub(crate) identity: HostIdentity,
    /// The scratch data directory, which is made and removed; none if the instance will have none.
    pub(crate) scratch: Option<PathBuf>,
}

impl Preflighter {
    /// `memory`: bytes that a trial may take beyond what its process has at its start.
    pub(crate) fn new(choice: &Preflight, memory: u64) -> Self {
        let program = match choice {
            Preflight::Automatic if child::was_called() => Some(PathBuf::from("/proc/self/exe")),
            Preflight::Program(program) => Some(program.clone()),
            Preflight::Automatic | Preflight::Off => None,
        };
        let permits = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        Self { program, memory, permits: Arc::new(Semaphore::new(permits)) }
    }

    /// Whether there are trials.
    pub(crate) fn is_on(&self) -> bool {
        self.program.is_some()
    }

    /// Says what to do where the choice is automatic and there is nothing to choose.
    pub(crate) fn warn_if_missing(&self, choice: &Preflight) {
        if *choice == Preflight::Automatic && !self.is_on() {
            tracing::warn!(
                "plugins are mapped without a trial: one that hangs or crashes while it is mapped takes this process with \
                 it; call mini_chat_plugin_loader::preflight_child() at the top of main, or name a program with \
                 Preflight::Program, or say Preflight::Off"
            );
        }
    }

    /// Tries a candidate; nothing if there are no trials. Runs under any executor. Dropped half-way, it ends the child.
    ///
    /// # Errors
    ///
    /// The [`LoadError`](crate::error::LoadError) or [`CreateError`](crate::error::CreateError) that the host would get,
    /// or [`PreflightError`] if the candidate ended its process.
    pub(crate) async fn check(
        &self,
        housekeeping: &Housekeeping,
        trial: Trial,
    ) -> Result<Option<PreflightReport>, PluginFailure> {
        let Some(program) = self.program.clone() else { return Ok(None) };
        // Never closed.
        let _permit = Arc::clone(&self.permits).acquire_owned().await;
        let not_started = |reason: &str| PreflightError::NotStarted {
            path: trial.image.path().to_owned(),
            reason: reason.to_owned(),
        };
        let limits = run::Limits::of(&trial.entry.limits);
        let (input, memory) = (wire::request(&trial, self.memory, limits.processor_time()), self.memory);
        let scratch = trial.scratch.clone();
        let cancelled = Cancelled::default();
        let flag = Arc::clone(&cancelled.0);
        let job = housekeeping::run("mini-chat-preflight", move || {
            run::run(&run::Order { program, input, limits, memory, scratch }, &flag)
        });
        // The job keeps its own time; this is for a child that the system cannot end.
        match housekeeping.until(after(limits.whole()), job).await {
            Some(Ok(ended)) => verdict::judge(ended, &trial, self.memory).map(Some),
            Some(Err(_)) => Err(not_started("no thread to look after it").into()),
            None => Err(not_started("the system does not end it").into()),
        }
    }
}

/// Tells the job when nobody waits for it any more.
#[derive(Default)]
struct Cancelled(Arc<AtomicBool>);

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The path of a private copy as another process of the same user finds it.
fn seen_from_outside(copy: &Path) -> PathBuf {
    match copy.strip_prefix("/proc/self") {
        Ok(rest) => Path::new("/proc").join(std::process::id().to_string()).join(rest),
        Err(_) => copy.to_owned(),
    }
}
