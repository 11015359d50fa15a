//! [`Recent`]: the link that each thread's share of the calls used last, to be found without a lock.
//!
//! Real hosts use one token for nearly everything. A call takes the link out and puts it back when it has ended: no reference
//! is counted, and two callers with a token each do not meet. Who finds nothing, or the link of another token, asks the table.
//!
//! # Invariants
//!
//! 1. A pointer in a place comes from `Arc::into_raw`; it is swapped out before it is used, so each is used once. Where a place
//!    is one thread's own (invariant 1 of `per_thread`), a load and a store are a swap.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use mini_chat_plugin_abi::call::FfiToken;
use tokio_util::sync::CancellationToken;

use super::{Bridge, Link};
use crate::per_thread::{SHARDS, is_own, shard};

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
    /// `own`: of no other thread at this time.
    #[inline]
    fn swap(&self, link: *mut Link, own: bool) -> Option<Arc<Link>> {
        let before = if own {
            let before = self.0.load(Ordering::Relaxed);
            self.0.store(link, Ordering::Relaxed);
            before
        } else {
            self.0.swap(link, Ordering::AcqRel)
        };
        // SAFETY: invariant 1.
        (!before.is_null()).then(|| unsafe { Arc::from_raw(before) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.swap(ptr::null_mut(), true));
    }
}

impl Recent {
    /// The place of this thread's share, and whether it is its own.
    #[inline]
    fn place(&self) -> (&Place, bool) {
        let shard = shard();
        (&self.places[shard], is_own(shard))
    }

    /// The link of `token`, to be put back; made in the bridge's table if there is none.
    #[inline]
    fn take(&self, bridge: &Bridge, token: &CancellationToken) -> Arc<Link> {
        let (place, own) = self.place();
        match place.swap(ptr::null_mut(), own) {
            Some(link) if link.host() == token => link,
            _ => bridge.link(token),
        }
    }

    #[inline]
    fn put(&self, link: Arc<Link>) {
        let (place, own) = self.place();
        drop(place.swap(Arc::into_raw(link).cast_mut(), own));
    }
}

/// The link of a token of the host's, for the first poll of one call.
pub(crate) struct Cancellation<'a> {
    /// None only while it is dropped.
    link: Option<Arc<Link>>,
    recent: &'a Recent,
}

impl<'a> Cancellation<'a> {
    /// For an instance that is open as long as this exists.
    #[inline]
    pub(crate) fn new(bridge: &Bridge, recent: &'a Recent, token: &CancellationToken) -> Self {
        Self { link: Some(recent.take(bridge, token)), recent }
    }

    /// The mirror, to lend to a call that is made while this is alive.
    pub(crate) fn mirror(&self) -> FfiToken {
        self.link().mirror().token()
    }

    /// For a call that goes on when this has ended: keeps the mirror.
    pub(crate) fn link(&self) -> &Arc<Link> {
        self.link.as_ref().expect("there until it is dropped")
    }
}

impl Drop for Cancellation<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(link) = self.link.take() {
            self.recent.put(link);
        }
    }
}
