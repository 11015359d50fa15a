//! Brings what the host's filter says of callsites to the plugins, whenever it has changed.
//!
//! `tracing` says so to each callsite ([`super::site`]) under locks of its own, on the thread that reloads the filter. Plugins
//! are told by a thread of this module, one for the process, which is there while an instance is open.
//!
//! A plugin is told twice: at once, and again after a pause. Its copy of `tracing` may be meeting a callsite for the first
//! time at that moment, and then keep what it had been told just before; the same is true of `tracing` within one program.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::contain::contained;

/// After which a plugin is told again.
const PAUSE: Duration = Duration::from_millis(100);

/// A plugin's function that is to be called.
type Changed = extern "C" fn();

#[derive(Debug)]
struct State {
    /// By the handle of the instance.
    listeners: Vec<(u64, Changed)>,
    changed: bool,
    runs: bool,
}

/// Held for a moment only, and never while anything traces: a callsite takes it under locks of `tracing`.
static STATE: Mutex<State> = Mutex::new(State { listeners: Vec::new(), changed: false, runs: false });
static BELL: Condvar = Condvar::new();

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on the plugin of this instance is told of changes, if it wants to be.
pub(crate) fn listen(handle: u64, changed: Option<Changed>) {
    let Some(changed) = changed else { return };
    let mut state = state();
    state.listeners.push((handle, changed));
    if state.runs {
        return;
    }
    let started = thread::Builder::new().name("mini-chat-tracing".to_owned()).spawn(tell);
    state.runs = started.is_ok();
    drop(state);
    if let Err(error) = started {
        tracing::error!("no thread to tell plugins of a new log filter: {error}; they go by the one that they have");
    }
}

/// The instance is closed.
pub(crate) fn forget(handle: u64) {
    state().listeners.retain(|(listener, _)| *listener != handle);
    BELL.notify_all();
}

/// Something has changed.
pub(super) fn announce() {
    state().changed = true;
    BELL.notify_all();
}

/// The thread.
fn tell() {
    let mut again = false;
    let mut state = state();
    loop {
        if state.listeners.is_empty() {
            state.runs = false;
            return;
        }
        let changed = std::mem::take(&mut state.changed);
        if changed || again {
            let mut functions: Vec<Changed> = state.listeners.iter().map(|(_, changed)| *changed).collect();
            drop(state);
            // Instances of one image have one function.
            functions.sort_unstable_by_key(|function| *function as usize);
            functions.dedup_by_key(|function| *function as usize);
            for function in functions {
                // It does not unwind; asking the host, it runs code of the host's subscriber.
                contained("telling a plugin of a new log filter", || function());
            }
            again = changed;
            state = self::state();
        } else {
            state = BELL.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        }
        if again {
            // The bell also rings for instances that come and go.
            let quiet = |state: &mut State| !state.changed && !state.listeners.is_empty();
            state = BELL.wait_timeout_while(state, PAUSE, quiet).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
