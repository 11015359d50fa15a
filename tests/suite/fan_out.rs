//! The audit fan-out with real plugins: good ones miss nothing, whatever bad ones do.
//!
//! `MINI_CHAT_TESTS_FAN_OUT=full` makes the first test what a host could meet: 100,000 events, a plugin that blocks for 10 s,
//! default settings throughout. It then takes a minute and prints what it measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::audit::{AuditFanOut, FanOutConfig, FanOutCounters, Outcome, PluginCounters};
use mini_chat_plugin_loader::config::{AuditDelivery, Delivery, ExecutionMode, PluginEntry};
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use mini_chat_plugin_tests::log::Log;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::probing::{fixture, turn};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, good};
use serde_json::json;
use stamped::audit::PREFIX;
use tempfile::TempDir;
use uuid::Uuid;

/// The plugin that does everything right.
const GOOD: &str = "takes";

/// A host with a good plugin, and others with a habit each.
struct Site {
    host: PluginHost,
    directory: TempDir,
    data: TempDir,
}

impl Site {
    fn new(bad: &[(&str, serde_json::Value, Option<AuditDelivery>)]) -> Self {
        Self::with_mode(ExecutionMode::default(), bad)
    }

    fn with_mode(mode: ExecutionMode, bad: &[(&str, serde_json::Value, Option<AuditDelivery>)]) -> Self {
        let (directory, data) = (plugins::directory(), tempfile::tempdir().expect("a directory"));
        good(1).drop_in(directory.path(), "libstamped.so");
        plugins::drop_in(directory.path(), &plugins::built("probe-plugin"), "libprobe.so");
        let mut entry = PluginEntry::new(GOOD);
        entry.library = ID.to_owned();
        entry.data_dir = Some(data.path().to_owned());
        let mut builder =
            PluginHost::builder().identity("tests", "1").plugins(directory.path()).watch(false).plugin(entry);
        for (name, config, delivery) in bad {
            let mut entry = PluginEntry::new(*name).with_config(config.clone()).expect("a configuration");
            entry.library = fixture().id.to_owned();
            entry.instance = Some(format!("tests.probe._.{name}.v1"));
            entry.workers = Some(1);
            entry.mode = mode;
            entry.audit = delivery.clone();
            builder = builder.plugin(entry);
        }
        if bad.is_empty() {
            // Its file would be served under its own id.
            let mut entry = PluginEntry::new(fixture().id);
            entry.enabled = false;
            builder = builder.plugin(entry);
        }
        let host = block_on(builder.build()).expect("the host starts");
        Self { host, directory, data }
    }

    fn fan_out(&self) -> Arc<AuditFanOut> {
        self.host.audit_fan_out(FanOutConfig::default())
    }

    /// How often the good plugin has taken each event.
    fn taken(&self) -> BTreeMap<Uuid, u32> {
        let mut taken = BTreeMap::new();
        for file in std::fs::read_dir(self.data.path()).expect("a directory") {
            let path = file.expect("a file").path();
            if path.file_name().is_none_or(|name| !name.to_string_lossy().starts_with(PREFIX)) {
                continue;
            }
            for line in std::fs::read_to_string(&path).expect("text").lines() {
                let request = line.rsplit(' ').next().and_then(|id| id.parse().ok()).expect("a request's id");
                *taken.entry(request).or_default() += 1;
            }
        }
        taken
    }

    fn all_taken_once(&self, events: u128) {
        let taken = self.taken();
        assert_eq!(taken.len() as u128, events);
        let wrong: Vec<_> = (0..events).filter(|number| taken.get(&Uuid::from_u128(*number)) != Some(&1)).collect();
        assert!(wrong.is_empty(), "not taken once: {wrong:?}");
    }
}

fn event(number: u128) -> TurnAuditEvent {
    TurnAuditEvent { request_id: Uuid::from_u128(number), ..turn(Uuid::from_u128(1)) }
}

fn settings(change: impl FnOnce(&mut AuditDelivery)) -> Option<AuditDelivery> {
    let mut settings = AuditDelivery::default();
    change(&mut settings);
    Some(settings)
}

fn of<'c>(counters: &'c FanOutCounters, plugin: &str) -> &'c PluginCounters {
    counters.plugins.iter().find(|counters| &*counters.plugin == plugin).expect("the plugin")
}

#[test]
fn three_bad_plugins_take_nothing_from_the_fourth() {
    let full = std::env::var("MINI_CHAT_TESTS_FAN_OUT").is_ok_and(|value| value == "full");
    let (events, block) = if full { (100_000, 10_000) } else { (2_000, 300) };
    let slow = if full { AuditDelivery::default().slow } else { Duration::from_millis(200) };
    let site = Site::new(&[
        ("blocks", json!({ "habit": "block", "block_ms": block }), settings(|blocks| blocks.slow = slow)),
        ("panics", json!({ "habit": "panic" }), None),
        ("refuses", json!({ "habit": "refuse" }), settings(|refuses| refuses.delivery = Some(Delivery::BestEffort))),
    ]);
    let fan_out = site.fan_out();
    let start = Instant::now();
    let mut settled = None;
    for number in 0..events {
        let report = block_on(fan_out.deliver_turn(event(number)));
        assert_eq!(report.of(GOOD), Some(&Outcome::Accepted), "event {number}: {report:?}");
        let text = report.result().expect_err("two required ones do not take it").to_string();
        assert!(text.contains("panics") && !text.contains("refuses"), "{text}");
        if number == 100 {
            settled = Some(Instant::now());
        }
    }
    let settled = settled.expect("more than a hundred events");
    site.all_taken_once(events);

    let counters = fan_out.counters();
    let events = u64::try_from(events).expect("not so many");
    assert_eq!((counters.ok, counters.failed, counters.dropped), (0, events, 0));
    assert_eq!(of(&counters, GOOD).with("accepted"), events);
    for (plugin, result, asked) in [("blocks", "accepted", 5), ("panics", "transient", 5), ("refuses", "permanent", 20)]
    {
        let counters = of(&counters, plugin);
        let told: Vec<_> = counters.results().filter(|(_, count)| *count > 0).collect();
        // A probe each 5 s, which is as often as it is left alone anew; the last one may be under way.
        assert_eq!(told, [(result, asked), ("breaker_open", events - asked)].map(|told| told), "{plugin}");
        assert!((1..=counters.probes + 1).contains(&counters.opened), "{counters:?}");
    }
    println!("{events} events in {:?}, {:?} for the last {}", start.elapsed(), settled.elapsed(), events - 101);
    assert!(block_on(site.host.shutdown()).plugins.len() == 4);

    // The good one alone, for comparison.
    let site = Site::new(&[]);
    let fan_out = site.fan_out();
    let start = Instant::now();
    for number in 0..u128::from(events) {
        let report = block_on(fan_out.deliver_turn(event(number)));
        assert!(report.result().is_ok(), "{report:?}");
    }
    println!("alone: {events} events in {:?}", start.elapsed());
    site.all_taken_once(u128::from(events));
}

/// A plugin that has done well holds its caller's thread: the others have the event while it still does.
#[test]
fn one_that_blocks_its_caller_holds_up_nobody() {
    let files = tempfile::tempdir().expect("a directory");
    let go_on = files.path().join("go on");
    std::fs::write(&go_on, "").expect("a file");
    let site =
        Site::with_mode(ExecutionMode::Inline, &[("blocks", json!({ "habit": "block", "block_until": go_on }), None)]);
    let fan_out = site.fan_out();
    // By then both have done well.
    for number in 0..10 {
        assert!(block_on(fan_out.deliver_turn(event(number))).result().is_ok());
    }
    std::fs::remove_file(&go_on).expect("it is there");
    let delivering = Arc::clone(&fan_out);
    let caller = std::thread::spawn(move || block_on(delivering.deliver_turn(event(10))));
    eventually("the other has it", || site.taken().len() == 11);
    assert!(!caller.is_finished(), "what blocks is waited for");
    assert_eq!(of(&fan_out.counters(), "blocks").in_flight, 1);
    std::fs::write(&go_on, "").expect("a file");
    let report = caller.join().expect("nothing fails");
    assert!(report.deliveries.iter().all(|delivery| delivery.outcome == Outcome::Accepted), "{report:?}");
    for number in 11..20 {
        assert!(block_on(fan_out.deliver_turn(event(number))).result().is_ok());
    }
    site.all_taken_once(20);
    block_on(site.host.shutdown());
}

/// An event that one plugin never takes blocks its tenant until the stuck rule gives it up for that plugin.
#[test]
fn a_poison_event_is_given_up_and_what_follows_passes() {
    let rule = settings(|chokes| {
        (chokes.stuck_refusals, chokes.stuck_after) = (3, Duration::from_millis(50));
        chokes.failures = 0;
    });
    let site = Site::new(&[("chokes", json!({ "habit": "poison" }), rule)]);
    let fan_out = site.fan_out();
    let poison = || TurnAuditEvent { trace_id: Some("poison".to_owned()), ..event(0) };
    let plugin: &dyn MiniChatAuditPluginClientV1 = &*fan_out;
    let mut tries = 0;
    // What an outbox does.
    eventually("the event is given up", || {
        tries += 1;
        let error = block_on(plugin.emit_turn_audit(poison())).expect_err("it chokes on it");
        assert!(error.to_string().contains("chokes"), "{error}");
        error.is_permanent()
    });
    assert!(tries >= 3, "{tries}");
    for number in 1..10 {
        block_on(plugin.emit_turn_audit(event(number))).expect("what follows passes");
    }
    site.all_taken_once(10);
    let counters = fan_out.counters();
    assert_eq!((counters.ok, counters.failed), (9, tries));
    assert_eq!((of(&counters, "chokes").with("transient"), of(&counters, "chokes").with("stuck")), (tries - 1, 1));
    assert_eq!((of(&counters, GOOD).with("accepted"), of(&counters, GOOD).with("already_accepted")), (10, tries - 1));
}

#[test]
fn without_a_plugin_events_are_dropped_with_one_warning() {
    let log = Log::default();
    tracing::subscriber::with_default(log.subscriber(), || {
        let host =
            block_on(PluginHost::builder().identity("tests", "1").watch(false).build()).expect("the host starts");
        let fan_out = host.audit_fan_out(FanOutConfig::default());
        for number in 0..10 {
            let report = block_on(fan_out.deliver_turn(event(number)));
            assert!(report.is_dropped() && report.result().is_ok());
        }
        assert_eq!(fan_out.counters().dropped, 10);
        block_on(host.shutdown());
    });
    assert_eq!(log.with("there is no audit plugin").len(), 1);
}

/// Builds come and go under deliveries: each event is taken once, by one of them.
#[test]
fn swaps_lose_no_event() {
    let site = Site::new(&[("chokes", json!({ "habit": "poison" }), None)]);
    let fan_out = site.fan_out();
    let delivering = Arc::clone(&fan_out);
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let caller = std::thread::spawn(move || {
        let mut number = 0;
        while stopped.try_recv().is_err() {
            let report = block_on(delivering.deliver_turn(event(number)));
            assert!(report.deliveries.iter().all(|delivery| delivery.outcome == Outcome::Accepted), "{report:?}");
            number += 1;
        }
        number
    });
    for build in 2..5 {
        let before = fan_out.counters().ok;
        let path = site.directory.path().join(format!("build-{build}"));
        std::fs::write(&path, good(build).bytes()).expect("a build");
        block_on(site.host.swap(&path)).expect("it serves");
        eventually("events go on", || fan_out.counters().ok > before + 50);
    }
    stop.send(()).expect("it listens");
    let events = caller.join().expect("nothing fails");
    site.all_taken_once(events);
    let files = std::fs::read_dir(site.data.path()).expect("a directory").count();
    assert_eq!(files, 4, "each build had its share");
    // After the end nothing is dropped: who emits is told to keep it.
    block_on(site.host.shutdown());
    let error = block_on(fan_out.deliver_turn(event(events))).result().expect_err("nothing serves");
    assert!(error.is_transient(), "{error}");
    assert_eq!(fan_out.counters().dropped, 0);
}

/// A fan-out follows what its host serves, whoever serves first.
#[test]
fn it_can_be_made_before_there_are_plugins() {
    let (directory, file): (TempDir, &Path) = (plugins::directory(), Path::new("libstamped.so"));
    let mut entry = PluginEntry::new(ID);
    (entry.required, entry.audit) = (true, Some(AuditDelivery::default()));
    let builder = PluginHost::builder().identity("tests", "1").plugins(directory.path()).plugin(entry);
    let host = block_on(builder.build()).expect("the host starts");
    let fan_out = host.audit_fan_out(FanOutConfig::default());
    let error = block_on(fan_out.deliver_turn(event(0))).result().expect_err("it is required, and is not there");
    assert!(error.is_transient() && error.to_string().contains("not serving"), "{error}");
    good(1).drop_in(directory.path(), &file.to_string_lossy());
    eventually("it serves", || block_on(fan_out.deliver_turn(event(0))).result().is_ok());
}
