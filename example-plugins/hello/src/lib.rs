//! The smallest possible plugin: an audit plugin that greets each turn.
use mini_chat_plugin_sdk::prelude::*;

struct Hello(PluginContext);

#[async_trait]
#[rustfmt::skip]
impl MiniChatAuditPluginClientV1 for Hello {
    async fn emit_turn_audit(&self, event: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.0.log(LogLevel::Info, &format!("hello, turn {} on {}", event.turn_id, event.effective_model));
        Ok(())
    }
    async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
    async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> { Ok(()) }
}

export_plugin! {
    id: "acme.audit._.hello.v1", vendor: "acme", priority: 100,
    serves: [audit], plugin: Hello, config: NoConfig,
    create: |context, _config| async move { Ok(Hello(context)) },
}
