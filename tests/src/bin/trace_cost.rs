//! What a disabled `tracing` event costs inside a loaded plugin: `trace_cost LIBRARY`, with the plugin `probe` as LIBRARY.
//!
//! Writes nanoseconds, the best of several runs: an event of `tracing` that the host's filter does not want, the loop that it
//! stands in, and a record of `log` that nobody wants. Build both with `--release`.

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_sdk::error::MiniChatModelPolicyPluginError;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use probe::{Action, Order};

const TURNS: u64 = 10_000_000;
const RUNS: usize = 7;

fn main() {
    let library = std::env::args_os().nth(1).expect("LIBRARY");
    let mut entry = PluginEntry::new("probe");
    entry.library = "tests.probe._.both.v1".to_owned();
    let builder = PluginHost::builder().identity("trace_cost", "1").watch(false).plugin_file(library).plugin(entry);
    let host = block_on(builder.build()).expect("a host");
    let policy = host.model_policy("probe");
    let order = Order { action: Action::CostOfDisabled, key: TURNS }.to_uuid();
    let mut best = [f64::INFINITY; 3];
    for _ in 0..RUNS {
        let answer = block_on(policy.get_current_policy_version(order, CancellationToken::new()));
        let Err(MiniChatModelPolicyPluginError::Internal(text)) = answer else { panic!("{answer:?}") };
        for (best, picoseconds) in best.iter_mut().zip(text.split(' ')) {
            *best = best.min(picoseconds.parse::<f64>().unwrap_or_else(|error| panic!("{error}: {text}")) / 1000.0);
        }
    }
    let [event, nothing, log] = best;
    println!("disabled tracing event {event:.2} ns, empty loop {nothing:.2} ns, disabled log record {log:.2} ns");
    block_on(host.shutdown());
}
