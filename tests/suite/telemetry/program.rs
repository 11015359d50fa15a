//! What `run --listen` serves to Prometheus.

use std::fs;

use mini_chat_plugin_loader::metrics::{ALL, DEFAULT_PREFIX};
use mini_chat_plugin_tests::fetch;
use mini_chat_plugin_tests::program::{Running, Signal, command};
use mini_chat_plugin_tests::stamped::good;

use crate::world::{FILE, config};

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
        let later = [
            "calls_total",
            "call_duration_seconds",
            "refusals_total",
            "rollbacks_total",
            "file_refusals_total",
            // The program has no audit fan-out.
            "audit_emit_total",
            "audit_deliveries_total",
            "redactions_total",
            "truncations_total",
        ];
        let (name, kind) = (metric.full_name(DEFAULT_PREFIX), metric.kind.name());
        let typed = text.contains(&format!("# HELP {name} {}\n# TYPE {name} {kind}\n{name}", metric.help));
        assert_eq!(typed, !later.contains(&metric.name), "{name}\n{text}");
    }
    running.signal(Signal::TERM);
    assert_eq!(running.end().0, 0);
}
