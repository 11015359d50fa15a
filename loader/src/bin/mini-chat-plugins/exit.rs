//! [`Exit`]: the exit codes of the program, all of them.

use std::fmt::Write;
use std::process::ExitCode;

/// How the program ends. The codes from 64 on are those of `sysexits.h`; those of signals are 128 + the signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Ok,
    /// The command did its work, and what it found is bad.
    Failed,
    /// The command line.
    Usage,
    /// Something that must serve does not.
    Unavailable,
    /// It is not known yet.
    NoVerdict,
    /// The configuration.
    BadConfig,
    /// The second signal, Ctrl-C.
    Interrupted,
    /// The second signal, SIGTERM.
    Terminated,
}

impl Exit {
    const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failed,
        Self::Usage,
        Self::Unavailable,
        Self::NoVerdict,
        Self::BadConfig,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unavailable => 69,
            Self::NoVerdict => 75,
            Self::BadConfig => 78,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => {
                "run: ended cleanly after SIGTERM or Ctrl-C; list, inspect, check: nothing is refused; call: the method answered \
                 with a value; install: it is in place, and with --wait serves and is proven; status: what is required (with \
                 NAME, that plugin) serves; swap, reload, rollback, unpin, unquarantine: done; events: the host has ended"
            }
            Self::Failed => {
                "run: a shutdown hook failed or calls were cut off; list, inspect, check: something is refused; call: the method \
                 answered with an error, or the plugin did not end cleanly; install: refused by a check (nothing is \
                 installed), or by the host, or taken back by it; status: a required plugin (with NAME, that plugin) does not \
                 serve; swap, reload, rollback, unpin, unquarantine: the host refused"
            }
            Self::Usage => "the command line is wrong, arguments of a call included, or no control socket is named",
            Self::Unavailable => {
                "run: with --on-failure fail, a required plugin does not serve; run, check: no host can be started here; \
                 call: no plugin serves that has the method; install: the file cannot be written; all that ask a running host: \
                 none can be reached"
            }
            Self::NoVerdict => "install --wait: no verdict within --timeout, the file is in place",
            Self::BadConfig => {
                "the configuration is wrong or cannot be read; run: the address of --listen cannot be had"
            }
            Self::Interrupted => "run: left at once at a second signal, which was Ctrl-C",
            Self::Terminated => "run: left at once at a second signal, which was SIGTERM",
        }
    }

    /// The section of the help that explains the codes.
    pub(crate) fn help() -> String {
        let mut help = "Exit codes:".to_owned();
        for exit in Self::ALL {
            // Writing to a String cannot fail.
            let _ = write!(help, "\n  {:>3}  {}", exit.code(), exit.meaning().replace("; ", ";\n       "));
        }
        help
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
