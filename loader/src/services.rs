//! What a host offers its plugins: log, facts; metrics are reserved.
//!
//! A host is named by an integer, looked up in a table of the process: after it is gone its number finds nothing, and
//! every service answers `GONE`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use mini_chat_plugin_abi::buffer::{FfiStr, FfiString};
use mini_chat_plugin_abi::host::{FfiLogLevel, FfiServiceStatus, HostServices, HostServicesRef};

use crate::contain::quietly;

/// Name and version of the program that hosts plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostIdentity {
    pub(crate) name: String,
    pub(crate) version: String,
}

static HOSTS: RwLock<Option<HashMap<u64, Arc<HostIdentity>>>> = RwLock::new(None);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A host's entry in the table; gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    handle: u64,
    identity: Arc<HostIdentity>,
}

impl Registration {
    pub(crate) fn new(identity: HostIdentity) -> Self {
        let identity = Arc::new(identity);
        let handle = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut hosts = HOSTS.write().unwrap_or_else(PoisonError::into_inner);
        hosts.get_or_insert_default().insert(handle, Arc::clone(&identity));
        Self { handle, identity }
    }

    /// The number by which plugins name this host.
    pub(crate) fn handle(&self) -> u64 {
        self.handle
    }

    pub(crate) fn identity(&self) -> &HostIdentity {
        &self.identity
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(hosts) = HOSTS.write().unwrap_or_else(PoisonError::into_inner).as_mut() {
            hosts.remove(&self.handle);
        }
    }
}

fn host(handle: u64) -> Option<Arc<HostIdentity>> {
    HOSTS.read().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(&handle).cloned()
}

struct Table;

impl Table {
    staticref! {const SERVICES: WithMetadata<HostServices> = WithMetadata::new(HostServices { log, metric, fact });}
}

/// The services, for `open`.
pub(crate) const fn services() -> HostServicesRef {
    HostServicesRef(Table::SERVICES.as_prefix())
}

extern "C" fn log(handle: u64, level: FfiLogLevel, target: FfiStr<'_>, message: FfiStr<'_>) -> FfiServiceStatus {
    if host(handle).is_none() {
        return FfiServiceStatus::GONE;
    }
    let (plugin, message) = (target.as_str(), message.as_str());
    // The host's subscriber is code of the host: a panic in it must not reach the plugin.
    let written = quietly(|| match level {
        FfiLogLevel::ERROR => tracing::error!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::WARN => tracing::warn!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::DEBUG => tracing::debug!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::TRACE => tracing::trace!(target: "mini_chat_plugin", plugin, "{message}"),
        // A level of a newer plugin is information.
        _ => tracing::info!(target: "mini_chat_plugin", plugin, "{message}"),
    });
    if written.is_ok() { FfiServiceStatus::OK } else { FfiServiceStatus::UNSUPPORTED }
}

extern "C" fn metric(handle: u64, _name: FfiStr<'_>, _value: f64, _labels: FfiStr<'_>) -> FfiServiceStatus {
    if host(handle).is_none() { FfiServiceStatus::GONE } else { FfiServiceStatus::UNSUPPORTED }
}

extern "C" fn fact(handle: u64, name: FfiStr<'_>, out: &mut FfiString) -> FfiServiceStatus {
    let Some(host) = host(handle) else { return FfiServiceStatus::GONE };
    let text = match name.as_str() {
        "host.name" => host.name.clone(),
        "host.version" => host.version.clone(),
        "host.pid" => std::process::id().to_string(),
        "loader.version" => env!("CARGO_PKG_VERSION").to_owned(),
        _ => return FfiServiceStatus::NOT_FOUND,
    };
    *out = text.into();
    FfiServiceStatus::OK
}
