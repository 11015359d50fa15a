//! What a host counts: seen through the recorder of the program that embeds it, and through `/metrics` of `run`.

mod audit;
mod program;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::task::{Context, Poll, Waker};

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::audit::FanOutConfig;
use mini_chat_plugin_loader::metrics::ALL;
use mini_chat_plugin_sdk::models::UsageEvent;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_sdk::uuid::Uuid;
use mini_chat_plugin_tests::read_fixture;
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::site::turn_audit_event;
use mini_chat_plugin_tests::stamped::{ID, bad, good};

use crate::world::World;

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn every_metric_is_there_once_everything_has_happened() {
    let world = World::new("everything", good(1), "");
    assert_eq!(world.call(), Some(1));
    audit::emit(&*world.host.audit_fan_out(FanOutConfig::default()));
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
        // Counted from an event, which comes after the instance serves.
        eventually("the swap is counted", || world.value("swaps_total", "") == Some(build as f64 - 1.0));
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
