//! [`Signals`]: the first asks for a graceful end, the second ends the process; SIGHUP asks for a look at what has changed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;
use crate::failure::Failure;

/// SIGTERM, Ctrl-C and SIGHUP.
pub(crate) struct Signals(signal_hook::iterator::Signals);

impl Signals {
    /// From now on the second signal ends the process at once, from within its handler: whatever hangs, this works.
    pub(crate) fn register() -> Result<Self, Failure> {
        Self::register_all().map_err(|error| Failure::new(Exit::Unavailable, "signal handlers").because(error))
    }

    fn register_all() -> std::io::Result<Self> {
        let ending = Arc::new(AtomicBool::new(false));
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            // Handlers of a signal run in this order: the first signal finds the flag down and raises it.
            flag::register_conditional_shutdown(signal, exit.code().into(), Arc::clone(&ending))?;
            flag::register(signal, Arc::clone(&ending))?;
        }
        Ok(Self(signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGTERM])?))
    }

    /// Blocks until the first signal that ends the program, also if it came before, and gives its name. `hang_up` is
    /// called for each SIGHUP until then.
    pub(crate) fn wait(&mut self, hang_up: impl Fn()) -> &'static str {
        for signal in self.0.forever() {
            match signal {
                SIGHUP => hang_up(),
                SIGINT => return "SIGINT",
                _ => break,
            }
        }
        "SIGTERM"
    }
}
