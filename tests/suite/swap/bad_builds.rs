//! Builds that are no good: what serves serves on, or serves again.

use std::time::Duration;

use futures::executor::block_on;
use mini_chat_plugin_loader::HostEvent;
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, PublishError};
use mini_chat_plugin_sdk::models::UsageEvent;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::read_fixture;
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{bad, good};

use crate::world::{FILE, World};

#[test]
fn a_build_that_cannot_be_created_is_not_tried_again_and_the_next_one_is() {
    for (behaviour, kind) in [("create-permanent", "create-failed"), ("health-panic", "create-panicked")] {
        let mut world = World::new(good(1));
        world.drop_in(bad(2, behaviour));
        let refused = world.until_refused(kind);
        let HostEvent::Refused { message, retry_in_ms, .. } = &refused else { unreachable!() };
        assert!(message.contains("this build"), "{message}");
        assert_eq!(world.build(), Ok(1), "what served serves on");
        if behaviour == "create-permanent" {
            assert_eq!(*retry_in_ms, None);
            let quarantine = world.status().swap.quarantine;
            assert_eq!((quarantine.len(), &*quarantine[0].kind), (1, kind));
        }
        world.drop_in(good(3));
        world.until_serves(3);
        let tries = world.happened().iter().filter(|event| matches!(event, HostEvent::Refused { .. })).count();
        assert!(behaviour != "create-permanent" || tries == 1, "{tries} tries");
        world.end();
    }
}

#[test]
fn a_build_whose_constructor_may_succeed_later_is_tried_again() {
    let mut world = World::new(good(1));
    world.drop_in(bad(2, "create-twice"));
    let refused = world.until_refused("create-failed");
    assert!(matches!(refused, HostEvent::Refused { retry_in_ms: Some(1_000), .. }), "{refused:?}");
    world.until_serves(2);
    let retry = world.status().swap.retry;
    assert_eq!(retry, None, "it serves");
    let tries = world.happened().iter().filter(|event| matches!(event, HostEvent::Refused { .. })).count();
    assert_eq!(tries, 2);
    world.end();
}

#[test]
fn a_plugin_that_cannot_start_yet_is_tried_again() {
    let (directory, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    bad(1, "create-twice").drop_in(directory.path(), FILE);
    let builder = mini_chat_plugin_loader::PluginHost::builder().plugins(directory.path());
    let host = block_on(builder.plugin(crate::world::entry(data.path())).build()).unwrap();
    let serving = || host.status().plugins[0].serving;
    assert!(!serving(), "its dependency is not up yet");
    eventually("it serves", serving);
    assert!(block_on(host.shutdown()).is_clean());
}

/// Calls until the build before answers again.
fn until_rolled_back(world: &mut World, generation: u64) -> String {
    let is_it =
        |event: &HostEvent| matches!(event, HostEvent::RolledBack { generation: found, .. } if *found == generation);
    eventually("it is rolled back", || {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.build()));
        world.happened().iter().any(is_it)
    });
    match world.happened().iter().find(|event| is_it(event)) {
        Some(HostEvent::RolledBack { why, .. }) => why.clone(),
        _ => unreachable!("it was found just now"),
    }
}

#[test]
fn a_build_that_fails_everything_is_rolled_back_by_itself_and_once() {
    let mut world = World::new(good(1));
    world.drop_in(bad(2, "internal"));
    world.until("it serves", |event| matches!(event, HostEvent::Serving { generation: 2, .. }));
    let why = until_rolled_back(&mut world, 2);
    assert!(why.starts_with("20 errors in 20 calls (100.00 %)"), "{why}");
    assert_eq!(world.build(), Ok(1));
    assert_eq!(world.generation(), 1, "what stood by serves again");
    let quarantine = world.status().swap.quarantine;
    assert_eq!((quarantine.len(), &*quarantine[0].kind), (1, "probation"));
    world.host.rescan();
    world.until_state("serving");
    assert_eq!(world.build(), Ok(1), "its content is not tried again");
    world.drop_in(good(3));
    world.until_serves(3);
    let counted = world.status().swap;
    assert_eq!((counted.swaps, counted.rollbacks, counted.refusals), (2, 1, 0));
    world.end();
}

#[test]
fn a_build_that_panics_at_every_tenth_call_is_rolled_back() {
    let mut world = World::new(good(1));
    world.drop_in(bad(2, "tenth-panic"));
    world.until("it serves", |event| matches!(event, HostEvent::Serving { generation: 2, .. }));
    let why = until_rolled_back(&mut world, 2);
    assert!(why.starts_with("3 panics in 30 calls"), "{why}");
    assert_eq!(world.build(), Ok(1));
    world.end();
}

#[test]
fn on_probation_nothing_is_permanent() {
    let world = World::with(
        good(1),
        |entry| {
            entry.probation.errors = 0;
        },
        |host| host,
    );
    let usage: UsageEvent = serde_json::from_str(&read_fixture("mini-chat/full/UsageEvent.json")).unwrap();
    let event: TurnAuditEvent = serde_json::from_str(&read_fixture("mini-chat/full/TurnAuditEvent.json")).unwrap();
    world.drop_in(bad(2, "internal"));
    eventually("it serves", || world.generation() == 2);
    let answers = || {
        let usage = block_on(world.policy().publish_usage(usage.clone(), CancellationToken::new()));
        (usage, block_on(world.audit().emit_turn_audit(event.clone())))
    };
    let (usage_answer, audit_answer) = answers();
    assert!(
        matches!(&usage_answer, Err(PublishError::Transient(why)) if why.contains("on probation")),
        "{usage_answer:?}"
    );
    assert!(matches!(&audit_answer, Err(MiniChatAuditPluginError::Transient(why)) if why.contains("on probation")));
    // Once it is proven, its word counts.
    world.drop_in(bad(3, "internal"));
    eventually("the next one is proven by its successor's checks", || world.generation() == 3);
    block_on(world.host.rollback(mini_chat_plugin_tests::stamped::ID)).expect("generation 2 stands by");
    let (usage_answer, audit_answer) = answers();
    assert!(matches!(usage_answer, Err(PublishError::Permanent(_))), "{usage_answer:?}");
    assert!(matches!(audit_answer, Err(MiniChatAuditPluginError::Permanent(_))), "{audit_answer:?}");
    world.end();
}

#[test]
fn a_probation_that_ends_well_ends_the_predecessor() {
    let mut world = World::with(good(1), |entry| entry.probation.duration = Duration::from_millis(50), |host| host);
    world.drop_in(good(2));
    world.until("it is proven", |event| matches!(event, HostEvent::Proven { generation: 2, .. }));
    world.until("its predecessor has ended", |event| matches!(event, HostEvent::Retired { generation: 1, .. }));
    world.until_state("serving");
    world.end();
}

#[test]
fn a_call_that_blocks_past_the_drain_limit_is_listed_until_it_ends() {
    let mut world = World::with(
        bad(1, "slow"),
        |entry| {
            entry.probation.duration = Duration::from_millis(10);
            let limits = &mut entry.limits;
            (limits.policy, limits.publish_usage, limits.audit) =
                (Duration::from_millis(50), Duration::from_millis(50), Duration::from_millis(50));
            (limits.grace, limits.drain) = (Duration::from_millis(50), Duration::from_millis(100));
        },
        |host| host,
    );
    let policy = world.policy();
    let blocked =
        std::thread::spawn(move || block_on(policy.check_user_license(Default::default(), CancellationToken::new())));
    eventually("it blocks", || world.status().instance.unwrap().in_flight == 1);
    world.drop_in(good(2));
    world.until("it is a zombie", |event| matches!(event, HostEvent::Zombie { generation: 1, calls: 1, .. }));
    let zombies = world.status().swap.zombies;
    assert_eq!((zombies.len(), zombies[0].generation, zombies[0].in_flight), (1, 1, 1));
    assert_eq!(world.build(), Ok(2));
    // It stops counting: another swap goes through.
    world.drop_in(good(3));
    world.until_serves(3);
    std::fs::write(world.data.path().join("release"), "").unwrap();
    let _ = blocked.join().expect("the call ends");
    eventually("the zombie is gone", || world.status().swap.zombies.is_empty());
    let waited = |event: &HostEvent| matches!(event, HostEvent::Retired { generation: 1, abandoned_calls: 1, .. });
    world.until("its end is told, and that its call was given up", waited);
    block_on(world.host.shutdown());
}
