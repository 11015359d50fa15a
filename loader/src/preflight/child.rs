//! The child: tries one candidate, says how it goes, and ends.
//!
//! # Invariants
//!
//! 1. While this process has one thread, nobody else reads or writes its environment.
//! 2. Once the answer is given, nothing of this process is needed: it may end without running what other code, the
//!    candidate's too, wants to run at its end.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_executor::block_on;
use mini_chat_plugin_abi::instance::FfiPurpose;
use rustix::fs::FileType;

use super::PreflightLevel;
use super::confine::{close_inherited, die_with, is_single_threaded, limit};
use super::faults::{CreateFault, LoadFault};
use super::process::most_resident;
use super::wire::{Line, Request, SHUTDOWN, VARIABLE, read};
use crate::config::{ConfigTable, ExecutionMode, Limits, ResolvedConfig};
use crate::error::{PreflightStage, Stage};
use crate::events::Events;
use crate::housekeeping::{Housekeeping, after};
use crate::instance::{OpenedInstance, Settings};
use crate::open::MappedImage;
use crate::services::{HostIdentity, Registration};

static CALLED: AtomicBool = AtomicBool::new(false);

/// The exit code of a process that cannot be a trial; `EX_SOFTWARE` of `sysexits.h`.
const UNFIT: i32 = 70;

/// To be called first thing in `main`: makes this program able to try candidates in processes of its own.
///
/// In the host it returns at once. In a process that the loader started to try a candidate it does that, and never
/// returns. Such a process is this very program once more, so whatever stands before this call runs in it as well:
/// nothing should, no thread and no signal handler above all.
///
/// A program that does not call this is never started as a trial process, and its plugins are mapped without a trial unless
/// [`Preflight::Program`](super::Preflight::Program) names another one.
///
/// ```no_run
/// // First in `main`; then arguments, log, runtime, PluginHost::builder() …
/// mini_chat_plugin_loader::preflight_child();
/// ```
///
/// # In the trial process
///
/// Ends the process with code 70 and a text on stderr if `MINI_CHAT_PLUGIN_PREFLIGHT` is set but no host asks for
/// anything: it is no variable for people.
pub fn preflight_child() {
    CALLED.store(true, Ordering::Release);
    let Some(parent) = std::env::var_os(VARIABLE) else { return };
    match serve(&parent.to_string_lossy()) {
        // SAFETY: invariant 2.
        Ok(()) => unsafe { libc::_exit(0) },
        Err(error) => {
            // The one place to say it; nobody may read it.
            let _ = writeln!(
                io::stderr(),
                "{VARIABLE} is set, but no plugin host started this process to try a plugin ({error}); unset it"
            );
            // SAFETY: invariant 2: there is nobody to answer.
            unsafe { libc::_exit(UNFIT) }
        }
    }
}

/// Whether this program calls [`preflight_child`].
pub(super) fn was_called() -> bool {
    CALLED.load(Ordering::Acquire)
}

/// `Err`: there is nobody to answer.
fn serve(parent: &str) -> io::Result<()> {
    let parent = parent.parse().map_err(|_| io::Error::other("its value is no process id"))?;
    die_with(parent)?;
    if is_single_threaded() {
        // SAFETY: invariant 1. (A process that a candidate starts is no trial.)
        unsafe { std::env::remove_var(VARIABLE) };
    }
    close_inherited();
    let stdin = io::stdin();
    // Reading from a terminal, say, would wait for a person.
    if !is_pipe(&stdin)? || !is_pipe(io::stdout())? {
        return Err(io::Error::other("stdin and stdout are no pipes"));
    }
    let mut input = stdin.lock();
    let request = read(&mut input);
    drop(input);
    let answer = Answer::take_stdout()?;
    let (request, config) = match request {
        Ok(request) => request,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            answer.say(&Line::Unfit(error.to_string()));
            return Err(error);
        }
        Err(error) => return Err(error),
    };
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let data = match limit(request.memory, request.processor) {
        Ok(data) => data,
        Err(error) => {
            answer.say(&Line::Unfit(format!("its limit of memory cannot be set: {error}")));
            return Ok(());
        }
    };
    answer.say(&Line::Begun { data, resident: most_resident() });
    let last = catch_unwind(AssertUnwindSafe(|| trial(&request, config, &answer)));
    answer.say(&last.unwrap_or_else(|_| Line::Unfit("the loader's own code in it panicked".to_owned())));
    Ok(())
}

fn is_pipe(descriptor: impl AsFd) -> io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(descriptor)?.st_mode) == FileType::Fifo)
}

/// Where the host listens: no file that a candidate would write to by mistake.
struct Answer(File);

impl Answer {
    /// What is written to stdout from now on goes to stderr.
    fn take_stdout() -> io::Result<Self> {
        // Not among the low numbers, which code that closes and opens files meets first.
        let own = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 100)?;
        rustix::stdio::dup2_stdout(io::stderr())?;
        Ok(Self(own.into()))
    }

    fn say(&self, line: &Line) {
        let mut bytes = serde_json::to_vec(line).expect("a line has only what JSON can hold");
        bytes.push(b'\n');
        // Without a host to listen, this process is dead already.
        let _ = (&self.0).write_all(&bytes);
    }

    fn stage(&self, stage: PreflightStage) {
        self.say(&Line::Stage(stage));
    }
}

fn trial(request: &Request, config: ResolvedConfig, answer: &Answer) -> Line {
    let load = |error| LoadFault::of(error).map_or_else(Line::Unfit, Line::Load);
    let table = ConfigTable::empty().for_plugin(&request.name);
    let create = |error| CreateFault::of(error, &table).map_or_else(Line::Unfit, Line::Create);
    let identity = HostIdentity { name: request.host_name.clone(), version: request.host_version.clone() };

    answer.stage(PreflightStage::Map);
    let copy = Path::new(&request.copy);
    // The host puts the file's own name into what is refused here.
    let mapped = match MappedImage::map_file(copy, PathBuf::from("it"), request.descriptor.clone()) {
        Ok(mapped) => mapped,
        Err(error) => return load(error),
    };
    answer.stage(PreflightStage::Entry);
    let image = match mapped.open(&identity) {
        Ok(image) => image,
        Err(error) => return load(error),
    };
    answer.stage(PreflightStage::Open);
    let housekeeping = match Housekeeping::start() {
        Ok(housekeeping) => housekeeping,
        Err(error) => return Line::Unfit(format!("no thread in it: {error}")),
    };
    let settings = Settings {
        handover: None,
        name: request.name.as_str().into(),
        generation: request.generation,
        purpose: FfiPurpose::PREFLIGHT,
        mode: ExecutionMode::Isolated,
        workers: request.workers,
        data_dir: request.data_dir.clone(),
        limits: Limits { create: request.create, health: request.health, ..Limits::default() },
        vendor: None,
        instance: None,
        priority: None,
        config: table.clone(),
        registration: Arc::new(Registration::new(identity, image.account)),
    };
    block_on(async {
        let opened = match OpenedInstance::open(image, settings, config, housekeeping).await {
            Ok(opened) => opened,
            Err(error) => return create(error),
        };
        if request.level == PreflightLevel::Open {
            // The process ends now, and what it has with it.
            std::mem::forget(opened);
            return Line::Done { shutdown_error: None };
        }
        let tell = |stage| {
            answer.stage(if stage == Stage::Health { PreflightStage::Health } else { PreflightStage::Create });
        };
        let instance = match opened.create(Events::new(), tell).await {
            Ok(instance) => Arc::new(instance),
            Err(error) => return create(error),
        };
        answer.stage(PreflightStage::Shutdown);
        let ended = instance.end(Instant::now(), after(SHUTDOWN), |_| ()).await;
        Line::Done { shutdown_error: ended.shutdown_error.map(|error| error.to_string()) }
    })
}
