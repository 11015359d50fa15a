//! [`Recent`]: the link that each thread's share of the calls used last, to be found without a lock.
//!
//! Real hosts use one token for nearly everything. A call takes the link out and puts it back when it has ended: no reference
//! is counted, and two callers with a token each do not meet. Who finds nothing, or the link of another token, asks the table.
//!
//! # Invariants
//!
//! 1. A pointer in a place comes from `Arc::into_raw`; it is swapped out before it is used, so each is used once.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use mini_chat_plugin_abi::call::FfiToken;
use tokio_util::sync::CancellationToken;

use super::{Bridge, Link};
use crate::per_thread::{SHARDS, shard};

/// By share.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    places: [Place; SHARDS],
}

#[repr(align(128))]
#[derive(Debug)]
struct Place(AtomicPtr<Link>);

impl Default for Place {
    fn default() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }
}

impl Place {
    fn swap(&self, link: *mut Link) -> Option<Arc<Link>> {
        let before = self.0.swap(link, Ordering::AcqRel);
        // SAFETY: invariant 1.
        (!before.is_null()).then(|| unsafe { Arc::from_raw(before) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.swap(ptr::null_mut()));
    }
}

impl Recent {
    /// The link of `token`, to be put back; made in the bridge's table if there is none.
    fn take(&self, bridge: &Bridge, token: &CancellationToken) -> Arc<Link> {
        match self.places[shard()].swap(ptr::null_mut()) {
            Some(link) if link.host() == token => link,
            _ => bridge.link(token),
        }
    }

    fn put(&self, link: Arc<Link>) {
        drop(self.places[shard()].swap(Arc::into_raw(link).cast_mut()));
    }
}

/// A token of the host with its link, for one call.
pub(crate) struct Cancellation<'a> {
    token: CancellationToken,
    /// None only while it is dropped.
    link: Option<Arc<Link>>,
    recent: &'a Recent,
}

impl<'a> Cancellation<'a> {
    /// For an instance that is open as long as this exists.
    pub(crate) fn new(bridge: &Bridge, recent: &'a Recent, token: CancellationToken) -> Self {
        let link = Some(recent.take(bridge, &token));
        Self { token, link, recent }
    }

    /// The host's token.
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// The mirror, to lend to a call that is made while this is alive.
    pub(crate) fn mirror(&self) -> FfiToken {
        self.link.as_ref().expect("there until it is dropped").mirror().token()
    }
}

impl Drop for Cancellation<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            self.recent.put(link);
        }
    }
}
