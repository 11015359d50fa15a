//! As `missing_trait`, of the other trait.
use mini_chat_plugin_sdk::prelude::*;

struct Plugin;

impl Plugin {
    async fn create(_: PluginContext, _: NoConfig) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

export_plugin! {
    id: "acme.test._.case.v1", vendor: "acme", priority: 100,
    serves: [audit], plugin: Plugin, config: NoConfig,
    create: Plugin::create,
}

fn main() {}
