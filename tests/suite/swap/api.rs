//! Swaps that somebody asks for.

use std::sync::Arc;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::join;
use mini_chat_plugin_loader::error::SwapError;
use mini_chat_plugin_loader::{HostEvent, Preflight};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{ID, bad, good};

use crate::world::World;

fn unwatched(first: mini_chat_plugin_tests::stamped::Stamp) -> World {
    World::with(first, |_| (), |host| host.watch(false))
}

#[test]
fn a_file_from_anywhere_serves_until_the_directory_has_something_new() {
    let world = World::new(good(1));
    let elsewhere = tempfile::tempdir().unwrap();
    let path = good(2).drop_in(elsewhere.path(), "other.so");
    let swapped = block_on(world.host.swap(&path)).expect("it serves");
    assert_eq!((swapped.len(), swapped[0].generation, swapped[0].already), (1, 2, false));
    assert!(swapped[0].phases.create_us > 0 && swapped[0].phases.flip_ns > 0, "{swapped:?}");
    assert_eq!(world.build(), Ok(2));
    assert!(world.status().swap.pinned.is_some());
    let again = block_on(world.host.swap(&path)).expect("it serves");
    assert!(again[0].already && again[0].generation == 2, "{again:?}");
    world.host.rescan();
    assert_eq!(block_on(world.host.reload(ID)).expect("created anew").generation, 3);
    assert_eq!(world.build(), Ok(2), "a look does not take it back");
    world.drop_in(good(3));
    world.until_serves(3);
    assert!(world.status().swap.pinned.is_none());
    world.end();
}

#[test]
fn how_long_the_parts_of_a_swap_and_of_an_end_took_is_told() {
    let mut world = World::with(
        good(1),
        |entry| entry.probation.duration = Duration::from_millis(10),
        |host| host.watch(false).preflight(Preflight::Program(plugins::program())),
    );
    let phases = block_on(world.host.reload(ID)).expect("created anew").phases;
    let check = [phases.read_us, phases.copy_us, phases.preflight_us];
    let create = [phases.map_us, phases.entry_us, phases.open_us, phases.construct_us];
    assert!(check.iter().chain(&create).all(|part| *part > 0), "{phases:?}");
    let others = phases.mark_us + phases.predecessor_us + phases.health_us;
    assert!(check.iter().sum::<u64>() <= phases.check_us, "{phases:?}");
    assert!(create.iter().sum::<u64>() + others <= phases.create_us, "{phases:?}");
    let ended = |event: &HostEvent| matches!(event, HostEvent::Retired { generation: 1, end_us: 1.., .. });
    world.until("its predecessor has ended, and how long that took", ended);
    world.end();
}

#[test]
fn what_is_wrong_with_a_wish_is_said() {
    let world = unwatched(good(1));
    let elsewhere = tempfile::tempdir().unwrap();
    let said = |outcome: Result<_, SwapError>| outcome.map(|_: Vec<_>| ()).expect_err("it cannot be").to_string();
    let missing = said(block_on(world.host.swap(elsewhere.path().join("none.so"))));
    assert!(missing.contains("none.so"), "{missing}");
    let path = bad(2, "create-permanent").drop_in(elsewhere.path(), "bad.so");
    let error = block_on(world.host.swap(&path)).expect_err("it cannot be created");
    assert_eq!(error.kind(), "create-failed");
    assert!(error.to_string().contains("this build cannot be created"), "{error}");
    let hello = mini_chat_plugin_tests::plugins::built("echo-plugin");
    let path = mini_chat_plugin_tests::plugins::drop_in(elsewhere.path(), &hello, "echo.so");
    assert_eq!(block_on(world.host.swap(&path)).expect_err("nobody wants it").kind(), "unknown-id");
    let unknown = block_on(world.host.rollback("nobody")).expect_err("nobody has that name");
    assert!(unknown.to_string().contains(ID), "the names there are: {unknown}");
    let nothing = block_on(world.host.rollback(ID)).expect_err("it was the first");
    assert_eq!(nothing.kind(), "nothing-to-roll-back-to");
    assert_eq!(block_on(world.host.reload("nobody")).expect_err("nobody has that name").kind(), "unknown-name");
    assert_eq!(world.build(), Ok(1));
    world.end();
}

#[test]
fn a_rollback_on_probation_is_a_flip() {
    let mut world = World::new(good(1));
    world.drop_in(good(2));
    world.until_serves(2);
    let back = block_on(world.host.rollback(ID)).expect("the first stands by");
    assert_eq!((back.generation, world.build()), (1, Ok(1)));
    world.until("it has ended", |event| matches!(event, HostEvent::Retired { generation: 2, .. }));
    world.host.rescan();
    assert!(world.status().swap.pinned.is_some());
    assert_eq!(block_on(world.host.reload(ID)).expect("created anew from its private copy").generation, 3);
    assert_eq!(world.build(), Ok(1));
    world.drop_in(good(3));
    world.until_serves(3);
    assert_eq!(world.status().swap.pinned, None, "there is something new");
    world.end();
}

#[test]
fn what_was_rolled_back_by_hand_serves_again_once_unpinned() {
    let world = World::new(good(1));
    world.drop_in(good(2));
    world.until_serves(2);
    block_on(world.host.rollback(ID)).expect("the first stands by");
    let unpinned = block_on(world.host.unpin(ID)).expect("there is such a plugin");
    assert!(unpinned.was.is_some_and(|build| build.digest.is_some()));
    assert_eq!(unpinned.lifted.iter().map(|build| &*build.kind).collect::<Vec<_>>(), ["rolled-back"]);
    world.until_serves(2);
    assert_eq!(block_on(world.host.unpin("nobody")).expect_err("nobody has that name").kind(), "unknown-name");
    world.end();
}

#[test]
fn a_build_in_quarantine_is_tried_again_when_that_is_lifted() {
    let mut world = World::new(good(1));
    world.drop_in(bad(2, "create-permanent"));
    world.until_refused("create-failed");
    let refusals = world.status().swap.refusals;
    let lifted = block_on(world.host.unquarantine(ID)).expect("there is such a plugin");
    assert_eq!(lifted.iter().map(|build| &*build.kind).collect::<Vec<_>>(), ["create-failed"]);
    eventually("it is refused again", || world.status().swap.refusals > refusals);
    assert_eq!(world.build(), Ok(1));
    world.end();
}

#[test]
fn a_rollback_later_creates_the_predecessor_anew_from_its_private_copy() {
    let mut world = World::with(good(1), |entry| entry.probation.duration = Duration::from_millis(10), |host| host);
    world.drop_in(good(2));
    world.until("its predecessor has ended", |event| matches!(event, HostEvent::Retired { generation: 1, .. }));
    let back = block_on(world.host.rollback(ID)).expect("created anew");
    assert_eq!((back.generation, world.build()), (3, Ok(1)), "the file of build 1 is gone by now");
    world.until("it has ended", |event| matches!(event, HostEvent::Retired { generation: 2, .. }));
    world.end();
}

#[test]
fn without_a_watcher_only_those_who_ask_get_something_new() {
    let world = unwatched(good(1));
    world.drop_in(good(2));
    assert_eq!(world.build(), Ok(1));
    world.host.rescan();
    world.until_serves(2);
    world.end();
}

#[test]
fn who_watches_sees_the_latest() {
    let world = World::new(good(1));
    let mut snapshots = world.host.watch();
    let plugin = snapshots.borrow_and_update().plugins[0].clone();
    assert_eq!((plugin.name.as_str(), plugin.instance.as_deref()), (ID, Some(ID)));
    assert_eq!((plugin.vendor.as_deref(), plugin.priority, plugin.generation), (Some("tests"), Some(100), Some(1)));
    world.drop_in(good(2));
    eventually("the snapshot says so", || snapshots.borrow_and_update().plugins[0].generation == Some(2));
    let policy = plugin.model_policy.expect("it serves that");
    let version = block_on(policy.get_current_policy_version(Default::default(), CancellationToken::new()));
    assert_eq!(version.expect("a version").policy_version, 2, "an old snapshot's handle is as good");
    assert!(plugin.audit.is_some());
    world.end();
}

#[test]
fn whoever_shuts_down_gets_the_report() {
    let world = World::new(good(1));
    let host = Arc::new(world.host);
    let (one, other) = block_on(join(host.shutdown(), host.shutdown()));
    assert_eq!((one.plugins.len(), other.plugins.len()), (1, 1));
    assert_eq!(block_on(host.shutdown()).plugins.len(), 1, "later, too");
    assert_eq!(block_on(host.reload(ID)).expect_err("too late"), SwapError::ShuttingDown);
}
