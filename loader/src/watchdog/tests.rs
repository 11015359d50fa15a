use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::{Rule, Trip, Watchdog, Watched, begin, next_number};

/// Tells the test what it is told.
struct Plugin(mpsc::Sender<Option<Trip>>);

impl Watched for Plugin {
    fn isolate(&self, why: &Trip) {
        let _ = self.0.send(Some(*why));
    }

    fn release(&self) {
        let _ = self.0.send(None);
    }
}

struct Setup {
    number: u32,
    told: mpsc::Receiver<Option<Trip>>,
    _plugin: Arc<Plugin>,
    _watchdog: Watchdog,
}

fn watched(rule: Rule) -> Setup {
    let (sender, told) = mpsc::channel();
    let plugin = Arc::new(Plugin(sender));
    let watchdog = Watchdog::new();
    let number = next_number();
    let weak: Weak<Plugin> = Arc::downgrade(&plugin);
    watchdog.watch(number, weak, rule).unwrap();
    Setup { number, told, _plugin: plugin, _watchdog: watchdog }
}

const LIMIT: Duration = Duration::from_secs(30);

/// Holds its thread until it is told to stop.
fn holding(number: u32, hold: impl Fn() + Send + 'static) -> mpsc::Sender<()> {
    let (stop, stopped) = mpsc::channel::<()>();
    thread::spawn(move || {
        let _poll = begin(number);
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            hold();
        }
    });
    stop
}

#[test]
fn a_sleeping_poll_is_seen_while_it_still_sleeps() {
    let setup = watched(Rule::default());
    let stop = holding(setup.number, || thread::sleep(Duration::from_millis(50)));
    let told = setup.told.recv_timeout(LIMIT).expect("the watchdog says something while the poll goes on");
    assert!(matches!(told, Some(Trip::Stuck { held }) if held > Rule::default().stuck), "{told:?}");
    drop(stop);
}

#[test]
fn a_spinning_poll_is_seen_while_it_still_spins() {
    let setup = watched(Rule::default());
    let stop = holding(setup.number, std::hint::spin_loop);
    let told = setup.told.recv_timeout(LIMIT).expect("the watchdog says something while the poll goes on");
    assert!(matches!(told, Some(Trip::Stuck { .. })), "{told:?}");
    drop(stop);
}

#[test]
fn long_polls_trip_when_there_are_several() {
    let rule = Rule { stuck: Duration::from_secs(3600), window: Duration::from_secs(3600), ..Rule::default() };
    let setup = watched(rule);
    let until = Instant::now() + LIMIT;
    let told = loop {
        {
            let _poll = begin(setup.number);
            // Long enough to count on a busy machine, too.
            thread::sleep(Duration::from_millis(20));
        }
        if let Ok(told) = setup.told.try_recv() {
            break told;
        }
        assert!(Instant::now() < until, "three long polls trip");
    };
    assert!(matches!(told, Some(Trip::Often { count }) if count >= 3), "{told:?}");
}

#[test]
fn it_is_released_after_the_clean_period() {
    let setup = watched(Rule { clean: Duration::from_millis(1), ..Rule::default() });
    let stop = holding(setup.number, || thread::sleep(Duration::from_millis(50)));
    assert!(setup.told.recv_timeout(LIMIT).unwrap().is_some());
    drop(stop);
    assert_eq!(setup.told.recv_timeout(LIMIT).unwrap(), None);
}

#[test]
fn short_polls_and_other_instances_do_not_trip() {
    // A pause of the whole processor would be one long poll: see `sample`.
    let setup = watched(Rule { stuck: Duration::from_secs(3600), ..Rule::default() });
    let other = watched(Rule::default());
    let stop = holding(other.number, || thread::sleep(Duration::from_millis(50)));
    let until = Instant::now() + Duration::from_millis(500);
    while Instant::now() < until {
        let _poll = begin(setup.number);
    }
    assert!(other.told.recv_timeout(LIMIT).unwrap().is_some(), "the other one is seen");
    assert!(setup.told.try_recv().is_err(), "this one is not");
    drop(stop);
}
