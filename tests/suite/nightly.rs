//! A plugin of another compiler, with every Rust type in another layout, is served by this host.

use echo::answers;
use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_strategies::{self as strategies, from_seed, text_of};
use mini_chat_plugin_tests::{nightly, plugins, read_fixture};
use uuid::Uuid;

/// Calls per method.
const CALLS: u8 = 32;

async fn host(package: &str) -> PluginHost {
    let directory = plugins::directory();
    plugins::drop_in(directory.path(), &nightly::built(package), "libnightly.so");
    let host = PluginHost::builder().plugins(directory.path()).build().await.expect("the host starts");
    let status = host.status();
    assert!(status.refused_files.is_empty() && status.plugins.iter().all(|plugin| plugin.serving), "{status:#?}");
    host
}

#[test]
fn all_nine_methods() {
    block_on(async {
        let host = host("echo-plugin").await;
        let name = "tests.echo._.both.v1";
        let (policy, audit) = (host.model_policy(name), host.audit(name));
        let token = CancellationToken::new();

        match policy.get_current_policy_version(answers::LAYOUT, token.clone()).await {
            Err(MiniChatModelPolicyPluginError::Internal(layout)) => {
                assert_ne!(layout, answers::layout(), "the plugin's layouts were to differ from this program's");
            }
            other => panic!("{other:?}"),
        }
        for number in 0..CALLS {
            let (user, version) = (Uuid::from_bytes([number; 16]), u64::from(number) << 40);
            let found = policy.get_current_policy_version(user, token.clone()).await;
            assert_eq!(text_of(&found), text_of(&answers::version(user)));
            let found = policy.get_policy_snapshot(user, version, token.clone()).await;
            assert_eq!(text_of(&found), text_of(&answers::snapshot(user, version)));
            let found = policy.get_user_limits(user, version, token.clone()).await;
            assert_eq!(text_of(&found), text_of(&answers::limits(user, version)));
            let found = policy.check_user_license(user, token.clone()).await;
            assert_eq!(text_of(&found), text_of(&answers::license(user)));

            let seed = [number; 32];
            let event = from_seed(&strategies::usage_event(), seed);
            match policy.publish_usage(event.clone(), token.clone()).await {
                Err(PublishError::Permanent(described)) => assert_eq!(described, text_of(&event)),
                other => panic!("{other:?}"),
            }
            let event = from_seed(&strategies::turn_audit_event(), seed);
            described(audit.emit_turn_audit(event.clone()).await, &text_of(&event));
            let event = from_seed(&strategies::turn_mutation_audit_event(), seed);
            described(audit.emit_turn_retry_audit(event.clone()).await, &text_of(&event));
            described(audit.emit_turn_edit_audit(event.clone()).await, &text_of(&event));
            let event = from_seed(&strategies::turn_delete_audit_event(), seed);
            described(audit.emit_turn_delete_audit(event.clone()).await, &text_of(&event));
        }
        assert!(host.shutdown().await.is_clean());
    });
}

fn described(result: Result<(), MiniChatAuditPluginError>, expected: &str) {
    match result {
        Err(MiniChatAuditPluginError::Permanent(described)) => assert_eq!(described, expected),
        other => panic!("{other:?}"),
    }
}

#[test]
fn hello() {
    block_on(async {
        let host = host("hello").await;
        let audit = host.audit("acme.audit._.hello.v1");
        macro_rules! emit {
            ($($method:ident($fixture:literal)),+) => {
                $(
                    let event = read_fixture(concat!("mini-chat/full/", $fixture, ".json"));
                    audit.$method(serde_json::from_str(&event).unwrap()).await.expect("hello takes everything");
                )+
            };
        }
        emit!(
            emit_turn_audit("TurnAuditEvent"),
            emit_turn_retry_audit("TurnRetryAuditEvent"),
            emit_turn_edit_audit("TurnEditAuditEvent"),
            emit_turn_delete_audit("TurnDeleteAuditEvent")
        );
        assert!(host.shutdown().await.is_clean());
    });
}
