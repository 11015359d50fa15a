//! What the sanitiser takes of an emit through the audit fan-out: `emit_cost LIBRARY`, with the plugin `stamped` as LIBRARY.
//!
//! Writes microseconds per emit, the best of several runs that take turns, with and without the sanitiser: of an event as
//! the fixture has it, and of one with two texts of 8 KiB. The plugin does next to nothing, so this is the largest share that
//! the sanitiser can have. Build both with `--release`.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_loader::audit::FanOutConfig;
use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use mini_chat_plugin_tests::site::turn_audit_event;
use mini_chat_plugin_tests::stamped::ID;

const EMITS: u32 = 2_000;
const RUNS: usize = 15;

const PROSE: &str = "The committee met on Tuesday to review past projects, discuss access to the reference library, and plan what \
    comes next. It was agreed that the task of writing the report, which nobody wanted, would pass to the newest member. ";

fn run(fan_out: &dyn MiniChatAuditPluginClientV1, event: &TurnAuditEvent) -> Duration {
    let events: Vec<_> = (0..EMITS).map(|_| event.clone()).collect();
    let begin = Instant::now();
    block_on(async {
        for event in events {
            fan_out.emit_turn_audit(event).await.expect("it is taken");
        }
    });
    begin.elapsed() / EMITS
}

fn main() {
    let library = std::env::args_os().nth(1).expect("LIBRARY");
    let builder = PluginHost::builder().identity("emit_cost", "1").watch(false).plugin_file(library);
    let host = block_on(builder.plugin(PluginEntry::new(ID)).build()).expect("a host");
    let mut plain = FanOutConfig::default();
    plain.sanitize = false;
    let fan_outs = [host.audit_fan_out(plain), host.audit_fan_out(FanOutConfig::default())];
    let small = turn_audit_event();
    let text: String = PROSE.chars().cycle().take(8 << 10).collect();
    let large = TurnAuditEvent { prompt: Some(text.clone()), response: Some(text), ..small.clone() };
    for (name, event) in [("as the fixture", small), ("two texts of 8 KiB", large)] {
        let mut best = [Duration::MAX; 2];
        for _ in 0..RUNS {
            for (best, fan_out) in best.iter_mut().zip(&fan_outs) {
                *best = run(&**fan_out, &event).min(*best);
            }
        }
        let [without, with] = best.map(|best| best.as_secs_f64() * 1e6);
        let share = (with - without).max(0.0) / with * 100.0;
        println!("{name:20} without {without:7.2} us, with the sanitiser {with:7.2} us: {share:.0} % of the emit");
    }
    block_on(host.shutdown());
}
