//! [`JsonlAudit`]: the plugin.

use mini_chat_plugin_sdk::prelude::*;
use serde::Serialize;

use crate::config::{Config, Settings};
use crate::journal;
use crate::writer::Writer;

/// The plugin: turns events into lines and hands them to its writer.
#[derive(Debug)]
pub struct JsonlAudit {
    /// None in a preflight, which must not touch the file of a serving instance.
    writer: Option<Writer>,
}

/// One line.
#[derive(Serialize)]
struct Envelope<'a, E> {
    kind: &'a str,
    event: &'a E,
}

impl JsonlAudit {
    /// The constructor: opens the file, or for [`Purpose::Preflight`] only checks that it could.
    ///
    /// # Errors
    ///
    /// Permanent if the configuration is wrong, retryable if the file cannot be opened or belongs to another instance.
    pub async fn create(context: PluginContext, config: Config) -> Result<Self, PluginError> {
        let settings = Settings::new(&config, &context)?;
        if context.purpose() == Purpose::Preflight {
            journal::check(&settings.path).map_err(|error| error.into_plugin_error(&settings.path))?;
            return Ok(Self { writer: None });
        }
        Ok(Self { writer: Some(Writer::start(settings, context).await?) })
    }

    /// The health check.
    ///
    /// # Errors
    ///
    /// Retryable if the file cannot be written.
    pub async fn health(&self) -> Result<(), PluginError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        writer.check().await.map_err(PluginError::retryable)
    }

    /// The shutdown hook: writes what is queued, syncs (unless `fsync = "never"`), closes the file, gives its lock back.
    /// Events that come later are answered with Transient.
    ///
    /// # Errors
    ///
    /// Retryable if the last fsync failed.
    pub async fn shutdown(&self) -> Result<(), PluginError> {
        let Some(writer) = &self.writer else { return Ok(()) };
        writer.stop().await.map_err(PluginError::retryable)
    }

    async fn emit<E: Serialize + Sync>(&self, kind: &str, event: &E) -> Result<(), MiniChatAuditPluginError> {
        let mut line = serde_json::to_vec(&Envelope { kind, event }).map_err(|error| {
            MiniChatAuditPluginError::Permanent(format!("the event is not expressible as JSON: {error}"))
        })?;
        line.push(b'\n');
        let Some(writer) = &self.writer else {
            return Err(MiniChatAuditPluginError::Transient(
                "the instance is a preflight, which records nothing".into(),
            ));
        };
        writer.write(line).await.map_err(MiniChatAuditPluginError::Transient)
    }
}

#[async_trait]
impl MiniChatAuditPluginClientV1 for JsonlAudit {
    async fn emit_turn_audit(&self, event: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.emit("turn", &event).await
    }

    async fn emit_turn_retry_audit(&self, event: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.emit("retry", &event).await
    }

    async fn emit_turn_edit_audit(&self, event: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.emit("edit", &event).await
    }

    async fn emit_turn_delete_audit(&self, event: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.emit("delete", &event).await
    }
}
