//! Warns of a `tracing` subscriber of the author's that keeps records from the host.
//!
//! A loaded plugin's copy of `tracing` has a subscriber for all threads that forwards to the host ([`super::trace`]), so
//! `try_init` and `set_global_default` of the author's give an error, and `init` panics. What is left to an author is a
//! subscriber for one thread (`set_default`, `with_default`): what that thread traces goes past the host's log. And an
//! initialiser of the library may have come first. Versions of `tracing-core` unify within a plugin (0.1), so this one is the
//! one that the author's `tracing` uses.
//!
//! Looked for when the constructor, the health check or the shutdown hook has answered, on the thread that ran it: after the
//! first two the plugin is as it will serve, after the last one it has done all it will do. Calls are not slowed down by it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use mini_chat_plugin_abi::host::FfiLogLevel;
use tracing_core::dispatcher;
use tracing_core::subscriber::NoSubscriber;

use super::host;
use super::trace::Bridge;

/// Once per image: once is enough to find it.
static WARNED: AtomicBool = AtomicBool::new(false);

/// Runs a step of the plugin's life, then looks.
pub(crate) async fn looked_for_after<O>(step: impl Future<Output = O>) -> O {
    let answer = step.await;
    // Linked statically, the host's subscriber is the one that is found.
    if super::loaded_by().is_some() && is_installed() && !WARNED.swap(true, Ordering::Relaxed) {
        host::log_from_image(
            FfiLogLevel::WARN,
            "the plugin has installed a tracing subscriber (`set_default`, or `with_default` around a hook): the host's \
             log gets nothing of what is traced under it; remove the call, since the subscriber is the host's business, \
             and what `tracing` and `log` write goes there by itself (docs/two-copies-of-std.md)",
        );
    }
    answer
}

fn is_installed() -> bool {
    dispatcher::get_default(|subscriber| !subscriber.is::<Bridge>() && !subscriber.is::<NoSubscriber>())
}
