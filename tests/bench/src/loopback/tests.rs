//! A linked plugin asks the server.

use measured::{ASKS, Config};
use mini_chat_plugin_sdk::prelude::*;

use super::*;
use crate::calls::{self, Executor, Plugin};

#[test]
fn calls_one_after_the_other_share_a_connection() {
    let server = Server::start();
    for (executor, connections) in Executor::connected().iter().zip(1..) {
        let plugin = Plugin::configured(&Config { upstream: Some(server.address) });
        for _ in 0..3 {
            executor.run(&calls::asks(), &plugin, 20);
        }
        assert_eq!(server.connections(), connections, "one for each plugin");
    }
}

#[test]
fn a_plugin_that_is_told_of_no_server_says_so() {
    let [executor, _] = Executor::connected();
    let Executor::Current(runtime) = executor else { panic!("the first is the host of one thread") };
    let plugin = Plugin::linked();
    let call = plugin.policy.get_current_policy_version(ASKS, CancellationToken::new());
    let error = runtime.block_on(call).unwrap_err();
    assert!(error.to_string().contains("no upstream is configured"), "{error}");
}
