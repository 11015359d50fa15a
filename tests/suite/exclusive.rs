//! A plugin of which only one instance can be there: who comes second is refused, and may try again.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use futures::executor::block_on;
use futures::future::join_all;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_tests::exclusivity::{Counted, entry, fixture, listening};
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::serving::Way;
use serde_json::json;
use uuid::Uuid;

const NAME: &str = "exclusive";

/// A host of its own with one instance, which may not serve.
async fn host(way: Way, address: SocketAddr) -> PluginHost {
    let (fixture, directory) = (fixture(), plugins::directory());
    let mut builder = PluginHost::builder().identity("tests", "1").plugins(directory.path());
    if way.loaded {
        plugins::drop_in(directory.path(), &plugins::built(fixture.package), "libexclusive.so");
    } else {
        builder = builder.in_process(NAME, fixture.linked);
    }
    builder.plugin(entry(NAME, way, address, json!({}))).build().await.expect("the host starts")
}

async fn counted(host: &PluginHost) -> Counted {
    let limits = host.model_policy(NAME).get_user_limits(Uuid::nil(), 1, CancellationToken::new()).await;
    limits.expect("it counts").into()
}

#[test]
fn who_comes_second_is_refused_until_the_first_has_gone() {
    for way in Way::ALL {
        println!("{}", way.name());
        block_on(async {
            let address = exclusive::free_address();
            let first = host(way, address).await;
            assert_eq!(counted(&first).await, Counted { number: 1, generation: 1, taken_over: 0, handed: 0 });
            assert_eq!(listening(address), Some((1, 1)));

            let second = host(way, address).await;
            let status = second.status().plugins.remove(0);
            let (kind, why) = status.reason.expect("nothing serves");
            assert!(!status.serving);
            assert_eq!(kind, "create-failed");
            let said = format!("its constructor failed: listen on {address}: ");
            assert!(why.contains(&said) && why.contains("(may be tried again)"), "{why}");
            assert_eq!(counted(&first).await.number, 2, "the first serves on");
            assert!(second.shutdown().await.is_clean());

            assert!(first.shutdown().await.is_clean());
            assert_eq!(listening(address), None);
            let third = host(way, address).await;
            assert_eq!(counted(&third).await.number, 1);
            assert!(third.shutdown().await.is_clean());
        });
    }
}

#[test]
fn every_call_has_a_number_of_its_own() {
    for way in Way::ALL {
        block_on(async {
            let host = host(way, exclusive::free_address()).await;
            let numbers: BTreeSet<i64> =
                join_all((0..100).map(|_| async { counted(&host).await.number })).await.into_iter().collect();
            assert_eq!(numbers, (1..=100).collect());
            assert!(host.shutdown().await.is_clean());
        });
    }
}
