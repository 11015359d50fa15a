//! The writer's thread by itself: how often it syncs, and what it answers when that fails.

use std::fs::OpenOptions;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use mini_chat_plugin_sdk::testing::TestContext;
use tempfile::TempDir;
use tokio::sync::{Semaphore, oneshot};

use super::{Command, Line, Loop, Outcome};
use crate::config::SyncWhen;
use crate::journal::Journal;
use crate::journal::tests::settings;

struct Bench {
    dir: TempDir,
    test: TestContext,
    inner: Loop,
    syncs: Arc<AtomicU64>,
}

fn bench(sync: SyncWhen) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let test = TestContext::new("audit");
    let journal = Journal::open(&settings(dir.path().join("a"), sync), test.context()).unwrap();
    let syncs = Arc::clone(&journal.syncs);
    let inner = Loop { journal, sync, context: test.context(), due: None, sync_failed: false };
    Bench { dir, test, inner, syncs }
}

fn queue(commands: &Sender<Command>, line: &str) -> oneshot::Receiver<Outcome> {
    static ROOM: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(10_000)));
    let (done, answer) = oneshot::channel();
    let room = Arc::clone(&ROOM).try_acquire_owned().unwrap();
    assert!(commands.send(Command::Line(Line { bytes: line.into(), done, _room: room })).is_ok());
    answer
}

/// Runs the loop over so many lines and a stop; how often it synced.
fn syncs(sync: SyncWhen, lines: usize) -> u64 {
    let bench = bench(sync);
    let (commands, receiver) = channel();
    let mut answers: Vec<_> = (0..lines).map(|number| queue(&commands, &format!("{number}\n"))).collect();
    let (done, stopped) = oneshot::channel();
    assert!(commands.send(Command::Stop(done)).is_ok());
    let mut late = queue(&commands, "late\n");
    bench.inner.run(&receiver);
    drop(receiver);
    assert_eq!(stopped.blocking_recv(), Ok(Ok(())));
    assert!(answers.iter_mut().all(|answer| answer.try_recv() == Ok(Ok(()))));
    assert!(late.try_recv().is_err(), "behind the stop");
    let expected: String = (0..lines).map(|number| format!("{number}\n")).collect();
    assert_eq!(std::fs::read_to_string(bench.dir.path().join("a")).unwrap(), expected);
    bench.syncs.load(Ordering::Relaxed)
}

#[test]
fn lines_that_wait_together_share_a_sync() {
    assert_eq!(syncs(SyncWhen::Always, 1), 1);
    assert_eq!(syncs(SyncWhen::Always, 100), 1);
    assert_eq!(syncs(SyncWhen::Always, 1_200), 3);
}

#[test]
fn the_end_syncs_unless_never() {
    assert_eq!(syncs(SyncWhen::Within(Duration::from_secs(3_600)), 1_200), 1);
    assert_eq!(syncs(SyncWhen::Never, 1_200), 0);
    assert_eq!(syncs(SyncWhen::Always, 0), 0);
}

#[test]
fn the_interval_syncs_without_a_further_line() {
    let Bench { dir: _dir, test: _test, inner, syncs } = bench(SyncWhen::Within(Duration::from_millis(5)));
    let (commands, receiver) = channel();
    let thread = std::thread::spawn(move || inner.run(&receiver));
    assert_eq!(queue(&commands, "one\n").blocking_recv(), Ok(Ok(())));
    let start = Instant::now();
    while syncs.load(Ordering::Relaxed) == 0 {
        assert!(start.elapsed() < Duration::from_secs(60), "never synced");
        std::thread::yield_now();
    }
    drop(commands);
    thread.join().unwrap();
    assert_eq!(syncs.load(Ordering::Relaxed), 1, "nothing was left to sync at the end");
}

#[test]
fn an_interval_that_has_passed_does_not_wait_for_a_pause() {
    let Bench { dir: _dir, test: _test, mut inner, syncs } = bench(SyncWhen::Within(Duration::from_secs(3_600)));
    inner.due = Some(Instant::now());
    let (commands, receiver) = channel();
    // Two full batches: there is always a next line.
    let _answers: Vec<_> = (0..1_024).map(|_| queue(&commands, "x\n")).collect();
    drop(commands);
    inner.run(&receiver);
    assert_eq!(syncs.load(Ordering::Relaxed), 2, "one between the batches, one at the end");
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_sync_fails_every_line_that_relied_on_it() {
    // A device that takes everything, and cannot be synced.
    let Bench { dir: _dir, test: _test, mut inner, .. } = bench(SyncWhen::Always);
    inner.journal.replace("/dev/null", OpenOptions::new().append(true).open("/dev/null").unwrap());
    let (commands, receiver) = channel();
    let answers = [queue(&commands, "one\n"), queue(&commands, "two\n")];
    drop(commands);
    inner.run(&receiver);
    for answer in answers {
        let text = answer.blocking_recv().unwrap().unwrap_err();
        assert_eq!(text, "fsync /dev/null: Invalid argument (os error 22)");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_background_sync_is_warned_of_once() {
    let Bench { dir: _dir, test, mut inner, .. } = bench(SyncWhen::Within(Duration::from_secs(3_600)));
    inner.journal.replace("/dev/null", OpenOptions::new().append(true).open("/dev/null").unwrap());
    inner.journal.append(b"one\n").unwrap();
    inner.background_sync();
    inner.background_sync();
    assert!(inner.due.is_some(), "tried again");
    assert_eq!(test.records().len(), 1);
}
