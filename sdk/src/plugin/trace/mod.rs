//! The plugin's `tracing` and `log` in the host's subscriber.
//!
//! A loaded plugin has copies of these crates of its own, in which nobody listens. When its first instance is opened, before
//! any code of the author's runs, a subscriber ([`Bridge`]) and a logger (`records`) are installed that forward everything to
//! the host (`mini_chat_plugin_abi::tracing`). What they forward goes in the name of the newest instance that is open; when
//! there is none, they only end the spans that there are.
//!
//! Linked statically nothing is installed: there is one copy, and the subscriber is the host's. Only the span of a call is
//! taken along to the plugin's runtime ([`CallSpan`]), linked or loaded.

mod bridge;
mod call_span;
#[cfg(not(mini_chat_abi = "1.0"))]
pub(crate) mod nowhere;
#[cfg(feature = "log")]
mod records;
mod values;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use mini_chat_plugin_abi::tracing::HostTracingRef;
use tracing_core::{Dispatch, callsite, dispatcher};

pub(crate) use bridge::Bridge;
pub(crate) use call_span::CallSpan;

use super::guard;
use super::host::Host;

/// The host's functions; set when the first instance of a loaded image is opened.
static HOST: OnceLock<HostTracingRef> = OnceLock::new();
/// The handles of the open instances, oldest first.
static OPEN: Mutex<Vec<u64>> = Mutex::new(Vec::new());
/// The last of [`OPEN`], 0 if there is none.
static NEWEST: AtomicU64 = AtomicU64::new(0);
/// The one that was closed last while no other was open.
static LAST: AtomicU64 = AtomicU64::new(0);

/// An instance that is being opened or is open; until this is dropped, records may go in its name.
#[derive(Debug)]
pub(crate) struct Forwarding {
    handle: u64,
}

impl Forwarding {
    /// Begins to forward, if this image was loaded by a host: panics, and the rest if the host takes it.
    pub(crate) fn begin(host: Host, instance: &str) -> Option<Self> {
        super::loaded_by()?;
        super::host::add_of_image(host, instance);
        let forwarding = Self { handle: host.handle };
        let Some(functions) = host.tracing() else { return Some(forwarding) };
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(host.handle);
        NEWEST.store(host.handle, Ordering::Release);
        let first = HOST.set(functions).is_ok();
        if first {
            // Fails if an initialiser of the library has installed one: `own_subscriber` warns of it.
            let _ = dispatcher::set_global_default(Dispatch::new(Bridge));
            #[cfg(feature = "log")]
            records::install();
        }
        // Another instance that is opened at the same time has waited for the subscriber: callsites that are met without one
        // are never asked for again.
        drop(open);
        if !first {
            // Callsites that were met while no instance was open are unknown to the host.
            callsite::rebuild_interest_cache();
        }
        Some(forwarding)
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        super::host::forget_of_image(self.handle);
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|handle| *handle != self.handle);
        if open.is_empty() {
            LAST.store(self.handle, Ordering::Release);
        }
        NEWEST.store(open.last().copied().unwrap_or(0), Ordering::Release);
    }
}

/// The host's functions with the handle to call them by; none while no instance is open.
fn host() -> Option<(HostTracingRef, u64)> {
    let newest = NEWEST.load(Ordering::Acquire);
    if newest == 0 { None } else { Some((*HOST.get()?, newest)) }
}

/// The same for spans that there are, which are also ended when no instance is open.
fn host_of_spans() -> Option<(HostTracingRef, u64)> {
    host().or_else(|| Some((*HOST.get()?, LAST.load(Ordering::Acquire))))
}

/// The slot `tracing_changed`: asks the host again what it wants.
#[cfg_attr(mini_chat_abi = "1.0", expect(dead_code, reason = "1.0 has no slot for it"))]
pub(crate) extern "C" fn changed() {
    if HOST.get().is_some() {
        // A subscriber of the author's for one thread is asked too.
        let _ = guard::catch(callsite::rebuild_interest_cache);
    }
}
