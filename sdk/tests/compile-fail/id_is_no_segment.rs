//! An id that is not one GTS segment.
use mini_chat_plugin_sdk::prelude::*;

struct Plugin;

impl Plugin {
    async fn create(_: PluginContext, _: NoConfig) -> Result<Self, PluginError> {
        Ok(Self)
    }
}

#[async_trait]
#[rustfmt::skip]
impl MiniChatAuditPluginClientV1 for Plugin {
    async fn emit_turn_audit(&self, _: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
}

export_plugin! {
    id: "acme.audit.v1", vendor: "acme", priority: 100,
    serves: [audit], plugin: Plugin, config: NoConfig,
    create: Plugin::create,
}

fn main() {}
