//! Threads that link, cancel, evict.

use std::future::Future;
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Wake, Waker};

use loom::sync::Arc;
use loom::sync::atomic::AtomicBool;
use loom::thread;

use super::check;
use crate::links::{Link, LinkTable, Mirrors};
use crate::sync::{CancellationToken, called_out};

/// Counts the mirrors that live. Not loom's: it decides nothing.
#[derive(Clone, Default)]
struct Source(StdArc<AtomicI64>);

struct Mirror {
    cancelled: AtomicBool,
    live: StdArc<AtomicI64>,
}

impl Mirrors for Source {
    type Mirror = Mirror;

    fn mirror(&self) -> Mirror {
        called_out();
        self.0.fetch_add(1, Ordering::Relaxed);
        Mirror { cancelled: AtomicBool::new(false), live: StdArc::clone(&self.0) }
    }
}

impl Wake for Mirror {
    fn wake(self: StdArc<Self>) {
        called_out();
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        called_out();
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}

type Table = Arc<LinkTable<Source>>;

/// Runs a model of a table that keeps `limit` links; all mirrors are gone when the table is.
fn check_table(preemptions: usize, limit: usize, model: impl Fn(&Table) + Sync + Send + 'static) {
    check(preemptions, move || {
        let source = Source::default();
        let table = Arc::new(LinkTable::new(source.clone(), limit));
        model(&table);
        drop(table);
        assert_eq!(source.0.load(Ordering::Relaxed), 0, "mirrors are left");
    });
}

fn is_cancelled(link: &Link<Mirror>) -> bool {
    link.mirror().cancelled.load(Ordering::Relaxed)
}

fn spawn<T: 'static>(
    table: &Table,
    token: &CancellationToken,
    work: impl FnOnce(&Table, &CancellationToken) -> T + 'static,
) -> thread::JoinHandle<T> {
    let (table, token) = (Arc::clone(table), token.clone());
    thread::spawn(move || work(&table, &token))
}

#[test]
fn two_threads_link_a_token_that_a_third_cancels() {
    check_table(2, 4, |table| {
        let token = CancellationToken::default();
        let linking = [0, 1].map(|_| spawn(table, &token, |table, token| table.link(token)));
        token.cancel();
        // A call that starts once `cancel()` has returned, whoever made the link.
        let after = table.link(&token);
        assert!(is_cancelled(&after), "a call that begins after the cancellation does not see it");
        for link in linking {
            let link = link.join().unwrap();
            assert!(Arc::ptr_eq(&link, &after), "two links of one token");
            assert!(is_cancelled(&link));
        }
        assert_eq!((table.kept(), table.evicted()), (1, 0));
    });
}

/// The table keeps one link, and other tokens press it out; a call in progress uses it.
#[test]
fn a_link_in_use_survives_eviction_and_hears_its_token() {
    check_table(2, 1, |table| {
        let token = CancellationToken::default();
        let using = spawn(table, &token, |table, token| {
            let link = table.link(token);
            let again = table.link(token);
            assert!(Arc::ptr_eq(&link, &again), "evicted while it was used");
            link
        });
        let pressing = spawn(table, &token, |table, _| {
            drop(table.link(&CancellationToken::default()));
            drop(table.link(&CancellationToken::default()));
        });
        let link = using.join().unwrap();
        token.cancel();
        assert!(is_cancelled(&link));
        pressing.join().unwrap();
        assert!(Arc::ptr_eq(&link, &table.link(&token)));
    });
}

/// Eviction takes the waker out of a token that is being cancelled.
#[test]
fn a_link_is_evicted_while_its_token_is_cancelled() {
    check_table(3, 0, |table| {
        let token = CancellationToken::default();
        drop(table.link(&token));
        let evicting = spawn(table, &token, |table, _| {
            drop(table.link(&CancellationToken::default()));
            drop(table.link(&CancellationToken::default()));
        });
        token.cancel();
        assert!(is_cancelled(&table.link(&token)));
        evicting.join().unwrap();
    });
}

/// What waits for the host's token may use the bridge from inside `cancel()`.
struct Nosy {
    table: Table,
    token: CancellationToken,
}

impl Wake for Nosy {
    fn wake(self: StdArc<Self>) {
        assert!(self.token.is_cancelled());
        self.table.link(&self.token);
        self.table.link(&CancellationToken::default());
    }
}

#[test]
fn cancelling_calls_code_that_links() {
    check_table(2, 1, |table| {
        let token = CancellationToken::default();
        let nosy = StdArc::new(Nosy { table: Arc::clone(table), token: token.clone() });
        let mut waiting = Box::pin(token.clone().cancelled_owned());
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&Waker::from(nosy))).is_pending());
        let linking = spawn(table, &token, |table, token| drop(table.link(token)));
        token.cancel();
        assert!(is_cancelled(&table.link(&token)));
        linking.join().unwrap();
    });
}
