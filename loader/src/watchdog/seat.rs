//! One word per thread that says what it is polling, and the kernel's account of that thread.
//!
//! # Invariants
//!
//! 1. A seat is written by its thread only; the watchdog reads. A word that changes between two samples is another poll.
//! 2. What the C library writes to is a local of the right type, alive for the call; it keeps no pointer.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// One thread's word: what it is polling now. 0: nothing.
pub(super) struct Seat {
    word: AtomicU64,
    kernel: Option<Kernel>,
}

/// Where the kernel tells of the thread: opened by it, readable by any.
struct Kernel {
    /// The clock of its time on a processor. Unlike the same in `schedstat` it is exact while the thread runs.
    clock: libc::clockid_t,
    /// Second field: nanoseconds of waiting for a processor.
    schedstat: File,
    /// The state, behind the name.
    stat: File,
}

/// What the kernel says of a thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// Time on a processor.
    pub(super) ran: Duration,
    /// Time of waiting for a processor, as of the last time it got one.
    pub(super) waited: Duration,
    /// Whether it runs or waits for a processor. If not, what these two times leave is time in which the thread slept.
    pub(super) runnable: bool,
}

impl Seat {
    pub(super) fn word(&self) -> u64 {
        self.word.load(Ordering::Relaxed)
    }

    /// The account of the thread now; none where the kernel does not tell.
    pub(super) fn account(&self) -> Option<Account> {
        let Kernel { clock, schedstat, stat } = self.kernel.as_ref()?;
        // The state first: a thread that goes to sleep in between counts as runnable, and is seen the next time.
        let runnable = read(stat, |text| Some(text.rsplit_once(')')?.1.trim_start().starts_with('R')))?;
        let waited = read(schedstat, |text| text.split_ascii_whitespace().nth(1)?.parse().ok())?;
        Some(Account { ran: time(*clock)?, waited: Duration::from_nanos(waited), runnable })
    }
}

impl Kernel {
    /// For the current thread.
    fn open() -> Option<Self> {
        let file = |name: &str| File::open(format!("/proc/thread-self/{name}")).ok();
        let mut clock = 0;
        // SAFETY: invariant 2; the thread is the current one, so it exists.
        let got = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        (got == 0).then_some(())?;
        Some(Self { clock, schedstat: file("schedstat")?, stat: file("stat")? })
    }
}

/// What a clock shows; nothing once its thread has ended.
fn time(clock: libc::clockid_t) -> Option<Duration> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: invariant 2.
    let got = unsafe { libc::clock_gettime(clock, &mut time) };
    (got == 0).then_some(())?;
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

fn read<T>(file: &File, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let mut text = [0_u8; 96];
    let length = file.read_at(&mut text, 0).ok()?;
    // The name of a thread, which stands before its state, may be of any bytes.
    parse(&String::from_utf8_lossy(&text[..length]))
}

static SEATS: Mutex<Vec<Weak<Seat>>> = Mutex::new(Vec::new());

/// The seats of all threads that have polled, and have not ended.
pub(super) fn all() -> Vec<Arc<Seat>> {
    SEATS.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
}

thread_local! {
    static SEAT: Arc<Seat> = new_seat();
    static POLLS: Cell<u32> = const { Cell::new(0) };
}

fn new_seat() -> Arc<Seat> {
    let seat = Arc::new(Seat { word: AtomicU64::new(0), kernel: Kernel::open() });
    let mut seats = SEATS.lock().unwrap_or_else(PoisonError::into_inner);
    seats.retain(|seat| seat.strong_count() > 0);
    seats.push(Arc::downgrade(&seat));
    seat
}

/// A poll in progress: ends when dropped.
pub(crate) struct Poll {
    before: Option<u64>,
}

/// Begins a poll of the instance with this number on the current thread; 0: not watched.
pub(crate) fn begin(number: u32) -> Poll {
    if number == 0 {
        return Poll { before: None };
    }
    // A thread that is ending has no seat: its polls go unseen.
    let before = SEAT.try_with(|seat| {
        let poll = POLLS.get().wrapping_add(1);
        POLLS.set(poll);
        let before = seat.word.load(Ordering::Relaxed);
        seat.word.store(u64::from(number) << 32 | u64::from(poll), Ordering::Relaxed);
        before
    });
    Poll { before: before.ok() }
}

impl Drop for Poll {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            let _ = SEAT.try_with(|seat| seat.word.store(before, Ordering::Relaxed));
        }
    }
}
