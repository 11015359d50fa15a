//! [`WebhookAudit`]: the plugin.

use std::fmt::Display;
use std::time::Duration;

use mini_chat_plugin_sdk::call;
use mini_chat_plugin_sdk::prelude::*;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::config::{Ack, Config, Settings};
use crate::event::{self, Event, Waiting};
use crate::failure::Failure;
use crate::queue::Refused;
use crate::retry::end_of_call;
use crate::sender::Sender;

/// The plugin: turns events into lines and hands them to its sender.
#[derive(Debug)]
pub struct WebhookAudit {
    sender: Sender,
    ack: Ack,
    call_timeout: Duration,
    shutdown: Duration,
}

impl WebhookAudit {
    /// The constructor. Sends nothing.
    ///
    /// # Errors
    ///
    /// Permanent, with the key, if the configuration is wrong; retryable if `ca_file` cannot be read.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime; the SDK gives a plugin one.
    pub async fn create(context: PluginContext, config: Config) -> Result<Self, PluginError> {
        let settings = Settings::new(config)?;
        if settings.authorization.is_some() && settings.endpoint.0.scheme() == "http" {
            context.log(LogLevel::Warn, "the token is sent without encryption: `url` is http, not https");
        }
        let Settings { ack, call_timeout, shutdown, .. } = settings;
        Ok(Self { sender: Sender::start(context, &settings)?, ack, call_timeout, shutdown })
    }

    /// The health check. Asks nothing of the endpoint: it has no request without effect, and while it is down events are
    /// answered with Transient or wait, as they would without a swap; a new build must not be refused for that.
    ///
    /// # Errors
    ///
    /// Retryable if nothing sends any more: the plugin was shut down, or its tasks have panicked.
    pub async fn health(&self) -> Result<(), PluginError> {
        if self.sender.is_working() { Ok(()) } else { Err(PluginError::retryable(Refused::Closed.to_string())) }
    }

    /// The shutdown hook: sends what is queued, for at most `shutdown_ms` and the time that the host gives. What is left is
    /// counted, and named in the log. Events that come later are answered with Transient.
    ///
    /// # Errors
    ///
    /// Retryable, with their number, if events were not delivered.
    pub async fn shutdown(&self) -> Result<(), PluginError> {
        let limit = end_of_call(self.shutdown).min(Instant::now() + self.shutdown);
        match self.sender.stop(limit).await {
            0 => Ok(()),
            unsent => Err(PluginError::retryable(format!(
                "{unsent} audit events were not accepted by the endpoint; the log has their ids"
            ))),
        }
    }

    async fn emit<E: Serialize + Send + Sync>(
        &self,
        kind: &str,
        id: String,
        event: E,
    ) -> Result<(), MiniChatAuditPluginError> {
        let until = end_of_call(self.call_timeout);
        let key = call::idempotency_key();
        let line = event::line(kind, key.as_deref().unwrap_or(&id), &event).map_err(|error| {
            MiniChatAuditPluginError::Permanent(format!("the event is not expressible as JSON: {error}"))
        })?;
        drop(event);
        let (done, answer) = oneshot::channel();
        let waiting = (self.ack == Ack::Delivered).then_some(Waiting { done, until });
        let waits = waiting.is_some();
        self.sender.queue().push(Event { id, line, waiting }).map_err(Refused::of_call)?;
        if !waits {
            return Ok(());
        }
        match timeout_at(until, answer).await {
            Ok(Ok(outcome)) => outcome.map_err(|failure| failure.of_call()),
            Ok(Err(_)) => Err(Failure::Ended.of_call()),
            Err(_) => {
                let why = self.sender.trouble().map(|failure| format!(": {failure}")).unwrap_or_default();
                let text = format!("the call's time was over before its batch was accepted{why}");
                Err(MiniChatAuditPluginError::Transient(text))
            }
        }
    }
}

impl Refused {
    fn of_call(self) -> MiniChatAuditPluginError {
        match self {
            Self::TooLarge { .. } => MiniChatAuditPluginError::Permanent(self.to_string()),
            Self::Closed | Self::Full { .. } => MiniChatAuditPluginError::Transient(self.to_string()),
        }
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("events are not taken: the plugin was shut down, or it panicked (see the log)"),
            Self::Full { events, bytes } => write!(
                f,
                "the queue is full with {events} events of {bytes} bytes; it empties when the endpoint accepts batches \
                 (`queue_events` and `queue_bytes` bound it)"
            ),
            Self::TooLarge { bytes, most } => {
                write!(f, "expected an event of at most {most} bytes (`queue_bytes`), found one of {bytes}")
            }
        }
    }
}

#[async_trait]
impl MiniChatAuditPluginClientV1 for WebhookAudit {
    async fn emit_turn_audit(&self, event: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.emit("turn", event::id(event.tenant_id, event.event_type, event.request_id), event).await
    }

    async fn emit_turn_retry_audit(&self, event: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.emit("retry", event::id(event.tenant_id, event.event_type, event.new_request_id), event).await
    }

    async fn emit_turn_edit_audit(&self, event: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.emit("edit", event::id(event.tenant_id, event.event_type, event.new_request_id), event).await
    }

    async fn emit_turn_delete_audit(&self, event: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> {
        self.emit("delete", event::id(event.tenant_id, event.event_type, event.request_id), event).await
    }
}
