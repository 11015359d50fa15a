//! A plugin that does nothing wrong, on a machine that is kept busy by others: the watchdog leaves it where it is.
//!
//! `HEALTHY_SECONDS` says how long (10); `scripts/healthy` takes a minute.

use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use mini_chat_plugin_loader::HostEvent;
use mini_chat_plugin_loader::config::ExecutionMode;
use mini_chat_plugin_sdk::plugin_api::MiniChatModelPolicyPluginClientV1;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::probing::{Probing, key, order};
use mini_chat_plugin_tests::serving::{Way, eventually, patient};
use probe::Action;

/// A process that only spins; ended with its handle.
struct Spinning(Child);

impl Spinning {
    fn start() -> Self {
        Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().expect("a shell"))
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Calls without a pause, until told to stop.
fn calling(policy: &Arc<dyn MiniChatModelPolicyPluginClientV1>, action: Action, stop: &AtomicBool, calls: &AtomicU64) {
    let token = CancellationToken::new();
    block_on(async {
        while !stop.load(Ordering::Relaxed) {
            // Whether it has something to tell does not matter.
            let _ = policy.get_current_policy_version(order(action, 0), token.clone()).await;
            calls.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// A machine that stops as a whole for a tenth of a second looks like a poll that does (ARCHITECTURE.md, D6): that happens on
/// shared ones, but not each time.
const TRIES: usize = 3;

#[test]
fn a_healthy_plugin_on_a_busy_machine_is_not_isolated() {
    let seconds = std::env::var("HEALTHY_SECONDS").map_or(10, |seconds| seconds.parse().expect("a number of seconds"));
    let mut isolations = Vec::new();
    let healthy = (0..TRIES).find_map(|_| kept_busy(seconds).map_err(|why| isolations.push(why)).ok());
    let probing = healthy.unwrap_or_else(|| panic!("isolated each time: {isolations:#?}"));

    // The watchdog was awake all the time.
    let (policy, key) = (Arc::clone(&probing.policy), key());
    let token = CancellationToken::new();
    let holding = thread::spawn(move || block_on(policy.get_current_policy_version(order(Action::Spin, key), token)));
    eventually("a plugin that spins is isolated", || probing.status().isolations == 1);
    block_on(probing.tell(Action::Release, key, &CancellationToken::new()));
    assert!(holding.join().expect("nothing panics").is_ok());
    assert!(block_on(probing.host.shutdown()).is_clean());
}

/// A healthy plugin, called for so long on a machine that has more to do than processors; the event if it was isolated.
fn kept_busy(seconds: u64) -> Result<Probing, Box<HostEvent>> {
    let way = Way { loaded: true, mode: ExecutionMode::Adaptive };
    let probing = block_on(Probing::serve(way, patient(Duration::from_secs(60))));
    let mut events = probing.host.events();
    let (stop, calls) = (AtomicBool::new(false), [const { AtomicU64::new(0) }; 3]);
    // One answers at once; one after a timer of 5 ms; one uses tasks, a blocking thread and a TCP connection.
    let actions = [Action::Answer, Action::CallInfo, Action::UseTokio];
    thread::scope(|scope| {
        let spinning = [Spinning::start(), Spinning::start()];
        for (action, calls) in std::iter::zip(actions, &calls) {
            let (policy, stop) = (&probing.policy, &stop);
            scope.spawn(move || calling(policy, action, stop, calls));
        }
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end && probing.status().isolations == 0 {
            thread::sleep(Duration::from_millis(50));
        }
        stop.store(true, Ordering::Relaxed);
        drop(spinning);
    });
    let calls = calls.map(AtomicU64::into_inner);
    println!("{seconds} s, calls: {actions:?} {calls:?}");
    assert!(calls.iter().all(|count| *count > 10) || probing.status().isolations > 0, "{calls:?}");
    if probing.status().isolations > 0 {
        return Err(Box::new(block_on(events.recv()).expect("the event comes after the count")));
    }
    assert_eq!(events.try_recv().ok(), None, "nothing has happened");
    Ok(probing)
}
