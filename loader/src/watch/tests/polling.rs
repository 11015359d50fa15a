//! When nothing can be heard, and how a watcher ends.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Cause, LIMIT, TIMING, Timing, Watched, place, targets};
use crate::watch::Watcher;
use crate::watch::backend::{self, Backend, Make, Unwatched};

const SOON: Duration = Duration::from_millis(20);

/// What fails now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    Nothing,
    Instance,
    Watch,
    Panic,
}

struct Faulty(Arc<Mutex<Fault>>);

impl Backend for Faulty {
    fn watch(&mut self, _: &Path) -> Result<(), Unwatched> {
        let fault = *self.0.lock().unwrap();
        match fault {
            Fault::Panic => panic!("as crate notify does when its thread is gone"),
            Fault::Watch => Err(Unwatched::Exhausted("no watch left".to_owned())),
            _ => Ok(()),
        }
    }

    fn unwatch(&mut self, _: &Path) {}
}

fn faulty(fault: &Arc<Mutex<Fault>>) -> Make {
    let fault = Arc::clone(fault);
    Box::new(move |_| match *fault.lock().unwrap() {
        Fault::Instance => Err(Unwatched::Exhausted("no instance left".to_owned())),
        _ => Ok(Box::new(Faulty(Arc::clone(&fault)))),
    })
}

fn sound() -> Make {
    faulty(&Arc::new(Mutex::new(Fault::Nothing)))
}

/// Counts warnings and what else is told to people.
#[derive(Clone, Default)]
struct Log(Arc<[AtomicUsize; 2]>);

impl Log {
    fn warnings(&self) -> usize {
        self.0[0].load(Ordering::SeqCst)
    }

    fn news(&self) -> usize {
        self.0[1].load(Ordering::SeqCst)
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let place = usize::from(*event.metadata().level() == tracing::Level::INFO);
        self.0[place].fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn without_watches_it_polls_warns_once_and_tries_again() {
    for fault in [Fault::Instance, Fault::Watch, Fault::Panic] {
        let (_directory, plugins) = place();
        let now = Arc::new(Mutex::new(fault));
        let log = Log::default();
        let timing = Timing { poll: SOON, retry: SOON, ..TIMING };
        let watched =
            tracing::subscriber::with_default(log.clone(), || Watched::new(&[&plugins], &[], timing, faulty(&now)));
        for _ in 0..5 {
            assert_eq!(watched.next().cause, Cause::Polling);
        }
        assert_eq!((log.warnings(), log.news()), (1, 0));
        // Watches are to be had again; then none, though there is an instance.
        *now.lock().unwrap() = Fault::Nothing;
        watched.until(|_| log.news() == 1);
        *now.lock().unwrap() = Fault::Watch;
        watched.watcher.set_targets(targets(&[&plugins], &[&plugins.join("another")]));
        watched.until(|wake| wake.cause == Cause::Events);
        assert_eq!(watched.next().cause, Cause::Polling);
        assert_eq!((log.warnings(), log.news()), (2, 1));
    }
}

#[test]
fn where_nothing_is_heard_it_looks_now_and_then() {
    let (_directory, plugins) = place();
    let timing = Timing { rescan: SOON, ..TIMING };
    let watched = Watched::new(&[&plugins], &[], timing, sound());
    for _ in 0..5 {
        assert_eq!(watched.next().cause, Cause::Periodic);
    }
}

#[test]
fn a_panic_of_who_is_told_ends_nothing() {
    let (_directory, plugins) = place();
    let (tell, wakes) = channel();
    let timing = Timing { rescan: SOON, ..TIMING };
    let _watcher = Watcher::start_with(targets(&[&plugins], &[]), timing, sound(), move |wake| {
        tell.send(wake.cause).unwrap();
        panic!("as a test");
    })
    .unwrap();
    for _ in 0..3 {
        wakes.recv_timeout(LIMIT).unwrap();
    }
}

/// Whether the thread that tells is gone, with all that it held.
fn is_gone(wakes: &Receiver<Cause>) -> bool {
    let started = Instant::now();
    while started.elapsed() < LIMIT {
        if let Err(error) = wakes.recv_timeout(LIMIT) {
            return error == RecvTimeoutError::Disconnected;
        }
    }
    false
}

fn start(plugins: &Path, make: Make, tell: impl Fn(Cause) + Send + Sync + 'static) -> Watcher {
    let timing = Timing { rescan: SOON, ..TIMING };
    Watcher::start_with(targets(&[plugins], &[]), timing, make, move |wake| tell(wake.cause)).unwrap()
}

fn sender() -> (Sender<Cause>, Receiver<Cause>) {
    channel()
}

#[test]
fn dropped_it_ends() {
    let (_directory, plugins) = place();
    let (tell, wakes) = sender();
    let watcher = start(&plugins, Box::new(backend::inotify), move |cause| tell.send(cause).unwrap());
    wakes.recv_timeout(LIMIT).unwrap();
    drop(watcher);
    assert!(is_gone(&wakes));
}

#[test]
fn it_may_be_dropped_by_who_is_told() {
    let (_directory, plugins) = place();
    let (tell, wakes) = sender();
    let own: Arc<Mutex<Option<Watcher>>> = Arc::default();
    let of_tell = Arc::clone(&own);
    let watcher = start(&plugins, sound(), move |cause| {
        drop(of_tell.lock().unwrap().take());
        tell.send(cause).unwrap();
    });
    *own.lock().unwrap() = Some(watcher);
    assert!(is_gone(&wakes));
}

#[test]
fn who_is_told_may_take_for_ever() {
    let (_directory, plugins) = place();
    let (tell, wakes) = sender();
    let (release, held) = channel::<()>();
    let held = Mutex::new(held);
    let watcher = start(&plugins, sound(), move |cause| {
        tell.send(cause).unwrap();
        let _ = held.lock().unwrap().recv();
    });
    wakes.recv_timeout(LIMIT).unwrap();
    drop(watcher);
    drop(release);
    assert!(is_gone(&wakes));
}
