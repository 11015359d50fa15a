//! What a host counts: seen through the recorder of the program that embeds it, and through `/metrics` of `run`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::executor::block_on;
use mini_chat_plugin_loader::metrics::{ALL, DEFAULT_PREFIX};
use mini_chat_plugin_loader::{PluginHost, PluginStatus};
use mini_chat_plugin_sdk::models::UsageEvent;
use mini_chat_plugin_sdk::plugin_api::MiniChatModelPolicyPluginClientV1;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_sdk::uuid::Uuid;
use mini_chat_plugin_tests::program::{Running, Signal, command};
use mini_chat_plugin_tests::recorded::{self, Recorded};
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::site::turn_audit_event;
use mini_chat_plugin_tests::stamped::{ID, Stamp, bad, good};
use mini_chat_plugin_tests::{fetch, read_fixture};
use tempfile::TempDir;

const FILE: &str = "libstamped.so";

/// A host on builds of `stamped`, with a prefix of its own: the process has one recorder.
struct World {
    host: PluginHost,
    place: TempDir,
    recorded: Recorded,
    prefix: &'static str,
}

/// `plugins.toml` with these lines for the plugin.
fn config(settings: &str, data: &std::path::Path) -> String {
    let data = data.display();
    let mode = if settings.contains("mode") { "" } else { "mode = \"inline\"\n" };
    format!("[plugins.\"{ID}\"]\n{mode}data_dir = \"{data}\"\nprobation.duration = \"1h\"\n{settings}\n")
}

impl World {
    fn new(prefix: &'static str, first: Stamp, settings: &str) -> Self {
        let (place, recorded) = (tempfile::tempdir().unwrap(), recorded::install());
        for directory in ["plugins", "data"] {
            fs::create_dir(place.path().join(directory)).unwrap();
        }
        fs::write(place.path().join("plugins.toml"), config(settings, &place.path().join("data"))).unwrap();
        first.drop_in(&place.path().join("plugins"), FILE);
        let builder = PluginHost::builder().identity("tests", "1").watch(false).metrics_prefix(prefix);
        let builder = builder.plugins(place.path().join("plugins")).config_file(place.path().join("plugins.toml"));
        let host = block_on(builder.build()).expect("the host starts");
        Self { host, place, recorded, prefix }
    }

    fn configure(&self, settings: &str) {
        self.write_config(&config(settings, &self.place.path().join("data")));
    }

    fn write_config(&self, text: &str) {
        let partial = self.place.path().join("partial");
        fs::write(&partial, text).unwrap();
        fs::rename(partial, self.place.path().join("plugins.toml")).unwrap();
        self.host.rescan();
    }

    fn drop_in(&self, stamp: Stamp) {
        stamp.drop_in(&self.plugins(), FILE);
        self.host.rescan();
    }

    fn plugins(&self) -> PathBuf {
        self.place.path().join("plugins")
    }

    fn status(&self) -> PluginStatus {
        self.host.status().plugins.into_iter().find(|plugin| plugin.name == ID).expect("the slot")
    }

    fn policy(&self) -> Arc<dyn MiniChatModelPolicyPluginClientV1> {
        self.host.model_policy(ID)
    }

    /// Calls; gives which build answers.
    fn call(&self) -> Option<u64> {
        let call = self.policy();
        let call = call.get_current_policy_version(Uuid::nil(), CancellationToken::new());
        block_on(call).ok().map(|info| info.policy_version)
    }

    fn until_generation(&self, generation: u64) {
        eventually(&format!("generation {generation}"), || {
            self.status().instance.is_some_and(|instance| instance.generation == generation)
        });
    }

    /// A metric of the plugin now, with further labels.
    fn value(&self, metric: &str, labels: &str) -> Option<f64> {
        self.host.collect_metrics();
        let comma = if labels.is_empty() { "" } else { "," };
        self.recorded.value(&format!("{}_{metric}{{plugin={ID}{comma}{labels}}}", self.prefix))
    }

    fn calls(&self, method: &str, outcome: &str) -> Option<f64> {
        self.value("calls_total", &format!("method={method},outcome={outcome}"))
    }

    fn of_host(&self, metric: &str) -> Option<f64> {
        self.host.collect_metrics();
        self.recorded.value(&format!("{}_{metric}", self.prefix))
    }

    /// All series of this host now.
    fn series(&self) -> Vec<String> {
        self.host.collect_metrics();
        self.recorded.series(&format!("{}_", self.prefix))
    }

    fn end(self) {
        let (recorded, prefix) = (self.recorded.clone(), self.prefix);
        block_on(self.host.shutdown());
        drop(self.host);
        let left = recorded.series(&format!("{prefix}_"));
        assert!(left.is_empty(), "series outlive their host: {left:?}");
    }
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn every_metric_is_there_once_everything_has_happened() {
    let world = World::new("everything", good(1), "");
    assert_eq!(world.call(), Some(1));
    world.drop_in(good(2));
    world.until_generation(2);
    block_on(world.host.rollback(ID)).expect("the first stands by");
    world.drop_in(bad(3, "create-permanent"));
    eventually("it is refused", || world.value("refusals_total", "kind=create-failed") == Some(1.0));
    eventually("the second has ended", || world.value("retired_heap_growth_bytes", "").is_some());
    fs::write(world.plugins().join("bad.so"), "no library").unwrap();
    world.write_config("[plugins");
    eventually("the configuration is refused", || world.of_host("config_refusals_total") == Some(1.0));
    let refused = || world.recorded.value("everything_file_refusals_total{kind=not-elf}");
    eventually("the file is refused", || {
        world.host.rescan();
        refused() == Some(1.0)
    });
    let series = world.series();
    for metric in ALL {
        let name = metric.full_name("everything");
        let of_it = series.iter().find(|series| series.split('{').next() == Some(&name));
        let series = of_it.unwrap_or_else(|| panic!("{name} is missing: {series:#?}"));
        let labels: Vec<_> = series.split_once('{').map_or("", |(_, labels)| labels).split(',').collect();
        let labels = labels.iter().filter_map(|label| label.split_once('=')).map(|(label, _)| label);
        assert_eq!(labels.collect::<Vec<_>>(), metric.labels, "{series}");
    }
    assert_eq!(world.value("rollbacks_total", "kind=rolled-back"), Some(1.0));
    assert_eq!((world.value("serving", ""), world.value("generation", "")), (Some(1.0), Some(1.0)));
    assert_eq!((world.value("swaps_total", ""), world.of_host("ready")), (Some(1.0), Some(1.0)));
    assert!(world.value("quarantined", "") >= Some(1.0));
    assert!(world.value("live_heap_bytes", "") > Some(0.0));
    assert!(world.of_host("images_mapped") >= Some(2.0));
    assert_eq!(world.of_host("images_limit"), Some(256.0));
    world.end();
}

#[test]
fn calls_are_counted_by_method_and_by_how_they_ended() {
    let world = World::new("outcomes", bad(1, "internal"), "");
    assert_eq!([world.call(), world.call(), world.call()], [None; 3]);
    let usage: UsageEvent = serde_json::from_str(&read_fixture("mini-chat/full/UsageEvent.json")).unwrap();
    block_on(world.policy().publish_usage(usage, CancellationToken::new())).expect_err("it is permanent");
    for _ in 0..2 {
        block_on(world.host.audit(ID).emit_turn_audit(turn_audit_event())).expect_err("it is permanent");
    }
    assert_eq!(world.calls("get_current_policy_version", "internal"), Some(3.0));
    assert_eq!(world.calls("get_current_policy_version", "ok"), Some(0.0));
    assert_eq!(world.calls("publish_usage", "permanent"), Some(1.0));
    assert_eq!(world.calls("emit_turn_audit", "permanent"), Some(2.0));
    assert_eq!(world.calls("get_user_limits", "ok"), None, "nobody has called it");
    assert_eq!(world.value("call_duration_seconds", "method=emit_turn_audit"), Some(2.0));
    let instance = world.status().instance.unwrap();
    assert_eq!((instance.calls, instance.failures), (6, 6));
    world.end();
}

#[test]
fn panics_are_counted_wherever_they_are_noticed() {
    let settings = "probation.panics = 0";
    let world = World::new("panics", bad(1, "tenth-panic"), settings);
    for _ in 0..20 {
        let _ = world.call();
    }
    assert_eq!(world.calls("get_current_policy_version", "ok"), Some(18.0));
    assert_eq!(world.calls("get_current_policy_version", "panic"), Some(2.0));
    assert_eq!(world.value("panics_total", ""), Some(2.0));
    world.drop_in(bad(2, "health-panic"));
    eventually("it is refused", || world.value("refusals_total", "kind=create-panicked") >= Some(1.0));
    let refusals = world.value("refusals_total", "kind=create-panicked").unwrap();
    assert!(world.value("panics_total", "") >= Some(2.0 + refusals));
    world.end();
}

#[test]
fn a_call_that_is_late_or_dropped_is_counted_as_that() {
    // On threads of the plugin's own, so that the deadline can pass.
    let settings = "mode = \"isolated\"\nworkers = 1\nlimits.policy = \"200ms\"";
    let world = World::new("late", bad(1, "slow"), settings);
    let policy = world.policy();
    let license = || policy.check_user_license(Uuid::nil(), CancellationToken::new());
    block_on(license()).expect_err("it blocks past the deadline");
    assert_eq!(world.calls("check_user_license", "deadline"), Some(1.0));
    // A call that was never polled has not begun.
    drop(license());
    let mut call = license();
    assert!(poll_once(&mut call).is_pending(), "the plugin's only thread is held");
    assert_eq!(world.value("in_flight", ""), Some(1.0));
    drop(call);
    assert_eq!((world.value("in_flight", ""), world.calls("check_user_license", "dropped")), (Some(0.0), Some(1.0)));
    assert_eq!(world.status().instance.unwrap().calls, 2);
    let measured = world.value("call_duration_seconds", "method=check_user_license");
    assert_eq!(measured, Some(1.0), "how long the dropped one would have taken nobody knows");
    fs::write(world.place.path().join("data/release"), "").unwrap();
    world.end();
}

#[test]
fn without_a_plugin_the_series_say_so_and_calls_count() {
    let world = World::new("missing", good(1), "version = \"999999.0.0\"");
    assert_eq!(world.call(), None);
    assert_eq!((world.value("serving", ""), world.value("generation", "")), (Some(0.0), Some(0.0)));
    assert_eq!(world.of_host("ready"), Some(0.0));
    assert_eq!(world.calls("get_current_policy_version", "not_serving"), Some(1.0));
    let typo = world.host.model_policy("typo");
    block_on(typo.get_user_limits(Uuid::nil(), 1, CancellationToken::new())).expect_err("nobody has that name");
    assert!(!world.series().iter().any(|series| series.contains("typo")), "a handle is not a plugin");
    world.end();
}

#[test]
fn counters_go_on_and_series_do_not_grow_over_swaps() {
    let world = World::new("swaps", good(1), "");
    let mut calls = 0;
    let mut known: Option<BTreeSet<String>> = None;
    for build in 1..=11 {
        if build > 1 {
            world.drop_in(good(build));
            world.until_generation(build);
            // The one before the last has ended: its build is proven by the next one's checks.
            eventually("it has ended", || build < 3 || world.value("retired_heap_growth_bytes", "").is_some());
        }
        for _ in 0..3 {
            assert_eq!(world.call(), Some(build));
            calls += 1;
        }
        assert_eq!(world.calls("get_current_policy_version", "ok"), Some(f64::from(calls)), "build {build}");
        assert_eq!(world.value("swaps_total", ""), Some(build as f64 - 1.0));
        let series = world.series();
        let (info, others): (Vec<_>, Vec<_>) = series.iter().partition(|series| series.starts_with("swaps_info{"));
        let digest = world.status().instance.unwrap().digest.unwrap().to_string();
        assert!(info.len() == 1 && info[0].contains(&digest), "{info:?}");
        let others: BTreeSet<String> = others.into_iter().cloned().collect();
        if build >= 3 {
            assert_eq!(&others, known.get_or_insert_with(|| others.clone()), "build {build}");
        }
    }
    let counted = world.value("call_duration_seconds", "method=get_current_policy_version");
    assert_eq!(counted, Some(f64::from(calls)), "few calls are all measured");
    world.end();
}

#[test]
fn a_disabled_plugin_has_no_series_and_its_counters_go_on_when_it_is_back() {
    let world = World::new("disabled", good(1), "");
    assert_eq!(world.call(), Some(1));
    assert_eq!(world.calls("get_current_policy_version", "ok"), Some(1.0));
    world.configure("enabled = false");
    eventually("it has no series", || !world.series().iter().any(|series| series.contains(ID)));
    world.configure("");
    eventually("it serves again", || world.value("serving", "") == Some(1.0));
    assert_eq!(world.call(), Some(1));
    assert_eq!(world.calls("get_current_policy_version", "ok"), Some(2.0));
    world.end();
}

#[test]
fn a_prefix_that_no_metric_can_have_is_refused() {
    let error = block_on(PluginHost::builder().metrics_prefix("9-lives").build()).expect_err("it is none");
    assert!(error.to_string().contains("\"9-lives\"") && error.to_string().contains("expected a prefix"), "{error}");
}

/// The samples of a text for Prometheus: series and value.
fn samples(text: &str) -> Vec<(String, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("a sample: {line}"));
        (series.to_owned(), value.parse().unwrap_or_else(|error| panic!("{error}: {line}")))
    };
    lines.map(sample).collect()
}

#[test]
fn the_program_serves_them_to_prometheus_and_they_do_not_grow_over_swaps() {
    let place = tempfile::tempdir().unwrap();
    let plugins = place.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    fs::write(place.path().join("plugins.toml"), config("", place.path())).unwrap();
    good(1).drop_in(&plugins, FILE);
    let mut command = command(["run", "--json", "--listen", "127.0.0.1:0", "--plugins"]);
    command.arg(&plugins).arg("--config").arg(place.path().join("plugins.toml"));
    let running = Running::start(command);
    let address = running.event()["addr"].as_str().expect("listening").parse().expect("an address");
    assert_eq!(running.event()["event"], "ready");
    let event_until = |event: &str, generation: u64| loop {
        let found = running.event();
        if found["event"] == event && found["generation"] == generation {
            break;
        }
    };
    let metrics = || {
        let answer = fetch::get(address, "/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{answer:?}");
        answer.body
    };
    let mut flat = None;
    for build in 2..=11 {
        good(build).drop_in(&plugins, FILE);
        if build == 2 {
            event_until("serving", 2);
            continue;
        }
        // It has ended: the new one serves by then, or is about to.
        event_until("retired", build - 2);
        event_until("serving", build);
        let samples = samples(&metrics());
        let swaps = samples.iter().find(|(series, _)| series.starts_with("mini_chat_plugin_swaps_total{"));
        assert_eq!(swaps.map(|(_, value)| *value), Some(build as f64 - 1.0));
        let infos = samples.iter().filter(|(series, _)| series.starts_with("mini_chat_plugin_info{")).count();
        assert_eq!(infos, 1, "{samples:#?}");
        assert_eq!(samples.len(), *flat.get_or_insert(samples.len()), "{samples:#?}");
    }
    let text = metrics();
    for metric in ALL {
        // What nothing has happened to yet.
        let later =
            ["calls_total", "call_duration_seconds", "refusals_total", "rollbacks_total", "file_refusals_total"];
        let (name, kind) = (metric.full_name(DEFAULT_PREFIX), metric.kind.name());
        let typed = text.contains(&format!("# HELP {name} {}\n# TYPE {name} {kind}\n{name}", metric.help));
        assert_eq!(typed, !later.contains(&metric.name), "{name}\n{text}");
    }
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}
