//! The links of one generation: which mirror belongs to which token of the host.
//!
//! The invariants are those of the parent module. Checked in every order of events by `tests/models`, which compiles this
//! file with twins of what `crate::sync` gives.

use std::borrow::Borrow;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
// Not from `crate::sync`: what wakers are made of.
use std::sync::Arc as MirrorArc;
use std::task::{Context, Poll, Wake, Waker};

use lru::LruCache;

use crate::sync::{
    Arc, AtomicU64, CancellationToken, Mutex, MutexGuard, Ordering, PoisonError, WaitForCancellationFutureOwned,
};

/// Links looked at to find one that no pending call uses, per new link.
const MAX_LOOKED_AT: usize = 16;

/// What makes the plugin's tokens.
pub(crate) trait Mirrors {
    /// A token of the plugin's; waking it cancels it, dropping it frees it.
    type Mirror: Wake + Send + Sync + 'static;

    /// A new token, not cancelled.
    fn mirror(&self) -> Self::Mirror;
}

/// A mirror with what connects it to the host's token.
#[derive(Debug)]
pub(crate) struct Link<M> {
    host: CancellationToken,
    pub(super) mirror: MirrorArc<M>,
    /// Kept alive, not polled again: its drop takes the waker out of the host's token.
    _waiting: Mutex<Option<Pin<Box<WaitForCancellationFutureOwned>>>>,
}

impl<M: Wake + Send + Sync + 'static> Link<M> {
    fn new(mirror: M, host: CancellationToken) -> Self {
        let mirror = MirrorArc::new(mirror);
        let waker = Waker::from(MirrorArc::clone(&mirror));
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

    /// The host's token.
    pub(crate) fn host(&self) -> &CancellationToken {
        &self.host
    }

    pub(crate) fn mirror(&self) -> &M {
        &self.mirror
    }
}

/// A link as the key of the table, found by its token. Comparing and hashing a token reads its address only, so it may
/// happen under the lock.
#[derive(Debug)]
struct ByToken<M>(Arc<Link<M>>);

impl<M> Hash for ByToken<M> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.host.hash(state);
    }
}

impl<M> PartialEq for ByToken<M> {
    fn eq(&self, other: &Self) -> bool {
        self.0.host == other.0.host
    }
}

impl<M> Eq for ByToken<M> {}

impl<M> Borrow<CancellationToken> for ByToken<M> {
    fn borrow(&self) -> &CancellationToken {
        &self.0.host
    }
}

/// Links, the one looked up last first.
type Links<M> = LruCache<ByToken<M>, ()>;

/// The links of one generation.
pub(crate) struct LinkTable<S: Mirrors> {
    pub(super) source: S,
    limit: usize,
    links: Mutex<Links<S::Mirror>>,
    evicted: AtomicU64,
}

impl<S: Mirrors> LinkTable<S> {
    /// Keeps at most `limit` links that no pending call uses.
    pub(crate) fn new(source: S, limit: usize) -> Self {
        Self { source, limit, links: Mutex::new(LruCache::unbounded()), evicted: AtomicU64::new(0) }
    }

    /// The link of `token`, made if there is none. The call that uses it keeps it until it is done.
    ///
    /// The instance must be open.
    pub(crate) fn link(&self, token: &CancellationToken) -> Arc<Link<S::Mirror>> {
        if let Some(link) = self.find(token) {
            return link;
        }
        // Invariant 1: made outside the lock. Two threads may do so at once; one of them wins, the other's is dropped.
        let made = Arc::new(Link::new(self.source.mirror(), token.clone()));
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
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Links<S::Mirror>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, token: &CancellationToken) -> Option<Arc<Link<S::Mirror>>> {
        found(&mut self.lock(), token)
    }

    /// Puts a link into the table and gives the one to use. What is not needed any more goes to `unneeded`, to be dropped
    /// outside the lock.
    fn keep(&self, made: Arc<Link<S::Mirror>>, unneeded: &mut Vec<Arc<Link<S::Mirror>>>) -> Arc<Link<S::Mirror>> {
        let mut links = self.lock();
        if let Some(other) = found(&mut links, &made.host) {
            unneeded.push(made);
            return other;
        }
        links.put(ByToken(Arc::clone(&made)), ());
        let mut looked_at = 0;
        while links.len() > self.limit && looked_at < MAX_LOOKED_AT {
            looked_at += 1;
            let Some((key, ())) = links.pop_lru() else { break };
            if Arc::strong_count(&key.0) > 1 {
                // A pending call uses it: back to the front.
                links.put(key, ());
            } else {
                self.evicted.fetch_add(1, Ordering::Relaxed);
                unneeded.push(key.0);
            }
        }
        made
    }
}

/// The link of a token, which becomes the one looked up last.
fn found<M>(links: &mut Links<M>, token: &CancellationToken) -> Option<Arc<Link<M>>> {
    links.promote(token);
    links.peek_mru().filter(|(key, ())| key.0.host == *token).map(|(key, ())| Arc::clone(&key.0))
}
