//! A host as a server would embed it: `embedding DIRECTORY PLUGINS_TOML`. Writes its status as a line of JSON, serves until
//! its stdin ends, and writes `ended` once all plugins have.

use std::io::Read;

use futures::executor::block_on;
use mini_chat_plugin_loader::PluginHost;

fn main() {
    mini_chat_plugin_loader::preflight_child();
    let mut arguments = std::env::args_os().skip(1);
    let (directory, config) = (arguments.next().expect("DIRECTORY"), arguments.next().expect("PLUGINS_TOML"));
    let builder = PluginHost::builder().identity("embedding", "1").plugins(directory).config_file(config);
    let host = block_on(builder.build()).expect("a host");
    println!("{}", serde_json::to_string(&host.status()).expect("JSON"));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    let report = block_on(host.shutdown());
    println!("ended {}", if report.is_clean() { "cleanly" } else { "otherwise" });
}
