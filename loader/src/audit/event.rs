//! What the four kinds of events have in common for their delivery.

use std::fmt;
use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;

use mini_chat_plugin_sdk::audit_models::{
    TurnAuditEvent, TurnAuditEventType, TurnDeleteAuditEvent, TurnDeleteAuditEventType, TurnEditAuditEvent,
    TurnMutationAuditEvent, TurnMutationAuditEventType, TurnRetryAuditEvent,
};
use mini_chat_plugin_sdk::error::MiniChatAuditPluginError;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
#[cfg(mini_chat_abi = "1.2")]
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::sanitize::Sanitizer;

/// What late hosts tell events apart by; of a retry or an edit the new request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct EventKey {
    tenant: Uuid,
    kind: Kind,
    request: Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Completed,
    Failed,
    Retry,
    Edit,
    Delete,
}

impl fmt::Display for EventKey {
    /// The idempotency key: `TENANT:EVENT-TYPE:REQUEST`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind: &dyn fmt::Display = match self.kind {
            Kind::Completed => &TurnAuditEventType::TurnCompleted,
            Kind::Failed => &TurnAuditEventType::TurnFailed,
            Kind::Retry => &TurnMutationAuditEventType::TurnRetry,
            Kind::Edit => &TurnMutationAuditEventType::TurnEdit,
            Kind::Delete => &TurnDeleteAuditEventType::TurnDelete,
        };
        write!(f, "{}:{kind}:{}", self.tenant, self.request)
    }
}

impl EventKey {
    /// What it shows itself as, for all calls to share.
    pub(super) fn text(&self) -> Arc<str> {
        // Two identifiers of 36 bytes, and a word.
        let mut text = [0; 128];
        let mut rest = &mut text[..];
        let fits = write!(rest, "{self}");
        let left = rest.len();
        let text = &text[..text.len() - left];
        match std::str::from_utf8(text) {
            Ok(text) if fits.is_ok() => text.into(),
            _ => self.to_string().into(),
        }
    }
}

/// What a method of the trait is given beside its event: nothing, or, in the draft of ABI 1.2, the caller's token.
#[derive(Debug, Clone, Default)]
pub(super) struct Cancel(#[cfg(mini_chat_abi = "1.2")] pub(super) CancellationToken);

/// Calls a method of the trait.
macro_rules! emit {
    ($plugin:ident.$method:ident($event:expr, $cancel:ident)) => {{
        #[cfg(not(mini_chat_abi = "1.2"))]
        let (Cancel(), emitting) = ($cancel, $plugin.$method($event));
        #[cfg(mini_chat_abi = "1.2")]
        let emitting = $plugin.$method($event, $cancel.0);
        emitting
    }};
}

/// The future of a method of the trait.
pub(super) type Emitting<'c> = Pin<Box<dyn Future<Output = Result<(), MiniChatAuditPluginError>> + Send + 'c>>;

/// An event with the method that delivers it.
pub(super) trait AuditEvent: Clone + Send + 'static {
    fn key(&self) -> EventKey;

    fn sanitized(self, sanitizer: &Sanitizer) -> Self;

    fn emit(self, plugin: &dyn MiniChatAuditPluginClientV1, cancel: Cancel) -> Emitting<'_>;
}

impl AuditEvent for TurnAuditEvent {
    fn key(&self) -> EventKey {
        let kind = match self.event_type {
            TurnAuditEventType::TurnCompleted => Kind::Completed,
            TurnAuditEventType::TurnFailed => Kind::Failed,
        };
        EventKey { tenant: self.tenant_id, kind, request: self.request_id }
    }

    fn sanitized(self, sanitizer: &Sanitizer) -> Self {
        sanitizer.turn(self)
    }

    fn emit(self, plugin: &dyn MiniChatAuditPluginClientV1, cancel: Cancel) -> Emitting<'_> {
        emit!(plugin.emit_turn_audit(self, cancel))
    }
}

fn mutation_key(event: &TurnMutationAuditEvent) -> EventKey {
    let kind = match event.event_type {
        TurnMutationAuditEventType::TurnRetry => Kind::Retry,
        TurnMutationAuditEventType::TurnEdit => Kind::Edit,
    };
    EventKey { tenant: event.tenant_id, kind, request: event.new_request_id }
}

/// To be delivered as a retry.
#[derive(Clone)]
pub(super) struct Retry(pub(super) TurnRetryAuditEvent);

impl AuditEvent for Retry {
    fn key(&self) -> EventKey {
        mutation_key(&self.0)
    }

    fn sanitized(self, sanitizer: &Sanitizer) -> Self {
        Self(sanitizer.turn_retry(self.0))
    }

    fn emit(self, plugin: &dyn MiniChatAuditPluginClientV1, cancel: Cancel) -> Emitting<'_> {
        emit!(plugin.emit_turn_retry_audit(self.0, cancel))
    }
}

/// To be delivered as an edit.
#[derive(Clone)]
pub(super) struct Edit(pub(super) TurnEditAuditEvent);

impl AuditEvent for Edit {
    fn key(&self) -> EventKey {
        mutation_key(&self.0)
    }

    fn sanitized(self, sanitizer: &Sanitizer) -> Self {
        Self(sanitizer.turn_edit(self.0))
    }

    fn emit(self, plugin: &dyn MiniChatAuditPluginClientV1, cancel: Cancel) -> Emitting<'_> {
        emit!(plugin.emit_turn_edit_audit(self.0, cancel))
    }
}

impl AuditEvent for TurnDeleteAuditEvent {
    fn key(&self) -> EventKey {
        let TurnDeleteAuditEventType::TurnDelete = self.event_type;
        EventKey { tenant: self.tenant_id, kind: Kind::Delete, request: self.request_id }
    }

    fn sanitized(self, sanitizer: &Sanitizer) -> Self {
        sanitizer.turn_delete(self)
    }

    fn emit(self, plugin: &dyn MiniChatAuditPluginClientV1, cancel: Cancel) -> Emitting<'_> {
        emit!(plugin.emit_turn_delete_audit(self, cancel))
    }
}
