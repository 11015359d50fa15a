//! Plugins of which only one instance can be there: calls wait while one makes way for the other.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures::executor::block_on;
use mini_chat_plugin_loader::{HostEvent, PluginHost};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::exclusivity::{Counted, fixture};
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::serving::eventually;
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;

const NAME: &str = "exclusive";

/// A host with the fixture `exclusive`, which counts.
struct Counting {
    host: PluginHost,
    place: TempDir,
    events: Receiver<HostEvent>,
    address: SocketAddr,
}

impl Counting {
    fn new(faults: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (fixture, address) = (fixture(), exclusive::free_address());
        fs::create_dir(place.path().join("plugins")).unwrap();
        plugins::drop_in(&place.path().join("plugins"), &plugins::built(fixture.package), "libexclusive.so");
        write(&place, address, faults);
        let builder = PluginHost::builder().plugins(place.path().join("plugins"));
        let host = block_on(builder.config_file(place.path().join("plugins.toml")).build()).expect("it starts");
        let events = host.events();
        Self { host, place, events, address }
    }

    fn configure(&self, faults: &str) {
        write(&self.place, self.address, faults);
    }

    fn count(&self) -> Counted {
        count(&self.host).expect("it counts")
    }

    fn until(&mut self, what: &str, is_it: impl Fn(&HostEvent) -> bool) {
        eventually(what, || std::iter::from_fn(|| self.events.try_recv().ok()).any(|event| is_it(&event)));
    }
}

fn count(host: &PluginHost) -> Result<Counted, String> {
    let policy = host.model_policy(NAME);
    let limits = block_on(policy.get_user_limits(Default::default(), 1, CancellationToken::new()));
    limits.map(Counted::from).map_err(|error| error.to_string())
}

fn write(place: &TempDir, address: SocketAddr, faults: &str) {
    let id = fixture().id;
    let text = format!(
        "[plugins.{NAME}]\nlibrary = \"{id}\"\n[plugins.{NAME}.limits]\nhold = \"30s\"\npolicy = \"60s\"\ndrain = \"90s\"\n\
         [plugins.{NAME}.config]\nlisten = \"{address}\"\nfaults = {{ {faults} }}\n"
    );
    fs::write(place.path().join("new"), text).unwrap();
    fs::rename(place.path().join("new"), place.path().join("plugins.toml")).unwrap();
}

#[test]
fn the_count_goes_on_without_a_gap_while_generations_change() {
    let world = Counting::new("");
    let stop = Arc::new(AtomicBool::new(false));
    let host = Arc::new(world.host);
    let (calling, stopped) = (Arc::clone(&host), Arc::clone(&stop));
    let caller = thread::spawn(move || {
        let mut counted = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            counted.push(count(&calling).expect("no call fails"));
        }
        counted
    });
    for generation in 2..=5 {
        let swapped = block_on(host.reload(NAME)).expect("it is replaced");
        assert_eq!(swapped.generation, generation);
        assert!(swapped.phases.predecessor_us > 0, "it gave up its port: {swapped:?}");
    }
    let now = count(&host).unwrap();
    assert_eq!((now.generation, now.handed), (5, 2), "the state was exact");
    stop.store(true, Ordering::Relaxed);
    let counted = caller.join().expect("no call fails");
    assert!(counted.windows(2).all(|pair| pair[0].number < pair[1].number), "each number once, in order");
    let last = count(&host).unwrap().number;
    assert_eq!(last, i64::try_from(counted.len()).unwrap() + 2, "no call was counted twice or forgotten");
    assert!(block_on(host.shutdown()).is_clean());
}

#[test]
fn a_successor_that_fails_leaves_the_predecessor_counting() {
    for fault in ["create", "health", "export_state", "quiesce"] {
        let mut world = Counting::new(&if fault.starts_with('e') || fault.starts_with('q') {
            format!("{fault} = \"permanent\"")
        } else {
            String::new()
        });
        assert_eq!(world.count().number, 1);
        world.configure(&if fault.starts_with('e') || fault.starts_with('q') {
            String::new()
        } else {
            format!("{fault} = \"permanent\"")
        });
        world.until(&format!("{fault} fails"), |event| {
            matches!(event, HostEvent::Refused { kind: "create-failed", .. })
        });
        eventually("it takes calls again", || count(&world.host).is_ok());
        let counted = world.count();
        assert_eq!((counted.generation, counted.handed), (1, 0), "{fault}");
        assert!(block_on(world.host.shutdown()).is_clean());
    }
}

#[test]
fn one_that_cannot_resume_is_started_anew() {
    let mut world = Counting::new("resume = \"permanent\"");
    assert_eq!(world.count().number, 1);
    world.configure("create = \"permanent\"");
    world.until("the resume fails", |event| matches!(event, HostEvent::ResumeFailed { generation: 1, .. }));
    eventually("it counts again", || count(&world.host).is_ok());
    assert!(world.count().generation > 1);
    block_on(world.host.shutdown());
}

#[test]
fn an_exclusive_build_is_rolled_back_by_starting_its_predecessor_anew() {
    let world = Counting::new("");
    assert_eq!(world.count().number, 1);
    world.configure("resume = \"permanent\"");
    eventually("the next generation counts", || count(&world.host).is_ok_and(|counted| counted.generation == 2));
    let before = world.count();
    let back = block_on(world.host.rollback(NAME)).expect("its predecessor is started anew");
    let counted = world.count();
    assert_eq!((back.generation, counted.generation), (3, 3));
    assert_eq!((counted.handed, counted.number), (2, before.number + 1), "with the exact state");
    assert!(block_on(world.host.shutdown()).is_clean());
}
