//! The cancellation bridge: one mirror in the plugin per token of the host, however many calls use it.
//!
//! Linked code is the yardstick. `cancel()` on the host's token cancels the mirror at once, on the thread that cancels,
//! without waiting for a poll; a token cancelled before the call gives a mirror cancelled before the plugin's first line.
//! A mirror is a child of the instance's lifetime token, so it hears retirement also when its link is gone.
//!
//! A link is an owned `cancelled` future of the host's token, polled once with a waker that cancels the mirror: no task.
//! Links that no pending call uses are kept, the least recently used of more than [`KEPT_LINKS`] are dropped and counted.
//!
//! # Invariants
//!
//! 1. **No lock of the bridge is held while touching a token, cancelling, waking, or dropping a link**: a link's callback
//!    runs inside the host's `cancel()`, and may touch anything.
//! 2. A link's waker holds the mirror, not the link, so links and tokens form no cycle.
//! 3. A mirror's handle is freed once, when the last of link, waker and calls lets go of it.

use std::borrow::Borrow;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use lru::LruCache;
use mini_chat_plugin_abi::call::FfiToken;
use mini_chat_plugin_abi::instance::FfiInstance;
use mini_chat_plugin_abi::module::PluginModuleRef;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

#[cfg(test)]
mod tests;

/// Links kept per generation while no pending call uses them.
pub(crate) const KEPT_LINKS: usize = 4096;

/// Links looked at to find one that no pending call uses, per new link.
const MAX_LOOKED_AT: usize = 16;

/// The plugin's token that mirrors one of the host's.
#[derive(Debug)]
pub(crate) struct Mirror {
    token: FfiToken,
    cancel: extern "C" fn(FfiToken),
    free: extern "C" fn(FfiToken),
}

impl Mirror {
    fn new(module: PluginModuleRef, instance: FfiInstance) -> Self {
        Self { token: module.token_new()(instance), cancel: module.token_cancel(), free: module.token_free() }
    }

    /// The handle, to lend to a call that is made while this is alive.
    pub(crate) fn token(&self) -> FfiToken {
        self.token
    }
}

impl Wake for Mirror {
    fn wake(self: Arc<Self>) {
        (self.cancel)(self.token);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        (self.cancel)(self.token);
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        // Invariant 3.
        (self.free)(self.token);
    }
}

/// A mirror with what connects it to the host's token.
#[derive(Debug)]
pub(crate) struct Link {
    host: CancellationToken,
    mirror: Arc<Mirror>,
    /// Kept alive, not polled again: its drop takes the waker out of the host's token.
    _waiting: Mutex<Option<Pin<Box<WaitForCancellationFutureOwned>>>>,
}

impl Link {
    fn new(module: PluginModuleRef, instance: FfiInstance, host: CancellationToken) -> Self {
        let mirror = Arc::new(Mirror::new(module, instance));
        let waker = Waker::from(Arc::clone(&mirror));
        let mut waiting = Box::pin(host.clone().cancelled_owned());
        let pending = match waiting.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => Some(waiting),
            Poll::Ready(()) => {
                waker.wake();
                None
            }
        };
        Self { host, mirror, _waiting: Mutex::new(pending) }
    }

    pub(crate) fn mirror(&self) -> &Mirror {
        &self.mirror
    }
}

/// A link as the key of the table, found by its token. Comparing and hashing a token reads its address only, so it may
/// happen under the lock.
#[derive(Debug, Clone)]
struct ByToken(Arc<Link>);

impl Hash for ByToken {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.host.hash(state);
    }
}

impl PartialEq for ByToken {
    fn eq(&self, other: &Self) -> bool {
        self.0.host == other.0.host
    }
}

impl Eq for ByToken {}

impl Borrow<CancellationToken> for ByToken {
    fn borrow(&self) -> &CancellationToken {
        &self.0.host
    }
}

#[derive(Debug)]
struct Links {
    by_token: LruCache<ByToken, ()>,
    /// The link used last: real hosts use one token for nearly everything.
    last: Option<Arc<Link>>,
}

/// The links of one generation.
pub(crate) struct Bridge {
    module: PluginModuleRef,
    instance: FfiInstance,
    limit: usize,
    links: Mutex<Links>,
    evicted: AtomicU64,
}

impl Bridge {
    pub(crate) fn new(module: PluginModuleRef, instance: FfiInstance) -> Self {
        Self::with_limit(module, instance, KEPT_LINKS)
    }

    fn with_limit(module: PluginModuleRef, instance: FfiInstance, limit: usize) -> Self {
        let links = Links { by_token: LruCache::unbounded(), last: None };
        Self { module, instance, limit, links: Mutex::new(links), evicted: AtomicU64::new(0) }
    }

    /// The link of `token`, made if there is none. The call that uses it keeps it until it is done.
    ///
    /// The instance must be open.
    pub(crate) fn link(&self, token: &CancellationToken) -> Arc<Link> {
        if let Some(link) = self.find(token) {
            return link;
        }
        // Invariant 1: made outside the lock. Two threads may do so at once; one of them wins, the other's is dropped.
        let made = Arc::new(Link::new(self.module, self.instance, token.clone()));
        let mut unneeded = Vec::new();
        let link = self.keep(made, &mut unneeded);
        // Invariant 1: outside the lock.
        drop(unneeded);
        link
    }

    /// Links dropped because there were too many.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Links kept now.
    pub(crate) fn kept(&self) -> usize {
        self.lock().by_token.len()
    }

    fn lock(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, token: &CancellationToken) -> Option<Arc<Link>> {
        let mut links = self.lock();
        if let Some(last) = &links.last
            && last.host == *token
        {
            return Some(Arc::clone(last));
        }
        links.by_token.promote(token);
        let link = Arc::clone(&links.by_token.peek_mru().filter(|(key, ())| key.0.host == *token)?.0.0);
        let before = links.last.replace(Arc::clone(&link));
        drop(links);
        // Invariant 1: outside the lock.
        drop(before);
        Some(link)
    }

    /// Puts a link into the table and gives the one to use. What is not needed any more goes to `unneeded`, to be dropped
    /// outside the lock.
    fn keep(&self, made: Arc<Link>, unneeded: &mut Vec<Arc<Link>>) -> Arc<Link> {
        let mut links = self.lock();
        links.by_token.promote(&made.host);
        if let Some((other, ())) = links.by_token.peek_mru()
            && other.0.host == made.host
        {
            let other = Arc::clone(&other.0);
            unneeded.push(made);
            return other;
        }
        links.by_token.put(ByToken(Arc::clone(&made)), ());
        unneeded.extend(links.last.replace(Arc::clone(&made)));
        let mut looked_at = 0;
        while links.by_token.len() > self.limit && looked_at < MAX_LOOKED_AT {
            looked_at += 1;
            let Some((key, ())) = links.by_token.pop_lru() else { break };
            if Arc::strong_count(&key.0) > 1 {
                // A pending call uses it: back to the front.
                links.by_token.put(key, ());
            } else {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                unneeded.push(key.0);
            }
        }
        made
    }
}
