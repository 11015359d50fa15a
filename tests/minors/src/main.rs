//! A host of one minor of the ABI loads a plugin of another, calls all nine methods, and compares every answer with what
//! `sdk/abi/ABI.md` says two such minors make of it. `scripts/minors` runs it for every pair.
//!
//! The plugin is the fixture `echo`: its answers are drawn from the arguments by code that this program has too, and it
//! describes the events that it is given. What the pair comes to is printed in one line; a difference is a panic.

mod expected;
mod seen;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use echo::answers;
use expected::Pair;
use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry};
use mini_chat_plugin_loader::verify::{ReadLimits, VerifyPolicy, inspect};
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, PublishError};
use mini_chat_plugin_sdk::models::UsageEvent;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use mini_chat_plugin_sdk::{tokio_util::sync::CancellationToken, uuid::Uuid};
use mini_chat_plugin_strategies::{self as strategies, from_seed, text_of};
use seen::Seen;

/// Calls per method.
const CALLS: u8 = 32;

const NAME: &str = "tests.echo._.both.v1";

/// Calls a method of the audit trait, which has a token in the draft of ABI 1.2 only.
macro_rules! emit {
    ($audit:expr, $method:ident, $event:expr, $token:expr) => {{
        #[cfg(not(mini_chat_abi = "1.2"))]
        let emitting = $audit.$method($event);
        #[cfg(mini_chat_abi = "1.2")]
        let emitting = $audit.$method($event, $token);
        emitting
    }};
}

fn main() {
    mini_chat_plugin_loader::preflight_child();
    let plugin: PathBuf = std::env::args_os().nth(1).expect("usage: minors PLUGIN").into();
    let pair = pair(&plugin);
    a_document_of_before();
    let seen = Seen::install();
    block_on(async {
        // What a first poll finds is looked at: so each is the plugin's own, however long its answers take to draw.
        let mut entry = PluginEntry::new(NAME);
        entry.mode = ExecutionMode::Inline;
        let builder = PluginHost::builder().identity("minors", "1").plugin_file(&plugin).plugin(entry);
        let host = builder.watch(false).build().await;
        let host = host.expect("the host starts");
        let status = host.status();
        assert!(status.refused_files.is_empty() && status.plugins.iter().all(|plugin| plugin.serving), "{status:#?}");
        policy(&host, &pair).await;
        events(&host, &pair).await;
        tokens(&*host.audit(NAME), &pair).await;
        let logged = seen.logged("check_user_license is newer than the plugin: answered by default");
        assert_eq!(logged, pair.license_is_newer_than_the_plugin(), "a warning when it is loaded");
        host.collect_metrics();
        let series = format!("answered_by_default_total{{plugin=\"{NAME}\",method=\"check_user_license\"}}");
        let counted = if pair.license_by_default() { CALLS.to_string() } else { "0".to_owned() };
        assert_eq!(seen.counted(&series), Some(counted), "{series}");
        assert!(host.shutdown().await.is_clean());
    });
    println!("{pair}");
}

/// The two minors, as the plugin's descriptor and this program's crate say.
fn pair(plugin: &Path) -> Pair {
    let found = inspect(plugin, &ReadLimits::default(), &VerifyPolicy::default());
    let descriptor = found.descriptor.unwrap_or_else(|| panic!("{:?}", found.refusals));
    let pair = Pair::new(mini_chat_plugin_abi::descriptor::ABI_VERSION, &descriptor.abi.version);
    let lacking: Vec<_> = descriptor.answered_by_default().into_iter().map(|method| method.name()).collect();
    let expected: &[&str] = if pair.license_is_newer_than_the_plugin() { &["check_user_license"] } else { &[] };
    assert_eq!(lacking, expected, "what `inspect` says is answered by default");
    pair
}

/// In the draft of 1.2: what a document of an older release lacks reads as 0.
fn a_document_of_before() {
    let read = serde_json::from_str(include_str!("../../fixtures/mini-chat/full/UsageEvent.json"));
    let event: UsageEvent = read.expect("it is a usage event in every minor");
    #[cfg(mini_chat_abi = "1.2")]
    assert_eq!((event.web_search_calls, event.code_interpreter_calls), (0, 0));
    drop(event);
}

async fn policy(host: &PluginHost, pair: &Pair) {
    let (policy, token) = (host.model_policy(NAME), CancellationToken::new());
    let mut active = 0;
    for number in 0..CALLS {
        let (user, version) = (Uuid::from_bytes([number; 16]), u64::from(number) << 40);
        let found = policy.get_current_policy_version(user, token.clone()).await;
        assert_eq!(text_of(&found), text_of(&answers::version(user)));
        let found = policy.get_policy_snapshot(user, version, token.clone()).await;
        assert_eq!(text_of(&found), text_of(&answers::snapshot(user, version)));
        let found = policy.get_user_limits(user, version, token.clone()).await;
        assert_eq!(text_of(&found), text_of(&answers::limits(user, version)));
        let found = policy.check_user_license(user, token.clone()).await;
        let own = text_of(&answers::license(user));
        assert_eq!(text_of(&found), pair.license(&own));
        active += u32::from(own.contains("active: true"));
    }
    assert!(active > 0, "an answer that is not the default is among them");
}

async fn events(host: &PluginHost, pair: &Pair) {
    let (policy, audit, token) = (host.model_policy(NAME), host.audit(NAME), CancellationToken::new());
    for number in 0..CALLS {
        let seed = [number; 32];
        let event = from_seed(&strategies::usage_event(), seed);
        match policy.publish_usage(event.clone(), token.clone()).await {
            Err(PublishError::Permanent(described)) => assert_eq!(described, pair.usage(&text_of(&event))),
            other => panic!("{other:?}"),
        }
        let event = from_seed(&strategies::turn_audit_event(), seed);
        described(emit!(audit, emit_turn_audit, event.clone(), token.clone()).await, &text_of(&event));
        let event = from_seed(&strategies::turn_mutation_audit_event(), seed);
        described(emit!(audit, emit_turn_retry_audit, event.clone(), token.clone()).await, &text_of(&event));
        described(emit!(audit, emit_turn_edit_audit, event.clone(), token.clone()).await, &text_of(&event));
        let event = from_seed(&strategies::turn_delete_audit_event(), seed);
        described(emit!(audit, emit_turn_delete_audit, event.clone(), token.clone()).await, &text_of(&event));
    }
}

fn described(result: Result<(), MiniChatAuditPluginError>, expected: &str) {
    match result {
        Err(MiniChatAuditPluginError::Permanent(described)) => assert_eq!(described, expected),
        other => panic!("{other:?}"),
    }
}

/// The token that the four audit methods have in the draft of 1.2: it arrives where both sides have it, is dropped on the way
/// to an older plugin, and never heard of from an older host.
macro_rules! token {
    ($audit:expr, $pair:expr, $method:ident, $event:expr) => {{
        let (token, mut event) = (CancellationToken::new(), $event);
        event.tenant_id = answers::TOKEN;
        let text = text_of(&event);
        let mut call = pin!(emit!($audit, $method, event.clone(), token.clone()));
        let first = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        token.cancel();
        match first {
            Poll::Ready(answer) => {
                assert!(!$pair.plugin_has_tokens(), "the plugin waits for its token");
                described(answer, &text);
            }
            Poll::Pending => {
                assert!($pair.plugin_has_tokens(), "an older plugin answers at once");
                if $pair.host_has_tokens() {
                    described(call.await, answers::HEARD);
                    described(emit!($audit, $method, event, token).await, answers::HEARD);
                } else {
                    let again = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    assert!(again.is_pending(), "nobody can cancel it");
                }
            }
        }
    }};
}

async fn tokens(audit: &dyn MiniChatAuditPluginClientV1, pair: &Pair) {
    let seed = [7; 32];
    token!(audit, pair, emit_turn_audit, from_seed(&strategies::turn_audit_event(), seed));
    token!(audit, pair, emit_turn_retry_audit, from_seed(&strategies::turn_mutation_audit_event(), seed));
    token!(audit, pair, emit_turn_edit_audit, from_seed(&strategies::turn_mutation_audit_event(), seed));
    token!(audit, pair, emit_turn_delete_audit, from_seed(&strategies::turn_delete_audit_event(), seed));
    if pair.host_has_tokens() {
        // A plugin that does not look at its token: its caller is let go all the same, after the grace period.
        let event = TurnAuditEvent { tenant_id: answers::PENDING, ..from_seed(&strategies::turn_audit_event(), seed) };
        let token = CancellationToken::new();
        token.cancel();
        let left = emit!(audit, emit_turn_audit, event, token).await;
        assert!(matches!(left, Err(MiniChatAuditPluginError::Transient(_))), "{left:?}");
    }
}
