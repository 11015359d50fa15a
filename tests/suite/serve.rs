//! A real `.so`, dropped into a directory, is served.

use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::PluginEntry;
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

#[test]
fn a_pinned_version_serves_or_nothing_does() {
    let directory = plugins::directory();
    let file = plugins::drop_in(directory.path(), &plugins::built("hello"), "libhello.so");
    let pinned = |name: &str, version: &str| {
        let mut entry = PluginEntry::new(name);
        entry.library = "acme.audit._.hello.v1".to_owned();
        entry.version = Some(version.parse().unwrap());
        entry
    };
    let builder = PluginHost::builder().plugin_file(&file);
    let builder = builder.plugin(pinned("here", "0.1.0")).plugin(pinned("elsewhere", "0.2.0"));
    let host = futures::executor::block_on(builder.build()).unwrap();
    let status = host.status();
    assert_eq!(status.plugins.len(), 2);
    let reason = |name: &str| status.plugins.iter().find(|plugin| plugin.name == name).unwrap().reason.clone();
    assert_eq!(reason("here"), None);
    let text = "plugin elsewhere: no usable file with the id acme.audit._.hello.v1 has the version 0.2.0; there are: 0.1.0; \
                drop it there, or change `version`";
    assert_eq!(reason("elsewhere"), Some(("no-version", text.to_owned())));
    assert!(futures::executor::block_on(host.shutdown()).is_clean());
}
