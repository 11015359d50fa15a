//! Two copies of std, and of all other crates, in one process: what a host says of a plugin that forgets it
//! (docs/two-copies-of-std.md). Each test in a process of its own, because what it touches is that of the whole process.

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::log::{Log, Record};
use mini_chat_plugin_tests::probing::{fixture, key, order};
use mini_chat_plugin_tests::serving::Way;
use mini_chat_plugin_tests::{child, plugins};
use probe::Action;
use serde_json::{Value, json};
use tracing::Level;

/// In the text of the warning, and of nothing else.
const SUBSCRIBER: &str = "has installed a tracing subscriber";

fn alone(test: &str) -> bool {
    // Built here, no other process's time limit pays for it.
    let _ = plugins::built(fixture().package);
    child::alone(test)
}

/// Everything that the host logs from now on.
fn log() -> Log {
    let log = Log::default();
    tracing::subscriber::set_global_default(log.subscriber()).expect("a process of its own");
    log
}

async fn serve(name: &str, way: Way, config: Value) -> PluginHost {
    let fixture = fixture();
    fixture.host(vec![(way, fixture.entry(name, way).with_config(config).unwrap())]).await
}

async fn obey(host: &PluginHost, name: &str, action: Action) {
    obey_key(host, name, action, 0).await;
}

async fn obey_key(host: &PluginHost, name: &str, action: Action, key: u64) {
    let policy = host.model_policy(name);
    policy.get_user_limits(order(action, key), 1, CancellationToken::new()).await.expect("it only answers");
}

/// Ends the host; what it has said of subscribers of this plugin.
async fn end(host: PluginHost, log: &Log, name: &str) -> Vec<Record> {
    let report = host.shutdown().await;
    assert!(report.is_clean(), "{report:?}");
    let plugin = format!("plugin=\"{name}\"");
    log.with(SUBSCRIBER).into_iter().filter(|record| record.text.contains(&plugin)).collect()
}

#[test]
fn a_subscriber_of_the_plugin() {
    if !alone("a_subscriber_of_the_plugin") {
        return;
    }
    let log = log();
    for way in Way::ALL.into_iter().filter(|way| way.loaded) {
        for step in ["create", "health", "shutdown"] {
            block_on(async {
                let name = format!("{}-{step}", way.name());
                let host = serve(&name, way, json!({ "subscribe_in": step })).await;
                let at_start = log.with(SUBSCRIBER).iter().filter(|record| record.text.contains(&name)).count();
                assert_eq!(at_start, usize::from(step != "shutdown"), "{name}");
                obey(&host, &name, Action::Answer).await;
                let warnings = end(host, &log, &name).await;
                assert_eq!(warnings.len(), 1, "{name}: {warnings:?}");
                assert_eq!(warnings[0].level, Level::WARN);
                for part in ["`set_default`", "remove the call", "what `tracing` and `log` write"] {
                    assert!(warnings[0].text.contains(part), "{}", warnings[0].text);
                }
            });
        }
    }
}

/// The plugin's copy of `tracing` has the subscriber that forwards to the host: another one is refused, and nothing is lost.
#[test]
fn a_subscriber_for_all_threads() {
    if !alone("a_subscriber_for_all_threads") {
        return;
    }
    let log = log();
    for way in Way::ALL.into_iter().filter(|way| way.loaded) {
        block_on(async {
            let config = json!({ "subscribe_in": "create", "subscribe_by": "try_init" });
            let host = serve("tries", way, config).await;
            let key = key();
            obey_key(&host, "tries", Action::Trace, key).await;
            assert_eq!(log.with(&format!("first poll key={key}")).len(), 2, "{}", way.name());
            let warnings = end(host, &log, "tries").await;
            assert!(warnings.is_empty(), "{}: {warnings:?}", way.name());
        });
    }
    let way = Way::ALL[1];
    let fixture = fixture();
    let directory = plugins::directory();
    plugins::drop_in(directory.path(), &plugins::built(fixture.package), "libfixture.so");
    let config = json!({ "subscribe_in": "create", "subscribe_by": "init" });
    let entry = fixture.entry("insists", way).with_config(config).unwrap();
    let host = PluginHost::builder().identity("tests", "1").plugins(directory.path()).watch(false).plugin(entry);
    let host = block_on(host.build()).expect("the host starts");
    let text = host.status().plugins[0].reason.clone().expect("its constructor panics").1;
    assert!(text.contains("a global default trace dispatcher has already been set"), "{text}");
    block_on(host.shutdown());
}

/// This program has a subscriber of its own all the time: linked, it is the plugin's as well.
#[test]
fn no_subscriber_of_the_plugin() {
    if !alone("no_subscriber_of_the_plugin") {
        return;
    }
    let log = log();
    for way in Way::ALL {
        block_on(async {
            let host = serve("good", way, json!({})).await;
            obey(&host, "good", Action::Answer).await;
            let warnings = end(host, &log, "good").await;
            assert!(warnings.is_empty(), "{}: {warnings:?}", way.name());
        });
    }
    assert!(log.with("belongs to the whole process").is_empty());
}

#[test]
fn the_working_directory() {
    if !alone("the_working_directory") {
        return;
    }
    let log = log();
    let elsewhere = plugins::directory();
    let to = elsewhere.path().canonicalize().unwrap();
    let from = std::env::current_dir().unwrap();
    let host = block_on(serve("mover", Way::ALL[1], json!({ "directory": to })));
    let part = format!("the working directory changed from {} to {}", from.display(), to.display());
    let warnings = log.with(&part);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].level, Level::WARN);
    assert!(warnings[0].text.contains("plugins=\"mover\""), "{}", warnings[0].text);
    assert!(block_on(host.shutdown()).is_clean());
}

#[test]
fn a_signal_handler() {
    if !alone("a_signal_handler") {
        return;
    }
    let log = log();
    let signal = rustix::process::Signal::USR2.as_raw();
    let host = block_on(serve("taker", Way::ALL[1], json!({ "signal": signal })));
    let warnings = log.with(&format!("what signal {signal} (SIGUSR2) does changed"));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].level, Level::WARN);
    assert!(warnings[0].text.contains("plugins=\"taker\""), "{}", warnings[0].text);
    assert!(block_on(host.shutdown()).is_clean());
}
