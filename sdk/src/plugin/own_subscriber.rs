//! Warns of a `tracing` subscriber that the plugin has installed.
//!
//! A loaded plugin has a copy of `tracing` of its own, so its subscriber is not the host's: what it writes goes past the
//! host's log. The SDK installs none, hence one that is found is the author's. Versions of `tracing-core` unify within a
//! plugin (0.1), so this one is the one that the author's `tracing` uses.
//!
//! Looked for when the constructor, the health check or the shutdown hook has answered: after the first two the plugin is
//! as it will serve, after the last one it has done all it will do. Calls are not slowed down by it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use mini_chat_plugin_abi::host::FfiLogLevel;
use tracing_core::dispatcher;
use tracing_core::subscriber::NoSubscriber;

use super::host;

/// Once per image: what is global in it is installed once.
static WARNED: AtomicBool = AtomicBool::new(false);

/// Runs a step of the plugin's life, then looks.
pub(crate) async fn looked_for_after<O>(step: impl Future<Output = O>) -> O {
    let answer = step.await;
    // Linked statically, the host's subscriber is the one that is found.
    if super::loaded_by().is_some() && is_installed() && !WARNED.swap(true, Ordering::Relaxed) {
        host::log_from_image(
            FfiLogLevel::WARN,
            "the plugin has installed a tracing subscriber (tracing_subscriber's `init`, or `set_global_default`): the \
             plugin's copy of `tracing` is its own, so the host's log gets nothing of what is written there; remove the \
             call, since the subscriber is the host's business, and write with `PluginContext::log` \
             (docs/two-copies-of-std.md)",
        );
    }
    answer
}

fn is_installed() -> bool {
    !dispatcher::get_default(|subscriber| subscriber.is::<NoSubscriber>())
}
