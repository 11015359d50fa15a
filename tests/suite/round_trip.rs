//! Every record through a real `.so` and back: value in = value out, in every execution mode, as for the same code linked.
//!
//! The plugin is the fixture `echo`. What it answers is drawn from the arguments by code that this test has too, so the
//! expected value is worked out here; what it is given it describes in an error. Values are compared by their `Debug` text.

use std::cell::RefCell;
use std::fmt::Debug;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use echo::answers;
use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::Limits;
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, PublishError};
use mini_chat_plugin_sdk::models::UsageEvent;
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use mini_chat_plugin_sdk::{InProcessPlugin, tokio_util::sync::CancellationToken};
use mini_chat_plugin_strategies::{self as strategies, text_of};
use mini_chat_plugin_tests::serving::{Fixture, Way, sanitized, status};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use uuid::Uuid;

/// Values per test; each goes through every way.
const CASES: u32 = 64;

/// As many as a sanitizer has time for.
const CASES_SANITIZED: u32 = 4;

/// One plugin in one way, ready at once or after having been pending.
struct Client {
    way: String,
    /// Describes the events that it is given.
    policy: Arc<dyn MiniChatModelPolicyPluginClientV1>,
    audit: Arc<dyn MiniChatAuditPluginClientV1>,
    /// Answers events with errors.
    answering_policy: Arc<dyn MiniChatModelPolicyPluginClientV1>,
    answering_audit: Arc<dyn MiniChatAuditPluginClientV1>,
}

struct Served {
    host: PluginHost,
    clients: Vec<Client>,
}

static SERVED: LazyLock<Served> = LazyLock::new(|| {
    let echo = Fixture {
        package: "echo-plugin",
        id: "tests.echo._.both.v1",
        linked: InProcessPlugin::of::<echo::EchoPlugin>(),
    };
    let mut entries = Vec::new();
    let mut names = Vec::new();
    for way in Way::ALL {
        for pending in [0, 2] {
            let name = format!("{}-pending-{pending}", way.name());
            for events in ["describe", "answer"] {
                let config = serde_json::json!({ "events": events, "pending": pending });
                let mut entry = echo.entry(format!("{name}-{events}"), way).with_config(config).unwrap();
                // Describing 8 MiB takes a while, most of all under a sanitizer on a busy machine.
                let long = Duration::from_secs(600);
                entry.limits =
                    Limits { policy: long, publish_usage: long, audit: long, drain: long * 2, ..Limits::default() };
                entries.push((way, entry));
            }
            names.push(name);
        }
    }
    let host = block_on(echo.host(entries));
    let client = |name: String| Client {
        policy: host.model_policy(&format!("{name}-describe")),
        audit: host.audit(&format!("{name}-describe")),
        answering_policy: host.model_policy(&format!("{name}-answer")),
        answering_audit: host.audit(&format!("{name}-answer")),
        way: name,
    };
    let clients = names.into_iter().map(client).collect();
    Served { host, clients }
});

/// Runs `case` for [`CASES`] generated values, and for more until each of these edges was in the text of one.
fn for_values<T: Debug>(
    strategy: impl Strategy<Value = T>,
    edges: &[&str],
    case: impl Fn(T) -> Result<String, TestCaseError>,
) {
    /// The rarest edge is in one value of fourteen.
    const MOST_RUNS: usize = 20;
    let missing = RefCell::new(edges.to_vec());
    let cases = if sanitized() { CASES_SANITIZED } else { CASES };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    for _ in 0..MOST_RUNS {
        // A runner counts its cases for good: run again, it would run none.
        let outcome = TestRunner::new(config.clone()).run(&strategy, |value| {
            let text = case(value)?;
            missing.borrow_mut().retain(|edge| !text.contains(edge));
            Ok(())
        });
        outcome.unwrap_or_else(|failure| panic!("{failure}"));
        // Under a sanitizer there are too few values for every edge; the ordinary run has them.
        if sanitized() || missing.borrow().is_empty() {
            return;
        }
    }
    panic!("no value had any of {:?}", missing.borrow());
}

/// Long texts are not shown: they are 8 MiB now and then.
fn same(way: &str, found: &str, expected: &str) -> TestCaseResult {
    if found == expected {
        return Ok(());
    }
    let at = found.bytes().zip(expected.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| text.bytes().skip(at.saturating_sub(60)).take(200).map(char::from).collect::<String>();
    Err(TestCaseError::fail(format!(
        "{way}: differs at byte {at} of {}\nfound …{}\nexpected …{}",
        expected.len(),
        around(found),
        around(expected)
    )))
}

fn token() -> CancellationToken {
    CancellationToken::new()
}

fn user() -> impl Strategy<Value = Uuid> {
    any::<[u8; 16]>().prop_map(Uuid::from_bytes)
}

/// A test per policy method with an answer: what `$call` gets is what `$expected` is.
macro_rules! answers {
    ($($test:ident($($argument:ident: $strategy:expr),+), $expected:expr, |$client:ident| $call:expr, had $edges:expr;)+) => {
        $(
            #[test]
            fn $test() {
                for_values(($($strategy,)+), $edges, |($($argument,)+)| {
                    let expected = text_of(&$expected);
                    for $client in &SERVED.clients {
                        same(&$client.way, &text_of(&block_on($call)), &expected)?;
                    }
                    Ok(expected)
                });
            }
        )+
    };
}

answers! {
    versions(user_id: user()),
        answers::version(user_id), |client| client.policy.get_current_policy_version(user_id, token()),
        had &["18446744073709551615", "00000000-0000-0000-0000-000000000000", "Err(NotFound)", "Err(Internal("];
    snapshots(user_id: user(), version: any::<u64>()),
        answers::snapshot(user_id, version), |client| client.policy.get_policy_snapshot(user_id, version, token()),
        had &[
            "18446744073709551615", "4294967295", "model_catalog: []", "model_id: \"\"", "tier: Standard",
            "tier: Premium", "preference: None", "preference: Some(", "inf", "Err(NotFound)", "Err(Internal(",
        ];
    limits(user_id: user(), version: any::<u64>()),
        answers::limits(user_id, version), |client| client.policy.get_user_limits(user_id, version, token()),
        had &["-9223372036854775808", "9223372036854775807", "Err(NotFound)", "Err(Internal("];
    licences(user_id: user()),
        answers::license(user_id), |client| client.policy.check_user_license(user_id, token()),
        had &["active: true", "active: false", "Err(NotFound)", "Err(Internal("];
    publish_errors(event: strategies::usage_event()),
        answers::publish(event.tenant_id), |client| client.answering_policy.publish_usage(event.clone(), token()),
        had &["Err(Transient(", "Err(Permanent("];
    audit_errors(event: strategies::turn_delete_audit_event()),
        answers::audit(event.tenant_id), |client| client.answering_audit.emit_turn_delete_audit(event.clone()),
        had &["Err(Transient(", "Err(Permanent(", "Err(PluginTimeout)"];
}

/// The text by which the plugin described an event.
fn described<E: Debug>(result: Result<(), E>, text: impl Fn(E) -> Option<String>) -> Result<String, TestCaseError> {
    let error = result.err().ok_or_else(|| TestCaseError::fail("the plugin describes events in errors"))?;
    let shown = format!("{:.200}", text_of(&error));
    text(error).ok_or_else(|| TestCaseError::fail(format!("another error than the plugin's own: {shown}")))
}

fn described_usage(client: &Client, event: UsageEvent) -> Result<String, TestCaseError> {
    described(block_on(client.policy.publish_usage(event, token())), |error| match error {
        PublishError::Permanent(text) => Some(text),
        PublishError::Transient(_) => None,
    })
}

fn described_audit(result: Result<(), MiniChatAuditPluginError>) -> Result<String, TestCaseError> {
    described(result, |error| match error {
        MiniChatAuditPluginError::Permanent(text) => Some(text),
        _ => None,
    })
}

fn described_turn(client: &Client, event: TurnAuditEvent) -> Result<String, TestCaseError> {
    described_audit(block_on(client.audit.emit_turn_audit(event)))
}

/// A test per event: what the plugin says it was given is what it was given.
macro_rules! events {
    ($($test:ident: $strategy:expr, |$client:ident, $event:ident| $call:expr, had $edges:expr;)+) => {
        $(
            #[test]
            fn $test() {
                for_values($strategy, $edges, |event| {
                    let expected = text_of(&event);
                    for $client in &SERVED.clients {
                        let $event = event.clone();
                        same(&$client.way, &$call?, &expected)?;
                    }
                    Ok(expected)
                });
            }
        )+
    };
}

events! {
    usage_events: strategies::usage_event(), |client, event| described_usage(client, event),
        had &[
            "-9223372036854775808", "9223372036854775807", "18446744073709551615", "usage: None", "usage: Some(",
            "effective_model: \"\"",
        ];
    turn_events: strategies::turn_audit_event(), |client, event| described_turn(client, event),
        had &[
            "TurnCompleted", "TurnFailed", "requester_type: User", "requester_type: System", "attachments: []",
            "attachment_kind: Document", "attachment_kind: Image", "Some(Tokens)", "Some(WebSearch)", "prompt: None",
            "prompt: Some(\"\")", "18446744073709551615", "+25:59:59", "-25:59:59", ".999999999",
        ];
    retry_events: strategies::turn_mutation_audit_event(),
        |client, event| described_audit(block_on(client.audit.emit_turn_retry_audit(event))),
        had &["TurnRetry", "TurnEdit", "trace_id: None", "trace_id: Some("];
    edit_events: strategies::turn_mutation_audit_event(),
        |client, event| described_audit(block_on(client.audit.emit_turn_edit_audit(event))),
        had &["TurnRetry", "TurnEdit", "+05:30:00"];
    delete_events: strategies::turn_delete_audit_event(),
        |client, event| described_audit(block_on(client.audit.emit_turn_delete_audit(event))),
        had &["TurnDelete", "requester_type: User", "requester_type: System"];
}

#[test]
fn texts_of_8_kib_and_8_mib() {
    let user_id = Uuid::from_u128(7);
    let snapshot = text_of(&answers::snapshot(user_id, answers::LARGE));
    let error = text_of(&answers::limits(user_id, answers::LARGE));
    assert!(snapshot.len() > 2 * answers::LARGE_TEXT && error.len() > answers::LARGE_TEXT);
    let seed = [7; 32];
    let mut turn = strategies::from_seed(&strategies::turn_audit_event(), seed);
    turn.prompt = Some(answers::large_text());
    turn.response = Some("x".repeat(answers::LARGE_TEXT));
    // What a caller cuts its texts to.
    turn.error_code = Some("é".repeat(4 << 10));
    let mut usage = strategies::from_seed(&strategies::usage_event(), seed);
    usage.effective_model = answers::large_text();
    // Under a sanitizer each takes minutes: of the six, the two that cross the boundary and have been pending.
    let seen = |client: &&Client| !sanitized() || (client.way.starts_with("loaded-") && client.way.ends_with("-2"));
    for client in SERVED.clients.iter().filter(seen) {
        let check = || {
            let found = block_on(client.policy.get_policy_snapshot(user_id, answers::LARGE, token()));
            same(&client.way, &text_of(&found), &snapshot)?;
            let found = block_on(client.policy.get_user_limits(user_id, answers::LARGE, token()));
            same(&client.way, &text_of(&found), &error)?;
            same(&client.way, &described_turn(client, turn.clone())?, &text_of(&turn))?;
            same(&client.way, &described_usage(client, usage.clone())?, &text_of(&usage))
        };
        check().unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// What every test here relies on: loaded is loaded, and each mode is the one it is called by.
#[test]
fn the_ways_are_what_they_are_called() {
    assert_eq!(SERVED.clients.len(), 8, "four ways, ready at once and later");
    for plugin in SERVED.host.status().plugins {
        let instance = status(&SERVED.host, &plugin.name);
        assert_eq!(instance.file.is_some(), plugin.name.starts_with("loaded-"), "{}", plugin.name);
        assert!(plugin.name.contains(instance.mode), "{}", plugin.name);
    }
}
