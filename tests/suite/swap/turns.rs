//! Callers that run whole turns while builds are swapped under them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use futures::executor::block_on;
use mini_chat_plugin_loader::HostEvent;
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::models::UsageEvent;
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_sdk::uuid::Uuid;
use mini_chat_plugin_tests::read_fixture;
use mini_chat_plugin_tests::stamped::good;

use crate::world::World;

/// Runs turns until it is told to stop. Gives the requests that were acknowledged.
struct Caller {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Uuid>>,
}

impl Caller {
    fn start(world: &World, number: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, policy, audit) = (Arc::clone(&stop), world.policy(), world.audit());
        let thread = thread::spawn(move || {
            let mut acknowledged = Vec::new();
            let mut newest = 0;
            while !stopped.load(Ordering::Relaxed) {
                let request = Uuid::from_u64_pair(number, acknowledged.len() as u64);
                block_on(turn(&*policy, &*audit, request, &mut newest));
                acknowledged.push(request);
            }
            acknowledged
        });
        Self { stop, thread }
    }

    fn end(self) -> Vec<Uuid> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("every call of every turn succeeds")
    }
}

/// One turn. `newest`: the newest build that this caller has seen.
async fn turn(
    policy: &dyn MiniChatModelPolicyPluginClientV1,
    audit: &dyn MiniChatAuditPluginClientV1,
    request: Uuid,
    newest: &mut u64,
) {
    let user = Uuid::nil();
    let token = CancellationToken::new;
    let mut seen = |build: u64| {
        assert!(build >= *newest, "build {build} answered after build {newest}");
        *newest = build;
    };
    let version = policy.get_current_policy_version(user, token()).await.expect("a version").policy_version;
    seen(version);
    for _ in 0..2 {
        let snapshot = policy.get_policy_snapshot(user, version, token()).await.expect("a snapshot");
        assert_eq!(snapshot.policy_version, version, "a newer build answers for the versions of an older one");
    }
    let limits = policy.get_user_limits(user, version, token()).await.expect("limits");
    seen(u64::try_from(limits.standard.limit_daily_credits_micro).unwrap());
    assert!(policy.check_user_license(user, token()).await.expect("a licence").active);
    let mut usage: UsageEvent = serde_json::from_str(&read_fixture("mini-chat/full/UsageEvent.json")).unwrap();
    usage.request_id = request;
    policy.publish_usage(usage, token()).await.expect("the usage is taken");
    let mut event: TurnAuditEvent = serde_json::from_str(&read_fixture("mini-chat/full/TurnAuditEvent.json")).unwrap();
    event.request_id = request;
    audit.emit_turn_audit(event).await.expect("the event is taken");
}

/// How often each request of a method is in the plugin's files.
fn written(world: &World, method: &str) -> BTreeMap<Uuid, usize> {
    let mut requests = BTreeMap::new();
    for file in std::fs::read_dir(world.data.path()).unwrap() {
        let file = file.unwrap();
        if !file.file_name().to_string_lossy().starts_with(stamped::audit::PREFIX) {
            continue;
        }
        for line in std::fs::read_to_string(file.path()).unwrap().lines() {
            let words: Vec<&str> = line.split(' ').collect();
            if words[2] == method {
                *requests.entry(words[3].parse().unwrap()).or_default() += 1;
            }
        }
    }
    requests
}

#[test]
fn builds_are_replaced_under_calls_and_nothing_is_lost() {
    let mut world = World::new(good(1));
    let callers: Vec<Caller> = (0..2).map(|number| Caller::start(&world, number)).collect();
    for build in 2..=8 {
        world.drop_in(good(build));
        world.until_serves(build);
    }
    let acknowledged: Vec<Uuid> = callers.into_iter().flat_map(Caller::end).collect();
    assert!(acknowledged.len() > 8, "there were calls meanwhile");
    for method in ["publish_usage", "emit_turn_audit"] {
        let written = written(&world, method);
        assert_eq!(written.len(), acknowledged.len(), "{method}: as many events as were acknowledged");
        assert!(acknowledged.iter().all(|request| written.get(request) == Some(&1)), "{method}: each once");
    }
    assert_eq!(world.generation(), 8);
    world.until("generation 6 has ended", |event| matches!(event, HostEvent::Retired { generation: 6, .. }));
    let events = world.happened();
    for generation in 2..=8 {
        let served = |event: &&HostEvent| {
            matches!(event, HostEvent::Serving { generation: found, replaces, probation: true, .. }
                if *found == generation && *replaces == Some(generation - 1))
        };
        assert_eq!(events.iter().filter(served).count(), 1, "{events:#?}");
    }
    let abandoned = |event: &&HostEvent| matches!(event, HostEvent::Retired { abandoned_calls: 1.., .. });
    assert_eq!(events.iter().filter(abandoned).count(), 0, "{events:#?}");
    world.end();
}

#[test]
fn the_same_handle_serves_before_between_and_after() {
    let world = World::new(good(1));
    let policy = world.policy();
    let build = || {
        let version = block_on(policy.get_current_policy_version(Uuid::nil(), CancellationToken::new()));
        version.map(|info| info.policy_version).map_err(|error| error.to_string())
    };
    assert_eq!(build(), Ok(1));
    world.drop_in(good(2));
    world.until_serves(2);
    assert_eq!(build(), Ok(2));
    world.end();
}

#[test]
fn of_builds_that_come_fast_the_last_one_serves() {
    let world = World::new(good(1));
    for build in 2..=20 {
        world.drop_in(good(build));
    }
    world.until_serves(20);
    world.until_state("probation");
    assert_eq!(world.build(), Ok(20));
    world.end();
}
