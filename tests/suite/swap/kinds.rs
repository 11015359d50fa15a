//! A swap keeps the kinds of what serves, unless it may drop one.

use futures::executor::block_on;
use mini_chat_plugin_loader::HostEvent;
use mini_chat_plugin_loader::error::SwapError;
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::models::UsageEvent;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::read_fixture;
use mini_chat_plugin_tests::stamped::{ID, good};

use crate::world::{FILE, World};

fn event() -> TurnAuditEvent {
    serde_json::from_str(&read_fixture("mini-chat/full/TurnAuditEvent.json")).unwrap()
}

/// Whether what serves takes an audit event.
fn takes_audit(world: &World) -> bool {
    block_on(world.audit().emit_turn_audit(event())).is_ok()
}

#[test]
fn a_build_that_drops_a_kind_is_refused_and_what_serves_serves_on() {
    let mut world = World::new(good(1));
    good(2).drop_in_without_audit(world.directory.path(), FILE);
    let refused = world.until_refused("kinds-dropped");
    let HostEvent::Refused { message, retry_in_ms: None, .. } = refused else { panic!("{refused:?}") };
    for part in [ID, "does not serve audit", "libstamped.so: ", "version 100000.0.0 (", "may_drop_kinds = true"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert_eq!((world.build(), takes_audit(&world)), (Ok(1), true));
    let quarantine = world.status().swap.quarantine;
    assert_eq!((quarantine.len(), &*quarantine[0].kind), (1, "kinds-dropped"));
    let elsewhere = tempfile::tempdir().unwrap();
    let path = good(3).drop_in_without_audit(elsewhere.path(), FILE);
    let error: SwapError = block_on(world.host.swap(&path)).expect_err("not by hand either");
    assert_eq!(error.kind(), "kinds-dropped", "{error}");
    world.drop_in(good(4));
    world.until_serves(4);
    assert!(takes_audit(&world));
    world.end();
}

#[test]
fn it_serves_where_that_is_allowed_and_a_rollback_needs_no_leave() {
    let world = World::with(good(1), |entry| entry.may_drop_kinds = true, |host| host);
    good(2).drop_in_without_audit(world.directory.path(), FILE);
    world.until_serves(2);
    assert!(!takes_audit(&world), "there is nobody for audit");
    world.end();

    // The first of a slot drops nothing, whatever it serves.
    let directory = tempfile::tempdir().unwrap();
    let path = good(1).drop_in_without_audit(directory.path(), FILE);
    let world = World::on(directory, |_| (), |host| host);
    assert_eq!((world.build(), takes_audit(&world)), (Ok(1), false), "{}", path.display());
    world.drop_in(good(2));
    world.until_serves(2);
    assert!(takes_audit(&world));
    let back = block_on(world.host.rollback(ID)).expect("in an emergency it may");
    assert_eq!((world.build(), takes_audit(&world)), (Ok(1), false), "{back:?}");
    world.end();
}

#[test]
fn a_kind_that_comes_with_a_swap_is_served() {
    let directory = tempfile::tempdir().unwrap();
    good(1).drop_in_without_audit(directory.path(), FILE);
    let world = World::on(directory, |_| (), |host| host);
    let audit = world.audit();
    assert!(!takes_audit(&world));
    world.drop_in(good(2));
    world.until_serves(2);
    block_on(audit.emit_turn_audit(event())).expect("the handle of before reaches it");
    let usage: UsageEvent = serde_json::from_str(&read_fixture("mini-chat/full/UsageEvent.json")).unwrap();
    block_on(world.policy().publish_usage(usage, CancellationToken::new())).expect("it serves policy as well");
    world.end();
}

#[test]
fn the_rule_is_between_two_builds_and_nothing_is_held_against_one() {
    let first = good(1);
    let mut world = World::new(first);
    let (high, beside) = (good(2).major(200_000), "libother.so");
    high.drop_in_without_audit(world.directory.path(), beside);
    world.until_refused("kinds-dropped");
    // The highest one is passed over, and one in between serves; it is not complained of again.
    let middle = good(3).major(150_000);
    middle.drop_in(world.directory.path(), "libmiddle.so");
    world.until_serves(3);
    assert!(takes_audit(&world));
    let refused = world.happened().iter().filter(|event| matches!(event, HostEvent::Refused { .. })).count();
    assert_eq!(refused, 1);

    assert_eq!(world.status().swap.quarantine.len(), 1, "it shows which one");
    world.end();

    // Where less is served, the same build is as good as any.
    let directory = tempfile::tempdir().unwrap();
    first.drop_in_without_audit(directory.path(), FILE);
    let world = World::on(directory, |_| (), |host| host);
    high.drop_in_without_audit(world.directory.path(), beside);
    world.until_serves(2);
    assert!(world.status().swap.quarantine.is_empty(), "{:#?}", world.status());
    world.end();
}
