//! A plugin of another compiler, with every Rust type in another layout, is served by this host.

use echo::answers;
use echo::nine::all_nine;
use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_tests::{nightly, plugins, read_fixture};

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
        let found = all_nine(&*host.model_policy(name), &*host.audit(name), CALLS, false).await;
        let layout = found.layout.expect("the plugin says where it has its fields");
        assert_ne!(layout, answers::layout(), "the plugin's layouts were to differ from this program's");
        assert_eq!(found.differing, []);
        assert_eq!(found.calls, 9 * u32::from(CALLS));
        assert!(host.shutdown().await.is_clean());
    });
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
