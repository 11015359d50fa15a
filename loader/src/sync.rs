//! What `gate`, `counter`, `door` and `cancel::links` are built of.
//!
//! They take it from here, and only from here, so that the crate `mini-chat-plugin-models` (`tests/models`) can compile the
//! very same files with twins that loom watches, and try every order of events.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
pub(crate) use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use arc_swap::ArcSwapOption;
pub(crate) use tokio::sync::Notify;
pub(crate) use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What an `ArcSwapOption` lends: a thread has few of these, and holds none for long.
pub(crate) type Lent<T> = arc_swap::Guard<Option<Arc<T>>>;
