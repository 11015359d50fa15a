//! A real `.so`, dropped into a directory, is served.

use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_tests::plugins;

#[test]
fn a_dropped_file_is_served_under_its_id() {
    let directory = plugins::directory();
    plugins::drop_in(directory.path(), &plugins::built("hello"), "libhello.so");
    futures::executor::block_on(async {
        let host = PluginHost::builder().identity("tests", "1").plugins(directory.path()).build().await.unwrap();
        let status = host.status();
        println!("{}", serde_json::to_string_pretty(&status).unwrap());
        assert_eq!(status.refused_files.len(), 0);
        assert!(status.plugins[0].serving);
        let audit = host.audit("acme.audit._.hello.v1");
        let event =
            serde_json::from_str(&mini_chat_plugin_tests::read_fixture("mini-chat/full/TurnAuditEvent.json")).unwrap();
        audit.emit_turn_audit(event).await.unwrap();
        let policy = host.model_policy("acme.audit._.hello.v1");
        println!("{:?}", policy.check_user_license(uuid::Uuid::nil(), Default::default()).await);
        println!("{}", serde_json::to_string_pretty(&host.status()).unwrap());
        let report = host.shutdown().await;
        println!("{report:?}");
        assert!(report.is_clean());
    });
}
