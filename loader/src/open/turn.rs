//! Whose turn it is with the dynamic linker.
//!
//! glibc maps one library at a time, and while the constructor of one runs, whoever maps another, starts a thread or ends
//! the process waits for it (measured: `dlopen`, `__cxa_thread_atexit_impl`, `_dl_fini`). So this process's mappings take
//! turns here, where it is known which file holds everybody up: only that one is called bad.
//!
//! A thread that touches a thread-local with a destructor for the first time waits, too. Nothing can be done for all of
//! the host's threads; the one that builds a host touches before what it will need: [`prepare_thread`].

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::slot::Slot;

static TURN: Mutex<()> = Mutex::new(());
static CURRENT: Mutex<Option<Current>> = Mutex::new(None);

struct Current {
    path: PathBuf,
    since: Instant,
    /// It has had its time.
    hangs: bool,
}

fn set(current: Option<Current>) {
    *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = current;
}

/// Runs `map`, which maps the file `path`, while nobody else of this process maps one.
pub(crate) fn take<R>(path: &Path, map: impl FnOnce() -> R) -> R {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            set(None);
        }
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    set(Some(Current { path: path.to_owned(), since: Instant::now(), hangs: false }));
    let _end = End;
    map()
}

/// Touches the thread-locals of what a build uses: its slots, its log, its jobs.
pub(crate) fn prepare_thread() {
    Slot::new("", "", "").vacate("", "");
    let current = tracing::dispatcher::get_default(Clone::clone);
    tracing::dispatcher::with_default(&current, || ());
    let (sender, mut receiver) = tokio::sync::oneshot::channel::<()>();
    let _ = Pin::new(&mut receiver).poll(&mut Context::from_waker(Waker::noop()));
    drop(sender);
}

/// Notes that the file has had its time, should it still be being mapped, and since at least this long.
pub(crate) fn is_over(path: &Path, least: Duration) {
    let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(current) = current.as_mut().filter(|current| current.path == path && current.since.elapsed() >= least) {
        current.hangs = true;
    }
}

/// The file that is still being mapped although it has had its time.
pub(crate) fn hanging() -> Option<PathBuf> {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    current.as_ref().filter(|current| current.hangs).map(|current| current.path.clone())
}

/// The file that has been being mapped for at least this long, if there is one.
pub(crate) fn held_for(least: Duration) -> Option<PathBuf> {
    let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
    current.as_ref().filter(|current| current.since.elapsed() >= least).map(|current| current.path.clone())
}
