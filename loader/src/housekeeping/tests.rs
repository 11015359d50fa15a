use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Barrier, Weak};
use std::task::Wake;

use super::*;

const LONG: Duration = Duration::from_secs(3600);
/// For what should come at once; nothing here waits that long.
const LIMIT: Duration = Duration::from_secs(30);

/// Says its number when it is woken.
struct Tell(u32, Mutex<Sender<u32>>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        let _ = self.1.lock().unwrap().send(self.0);
    }
}

fn teller() -> (impl Fn(u32) -> Waker, Receiver<u32>) {
    let (sender, receiver) = channel();
    (move |number| Waker::from(Arc::new(Tell(number, Mutex::new(sender.clone())))), receiver)
}

fn poll(sleep: &mut Sleep, waker: &Waker) -> Poll<()> {
    Pin::new(sleep).poll(&mut Context::from_waker(waker))
}

fn waiting(housekeeping: &Housekeeping) -> usize {
    housekeeping.shared.timers.lock().unwrap().wakers.len()
}

#[test]
fn timers_go_off_in_the_order_of_their_times() {
    let housekeeping = Housekeeping::start().unwrap();
    let (waker, woken) = teller();
    let start = Instant::now();
    // The first to be registered is the last to go off.
    let mut sleeps: Vec<_> = (0..5)
        .rev()
        .map(|n| (n, housekeeping.sleep_until(start + Duration::from_millis(100 + 10 * u64::from(n)))))
        .collect();
    for (number, sleep) in &mut sleeps {
        assert!(poll(sleep, &waker(*number)).is_pending());
    }
    for expected in 0..5 {
        assert_eq!(woken.recv_timeout(LIMIT), Ok(expected));
        assert!(start.elapsed() >= Duration::from_millis(100 + 10 * u64::from(expected)), "woken early");
    }
    assert!(sleeps.iter_mut().all(|(number, sleep)| poll(sleep, &waker(*number)).is_ready()));
    assert_eq!(waiting(&housekeeping), 0);
}

#[test]
fn two_of_the_same_time_both_go_off() {
    let housekeeping = Housekeeping::start().unwrap();
    let (waker, woken) = teller();
    let at = Instant::now() + Duration::from_millis(50);
    let (mut one, mut two) = (housekeeping.sleep_until(at), housekeeping.sleep_until(at));
    assert!(poll(&mut one, &waker(1)).is_pending());
    assert!(poll(&mut two, &waker(2)).is_pending());
    assert_eq!([woken.recv_timeout(LIMIT), woken.recv_timeout(LIMIT)], [Ok(1), Ok(2)]);
}

#[test]
fn what_is_past_is_ready_and_leaves_nothing() {
    let housekeeping = Housekeeping::start().unwrap();
    let mut sleep = housekeeping.sleep_until(Instant::now());
    assert!(poll(&mut sleep, Waker::noop()).is_ready());
    assert_eq!(waiting(&housekeeping), 0);
}

#[test]
fn a_dropped_timer_is_gone_with_its_waker() {
    let housekeeping = Housekeeping::start().unwrap();
    let (waker, woken) = teller();
    let tell = Arc::new(Tell(1, Mutex::new(channel().0)));
    let watch: Weak<Tell> = Arc::downgrade(&tell);
    let mut sleep = housekeeping.sleep_until(Instant::now() + LONG);
    assert!(poll(&mut sleep, &Waker::from(tell)).is_pending());
    assert_eq!(waiting(&housekeeping), 1);
    // Polled again with another waker: only the newest is kept.
    assert!(poll(&mut sleep, &waker(2)).is_pending());
    assert_eq!(waiting(&housekeeping), 1);
    assert!(watch.upgrade().is_none());
    drop(sleep);
    assert_eq!(waiting(&housekeeping), 0);
    drop(waker);
    assert!(woken.recv().is_err(), "nobody is left who could wake");
}

#[test]
fn ten_thousand_timers_from_many_threads() {
    let housekeeping = Housekeeping::start().unwrap();
    let (waker, woken) = teller();
    let at = Instant::now() + Duration::from_millis(200);
    let sleeps: Vec<Vec<Sleep>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4_u32)
            .map(|thread| {
                let wakers: Vec<_> = (0..2_500).map(|n| waker(thread * 2_500 + n)).collect();
                let housekeeping = &housekeeping;
                scope.spawn(move || {
                    wakers
                        .into_iter()
                        .zip(0..)
                        .map(|(waker, n)| {
                            let mut sleep = housekeeping.sleep_until(at + Duration::from_micros(n % 97));
                            // Late on a busy machine, it is ready: then it would not be woken.
                            if poll(&mut sleep, &waker).is_ready() {
                                waker.wake();
                            }
                            sleep
                        })
                        .collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut numbers: Vec<_> = (0..10_000).map(|_| woken.recv_timeout(LIMIT).unwrap()).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..10_000));
    assert_eq!(waiting(&housekeeping), 0);
    drop(sleeps);
}

#[test]
fn wake_all_wakes_those_whose_time_has_not_come() {
    let housekeeping = Housekeeping::start().unwrap();
    let (waker, woken) = teller();
    let mut sleeps: Vec<_> = (1..4).map(|_| housekeeping.sleep_until(Instant::now() + LONG)).collect();
    for (sleep, number) in sleeps.iter_mut().zip(1..) {
        assert!(poll(sleep, &waker(number)).is_pending());
    }
    housekeeping.wake_all();
    let mut numbers = [woken.try_recv().unwrap(), woken.try_recv().unwrap(), woken.try_recv().unwrap()];
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
    // They look around, and wait again.
    assert!(poll(&mut sleeps[0], &waker(4)).is_pending());
    housekeeping.wake_all();
    assert_eq!(woken.try_recv(), Ok(4));
    assert!(woken.try_recv().is_err());
}

/// Uses the timers from inside its wake, and panics.
struct Rude(Housekeeping, Arc<Barrier>);

impl Wake for Rude {
    fn wake(self: Arc<Self>) {
        let mut sleep = self.0.sleep_until(Instant::now() + LONG);
        assert!(poll(&mut sleep, Waker::noop()).is_pending());
        drop(sleep);
        self.1.wait();
        panic!("a waker that panics");
    }
}

#[test]
fn a_waker_may_use_the_timers_and_panic() {
    let housekeeping = Housekeeping::start().unwrap();
    let met = Arc::new(Barrier::new(2));
    let rude = Waker::from(Arc::new(Rude(housekeeping.clone(), Arc::clone(&met))));
    let mut sleep = housekeeping.sleep_until(Instant::now() + Duration::from_millis(1));
    if poll(&mut sleep, &rude).is_pending() {
        met.wait();
    }
    let (waker, woken) = teller();
    let mut sleep = housekeeping.sleep_until(Instant::now() + Duration::from_millis(10));
    assert!(poll(&mut sleep, &waker(1)).is_pending());
    assert_eq!(woken.recv_timeout(LIMIT), Ok(1), "the thread lives on");
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let housekeeping = Housekeeping::start().unwrap();
    let shared = Arc::downgrade(&housekeeping.shared);
    let second = housekeeping.clone();
    drop(housekeeping);
    assert!(shared.upgrade().is_some());
    drop(second);
    let limit = Instant::now() + LIMIT;
    while shared.strong_count() > 0 {
        assert!(Instant::now() < limit, "the thread runs on");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn until_gives_the_output_or_nothing() {
    let housekeeping = Housekeeping::start().unwrap();
    let on = |at, future: Pin<Box<dyn Future<Output = u8>>>| {
        let (waker, woken) = teller();
        let waker = waker(0);
        let mut until = std::pin::pin!(housekeeping.until(at, future));
        loop {
            match until.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => return output,
                Poll::Pending => woken.recv_timeout(LIMIT).map_or_else(|_| panic!("nobody wakes"), drop),
            }
        }
    };
    assert_eq!(on(Instant::now() + LONG, Box::pin(std::future::ready(7))), Some(7));
    assert_eq!(on(Instant::now() + Duration::from_millis(20), Box::pin(std::future::pending())), None);
    let job = run("test", || 8_u8);
    assert_eq!(on(Instant::now() + LONG, Box::pin(async { job.await.unwrap() })), Some(8));
    assert_eq!(waiting(&housekeeping), 0);
}

#[test]
fn a_job_that_panics_is_lost() {
    let (waker, woken) = teller();
    let waker = waker(0);
    let mut job = std::pin::pin!(run("test", || panic!("a job that panics")));
    let outcome: Result<(), JobLost> = loop {
        match job.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => break outcome,
            Poll::Pending => drop(woken.recv_timeout(LIMIT).unwrap()),
        }
    };
    assert!(outcome.is_err());
}

#[test]
fn the_longest_limit_does_not_overflow() {
    assert!(after(Duration::MAX) > Instant::now() + LONG);
}

#[test]
fn one_that_comes_after_one_that_is_gone_goes_off() {
    let housekeeping = Housekeeping::start().unwrap();
    let (waker, woken) = teller();
    let start = Instant::now();
    let mut gone = housekeeping.sleep_until(start + Duration::from_millis(50));
    assert!(poll(&mut gone, &waker(1)).is_pending());
    drop(gone);
    // The thread is not told: it looks again at the time of the one that is gone, and finds this one.
    let mut later = housekeeping.sleep_until(start + Duration::from_millis(100));
    assert!(poll(&mut later, &waker(2)).is_pending());
    assert_eq!(woken.recv_timeout(LIMIT), Ok(2));
    // From now on it waits until it is told.
    let mut last = housekeeping.sleep_until(Instant::now() + Duration::from_millis(50));
    assert!(poll(&mut last, &waker(3)).is_pending());
    assert_eq!(woken.recv_timeout(LIMIT), Ok(3));
}
