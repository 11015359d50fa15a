//! What a host offers its plugins: log, facts, spans and events ([`crate::trace`]); metrics are reserved.
//!
//! Each instance names its host by an integer of its own, looked up in a table of the process: after the instance has been
//! closed the number finds nothing, and every service answers `GONE` to what is left of the plugin. Only spans that it has open
//! then can still be ended by it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use abi_stable::prefix_type::WithMetadata;
use abi_stable::staticref;
use mini_chat_plugin_abi::buffer::{FfiStr, FfiString};
use mini_chat_plugin_abi::host::{FfiLogLevel, FfiServiceStatus, HostServices, HostServicesRef};

use crate::contain::quietly;
use crate::heap::Account;
use crate::trace::{self, Recipient};

/// Name and version of the program that hosts plugins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostIdentity {
    pub(crate) name: String,
    pub(crate) version: String,
}

/// Whom a number stands for.
#[derive(Debug)]
pub(crate) struct Client {
    host: HostIdentity,
    /// The account of the instance's image.
    account: Option<&'static Account>,
    /// Who gets what it writes: one for all instances of an image that are open, since the plugin cannot say which of them
    /// made a span.
    pub(crate) recipient: Arc<Recipient>,
}

#[derive(Debug)]
struct Entry {
    client: Arc<Client>,
    /// The instance is not closed.
    open: bool,
}

static CLIENTS: RwLock<Option<HashMap<u64, Entry>>> = RwLock::new(None);
static NEXT: AtomicU64 = AtomicU64::new(1);

/// An instance's entry in the table; gone when this is dropped, but for spans that are open.
#[derive(Debug)]
pub(crate) struct Registration {
    handle: u64,
}

impl Registration {
    pub(crate) fn new(host: HostIdentity, account: Option<&'static Account>) -> Self {
        let handle = NEXT.fetch_add(1, Ordering::Relaxed);
        let own = Arc::new(Recipient::of_this_thread());
        let mut clients = CLIENTS.write().unwrap_or_else(PoisonError::into_inner);
        let clients = clients.get_or_insert_default();
        let of_image = |entry: &&Entry| {
            entry.open && account.zip(entry.client.account).is_some_and(|(this, that)| std::ptr::eq(this, that))
        };
        let recipient = clients.values().find(of_image).map(|entry| Arc::clone(&entry.client.recipient));
        let client = Arc::new(Client { host, account, recipient: recipient.unwrap_or(own) });
        clients.insert(handle, Entry { client, open: true });
        Self { handle }
    }

    /// The number by which the instance names its host.
    pub(crate) fn handle(&self) -> u64 {
        self.handle
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        trace::forget(self.handle);
        let mut clients = CLIENTS.write().unwrap_or_else(PoisonError::into_inner);
        let gone = clients.as_mut().and_then(|clients| {
            let entry = clients.get_mut(&self.handle)?;
            entry.open = false;
            let recipient = Arc::clone(&entry.client.recipient);
            Some(take_closed(clients, &recipient))
        });
        // The last holder of a subscriber runs code of the host's.
        drop(clients);
        drop(gone);
    }
}

/// Takes out the closed instances of this recipient, once no span is open.
fn take_closed(clients: &mut HashMap<u64, Entry>, recipient: &Arc<Recipient>) -> Vec<Entry> {
    recipient.set_awaited(true);
    if !recipient.is_done() {
        return Vec::new();
    }
    let is_closed = |entry: &Entry| !entry.open && Arc::ptr_eq(&entry.client.recipient, recipient);
    let gone = clients.extract_if(|_, entry| is_closed(entry)).map(|(_, entry)| entry).collect();
    recipient.set_awaited(false);
    gone
}

/// Whom the number of an open instance stands for.
pub(crate) fn client(handle: u64) -> Option<Arc<Client>> {
    let clients = CLIENTS.read().unwrap_or_else(PoisonError::into_inner);
    clients.as_ref()?.get(&handle).filter(|entry| entry.open).map(|entry| Arc::clone(&entry.client))
}

/// The same, also of an instance that was closed while spans of it were open.
pub(crate) fn client_of_spans(handle: u64) -> Option<Arc<Client>> {
    let clients = CLIENTS.read().unwrap_or_else(PoisonError::into_inner);
    clients.as_ref()?.get(&handle).map(|entry| Arc::clone(&entry.client))
}

/// The last span of these instances has been closed: those that are closed go.
pub(crate) fn forget_closed(recipient: &Arc<Recipient>) {
    let mut clients = CLIENTS.write().unwrap_or_else(PoisonError::into_inner);
    let gone = clients.as_mut().map(|clients| take_closed(clients, recipient));
    drop(clients);
    drop(gone);
}

struct Table;

impl Table {
    staticref! {const SERVICES: WithMetadata<HostServices> =
    WithMetadata::new(HostServices {
        log,
        metric,
        fact,
        #[cfg(not(mini_chat_abi = "1.0"))]
        tracing: trace::functions(),
    });}
}

/// The services, for `open`.
pub(crate) const fn services() -> HostServicesRef {
    HostServicesRef(Table::SERVICES.as_prefix())
}

extern "C" fn log(handle: u64, level: FfiLogLevel, target: FfiStr<'_>, message: FfiStr<'_>) -> FfiServiceStatus {
    let Some(client) = client(handle) else { return FfiServiceStatus::GONE };
    let (plugin, message) = (target.as_str(), message.as_str());
    // The host's subscriber is code of the host: a panic in it must not reach the plugin. It is not always that of this
    // thread, which may be the plugin's.
    let write = || match level {
        FfiLogLevel::ERROR => tracing::error!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::WARN => tracing::warn!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::DEBUG => tracing::debug!(target: "mini_chat_plugin", plugin, "{message}"),
        FfiLogLevel::TRACE => tracing::trace!(target: "mini_chat_plugin", plugin, "{message}"),
        // A level of a newer plugin is information.
        _ => tracing::info!(target: "mini_chat_plugin", plugin, "{message}"),
    };
    let written = quietly(move || client.recipient.as_default(write));
    if written.is_ok() { FfiServiceStatus::OK } else { FfiServiceStatus::UNSUPPORTED }
}

extern "C" fn metric(handle: u64, _name: FfiStr<'_>, _value: f64, _labels: FfiStr<'_>) -> FfiServiceStatus {
    if client(handle).is_none() { FfiServiceStatus::GONE } else { FfiServiceStatus::UNSUPPORTED }
}

extern "C" fn fact(handle: u64, name: FfiStr<'_>, out: &mut FfiString) -> FfiServiceStatus {
    let Some(client) = client(handle) else { return FfiServiceStatus::GONE };
    let text = match name.as_str() {
        "host.name" => client.host.name.clone(),
        "host.version" => client.host.version.clone(),
        "host.pid" => std::process::id().to_string(),
        "loader.version" => env!("CARGO_PKG_VERSION").to_owned(),
        _ => return FfiServiceStatus::NOT_FOUND,
    };
    // Both buffers change owners, and so accounts.
    let before = std::mem::replace(out, text.into());
    if let Some(account) = client.account {
        account.moved_in(out.heap_bytes());
        account.moved_out(before.heap_bytes());
    }
    FfiServiceStatus::OK
}
