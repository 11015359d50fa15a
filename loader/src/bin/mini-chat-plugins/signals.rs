//! [`Signals`]: the first asks for a graceful end, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;
use crate::failure::Failure;

/// SIGTERM and Ctrl-C.
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
        Ok(Self(signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?))
    }

    /// Blocks until the first signal, also if it came before, and gives its name.
    pub(crate) fn wait(&mut self) -> &'static str {
        match self.0.forever().next() {
            Some(SIGINT) => "SIGINT",
            _ => "SIGTERM",
        }
    }
}
