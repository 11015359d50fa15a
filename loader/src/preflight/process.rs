//! The child as the host sees it: pipes that never block it, and an end that is certain.
//!
//! # Invariants
//!
//! 1. The child's number is its own until it is waited for, which only [`Process::reap`] does, once.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::wire::{ARGUMENT, VARIABLE};

/// How much of what the child writes is kept: the last of it, in bytes.
const KEPT: usize = 4096;
/// The longest answer, in bytes.
const LONGEST: usize = 256 << 10;
/// How often a pipe is read at one look: more than a full one needs, and an end for a child that writes without one.
const READS: usize = 64;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Exit(i32),
    Signal(i32),
    /// Somebody else waited for it, or nobody may (SIGCHLD is ignored).
    Unknown,
}

/// A child in a process group of its own. Dropping it kills the group and waits for the child.
///
/// The thread that starts it must be the one that drops it: the child dies with the thread that started it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    answer: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// What was answered and not yet taken.
    pub(super) answered: Vec<u8>,
    /// The end of what was written to stderr.
    said: Vec<u8>,
    reaped: bool,
}

impl Process {
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let mut child = Command::new(program)
            .arg(ARGUMENT)
            .env(VARIABLE, std::process::id().to_string())
            // What systemd is told, it is told by the host.
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (stdin, answer, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let process = Self { child, stdin, answer, stderr, answered: Vec::new(), said: Vec::new(), reaped: false };
        for pipe in [
            process.stdin.as_ref().map(AsFd::as_fd),
            process.answer.as_ref().map(AsFd::as_fd),
            process.stderr.as_ref().map(AsFd::as_fd),
        ] {
            pipe.map(|pipe| rustix::io::ioctl_fionbio(pipe, true)).transpose()?;
        }
        Ok(process)
    }

    /// Waits for something to read, or for room for `input`, at most so long; then reads and writes what goes. Gives the
    /// bytes of `input` that were written. Once all are, nothing more is to come: call it with nothing then.
    pub(super) fn turn(&mut self, input: &[u8], wait: std::time::Duration) -> usize {
        if input.is_empty() {
            // The end of what the child reads.
            self.stdin = None;
        }
        let mut pipes = Vec::with_capacity(3);
        pipes.extend(self.stdin.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
        pipes.extend(self.answer.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        pipes.extend(self.stderr.as_ref().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        // An error (a signal) only makes this turn shorter.
        let _ = poll(&mut pipes, Timespec::try_from(wait).ok().as_ref());
        drop(pipes);
        self.read();
        let Some(stdin) = &mut self.stdin else { return 0 };
        match stdin.write(input) {
            Ok(written) => written,
            Err(error) if would_block(&error) => 0,
            // It has closed its end: it will not read more.
            Err(_) => input.len(),
        }
    }

    /// Reads what there is to read.
    pub(super) fn read(&mut self) {
        let (answered, said) = (&mut self.answered, &mut self.said);
        drain(&mut self.answer, |bytes| {
            answered.extend_from_slice(bytes);
            answered.len() <= LONGEST
        });
        drain(&mut self.stderr, |bytes| {
            said.extend_from_slice(bytes);
            said.drain(..said.len().saturating_sub(KEPT));
            true
        });
    }

    /// Whether it has answered more than any answer has.
    pub(super) fn answers_too_much(&self) -> bool {
        self.answered.len() > LONGEST
    }

    /// The end of what it wrote to stderr.
    pub(super) fn said(&self) -> String {
        String::from_utf8_lossy(&self.said).into_owned()
    }

    /// How it ended, if it has; it stays waitable.
    pub(super) fn ended(&self) -> Option<End> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(self.pid()), look) {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => End::Exit(code),
                (None, Some(signal)) => End::Signal(signal),
                (None, None) => End::Unknown,
            }),
            Err(_) => Some(End::Unknown),
        }
    }

    /// Bytes of private memory that it has, code and shared memory apart; none once it has ended.
    pub(super) fn data(&self) -> Option<u64> {
        data_of(&self.child.id().to_string())
    }

    /// Kills the child's group, and the child with it, and waits for it. Gives the most memory that it had resident, in
    /// bytes; at least what the host had, of which it was a copy before its exec.
    pub(super) fn reap(&mut self) -> u64 {
        if std::mem::replace(&mut self.reaped, true) {
            return 0;
        }
        let _ = kill_process_group(self.pid(), Signal::KILL);
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: invariant 1: the number is the child's; `usage` is valid for the call, and zeros are a valid value of it
        // should the call fail.
        let usage = unsafe {
            let number = self.pid().as_raw_nonzero().get();
            while libc::wait4(number, std::ptr::null_mut(), 0, usage.as_mut_ptr()) == -1 && interrupted() {}
            usage.assume_init()
        };
        resident(&usage)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.reap();
    }
}

fn interrupted() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
}

fn resident(usage: &libc::rusage) -> u64 {
    u64::try_from(usage.ru_maxrss).unwrap_or(0) << 10
}

/// The most memory that this process has had resident, in the sense of [`Process::reap`].
pub(super) fn most_resident() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is valid for the call, and zeros are a valid value of it should the call fail.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    resident(&usage)
}

/// `VmData` of a process: what `RLIMIT_DATA` limits.
pub(super) fn data_of(process: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    Some(kibibytes.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Reads until there is nothing, the end, or `keep` has enough; a pipe at its end is closed.
fn drain(pipe: &mut Option<impl Read>, mut keep: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 4096];
    for _ in 0..READS {
        let Some(open) = pipe else { return };
        match open.read(&mut bytes) {
            Ok(0) => *pipe = None,
            Ok(read) if keep(&bytes[..read]) => {}
            Ok(_) => return,
            Err(error) if would_block(&error) => return,
            Err(_) => *pipe = None,
        }
    }
}

fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
