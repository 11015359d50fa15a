//! What of the process a plugin changed while it was started, as far as that can be seen: the working directory, and what
//! signals do.
//!
//! A plugin shares the process with its host but has a copy of std of its own; docs/two-copies-of-std.md says what follows.
//! Environment variables cannot be looked at here: reading them while a plugin writes them is the very hazard.

use std::path::PathBuf;

/// Signals beyond the standard ones are real-time signals, whose numbers vary.
const SIGNALS: std::ops::Range<i32> = 1..65;

/// The state at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessState {
    directory: Option<PathBuf>,
    /// Address of the handler per signal.
    handlers: Vec<usize>,
}

impl ProcessState {
    pub(crate) fn now() -> Self {
        Self { directory: std::env::current_dir().ok(), handlers: SIGNALS.map(handler).collect() }
    }

    /// What is different now, each as a sentence's end.
    pub(crate) fn changes(&self) -> Vec<String> {
        let now = Self::now();
        let mut changes = Vec::new();
        if now.directory != self.directory {
            let shown = |directory: &Option<PathBuf>| {
                directory.as_ref().map_or_else(|| "nothing".to_owned(), |path| path.display().to_string())
            };
            changes.push(format!(
                "the working directory changed from {} to {}",
                shown(&self.directory),
                shown(&now.directory)
            ));
        }
        for (signal, (before, after)) in SIGNALS.zip(self.handlers.iter().zip(&now.handlers)) {
            if before != after {
                changes.push(format!("what signal {signal} ({}) does changed", name(signal)));
            }
        }
        changes
    }
}

fn handler(signal: i32) -> usize {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only reads; `action` is valid for the call. A number that is no signal is an error, and
    // leaves the zeros, which are a valid value.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction
    }
}

/// The name of a signal; of a real-time signal its number.
pub(crate) fn name(signal: i32) -> String {
    let known = match signal {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGCHLD => "SIGCHLD",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return format!("signal {signal}"),
    };
    known.to_owned()
}
