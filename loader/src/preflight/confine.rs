//! What a trial process gives up before anything of a candidate runs in it.
//!
//! # Invariants
//!
//! 1. A descriptor above 2 that would survive an exec was there at the start of this process: all that Rust code opens
//!    closes at an exec. So nothing in this program owns it.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::FdFlags;
use rustix::process::{Resource, Rlimit, Signal, getppid, getrlimit, nice, set_parent_process_death_signal, setrlimit};

use super::process::data_of;

/// How much it yields to its host.
const NICE: i32 = 5;

/// Dies with the thread of the host that started it. `Err`: `parent` is not the parent, or not any more.
pub(super) fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Asked after that: a parent that died in between has sent no signal, but is not the parent now.
    let now = getppid().map(|parent| parent.as_raw_nonzero().get());
    if now.and_then(|now| u32::try_from(now).ok()) == Some(parent) {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::NotFound, format!("its parent is not process {parent}")))
}

/// Limits that need not be had, but for the one of memory: a host that relies on it is told of it.
pub(super) fn limit(memory: u64, processor: u64) -> io::Result<u64> {
    // A memory image would have secrets in it.
    let _ = set(Resource::Core, 0);
    let _ = set(Resource::Cpu, processor);
    let _ = nice(NICE);
    // When memory gets short, this one first.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    let data = data_of("self").ok_or_else(|| io::Error::other("/proc/self/status has no VmData"))?;
    set(Resource::Data, data.saturating_add(memory))?;
    Ok(data)
}

/// Lowers a limit; one that is lower stays.
fn set(resource: Resource, limit: u64) -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(resource);
    let limit = [current, maximum].into_iter().flatten().fold(limit, u64::min);
    setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) }).map_err(Into::into)
}

/// Closes what the host left open for its children: all that is not stdin, stdout or stderr and survived the exec. What
/// was opened since then closes at the next one.
pub(super) fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        // SAFETY: only asked how it is open, which harms nobody, whoever owns it.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        if rustix::io::fcntl_getfd(descriptor).is_ok_and(|flags| !flags.contains(FdFlags::CLOEXEC)) {
            // SAFETY: invariant 1.
            unsafe { rustix::io::close(number) };
        }
    }
}

/// Whether this process has a single thread, as at the top of `main`.
pub(super) fn is_single_threaded() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}
