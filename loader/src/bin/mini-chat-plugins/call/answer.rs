//! Asking, and the answer as JSON.

use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::models::{PolicySnapshot, PolicyVersionInfo};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use serde::Serialize;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;

use super::arguments::Arguments;
use crate::exit::Exit;
use crate::failure::Failure;

/// The method's own error: the name of its variant, and its text.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) kind: &'static str,
    pub(crate) message: String,
}

/// What the method answered.
pub(crate) type Answer = Result<Value, Refused>;

/// Awaits a method of the audit trait, which has a token in the draft of ABI 1.2 only.
macro_rules! emit {
    ($audit:ident.$method:ident($event:expr), $cancel:ident) => {{
        #[cfg(not(mini_chat_abi = "1.2"))]
        let answer = $audit.$method($event).await;
        #[cfg(mini_chat_abi = "1.2")]
        let answer = $audit.$method($event, $cancel).await;
        answer
    }};
}

/// Calls the method of the plugin `name`. `Err` is an answer that has no JSON.
pub(crate) async fn ask(host: &PluginHost, name: &str, arguments: Arguments) -> Result<Answer, Failure> {
    let cancel = CancellationToken::new();
    let (policy, audit) = (host.model_policy(name), host.audit(name));
    match arguments {
        Arguments::CurrentPolicyVersion(user) => answer(policy.get_current_policy_version(user, cancel).await, version),
        Arguments::PolicySnapshot(user, number) => {
            answer(policy.get_policy_snapshot(user, number, cancel).await, snapshot)
        }
        Arguments::UserLimits(user, number) => answer(policy.get_user_limits(user, number, cancel).await, value),
        Arguments::UserLicense(user) => answer(policy.check_user_license(user, cancel).await, value),
        Arguments::Usage(payload) => answer(policy.publish_usage(*payload, cancel).await, value),
        Arguments::Turn(event) => answer(emit!(audit.emit_turn_audit(*event), cancel), value),
        Arguments::TurnRetry(event) => answer(emit!(audit.emit_turn_retry_audit(*event), cancel), value),
        Arguments::TurnEdit(event) => answer(emit!(audit.emit_turn_edit_audit(*event), cancel), value),
        Arguments::TurnDelete(event) => answer(emit!(audit.emit_turn_delete_audit(*event), cancel), value),
    }
}

type Unwritable = Box<dyn std::error::Error + Send + Sync>;

fn answer<T, E: Into<Refused>>(
    answered: Result<T, E>,
    write: impl FnOnce(T) -> Result<Value, Unwritable>,
) -> Result<Answer, Failure> {
    match answered {
        Ok(value) => write(value)
            .map(Ok)
            .map_err(|error| Failure::new(Exit::Failed, "the answer is not expressible as JSON").because(error)),
        Err(error) => Ok(Err(error.into())),
    }
}

fn value<T: Serialize>(answer: T) -> Result<Value, Unwritable> {
    Ok(serde_json::to_value(answer)?)
}

// The two types that are never JSON in mini-chat itself. Taken apart without `..`: a field that is added does not compile
// until it is written.

fn version(
    PolicyVersionInfo { user_id, policy_version, generated_at }: PolicyVersionInfo,
) -> Result<Value, Unwritable> {
    let generated_at = generated_at.format(&Rfc3339)?;
    Ok(json!({ "user_id": user_id, "policy_version": policy_version, "generated_at": generated_at }))
}

fn snapshot(snapshot: PolicySnapshot) -> Result<Value, Unwritable> {
    let PolicySnapshot { user_id, policy_version, model_catalog, kill_switches } = snapshot;
    Ok(json!({
        "user_id": user_id,
        "policy_version": policy_version,
        "model_catalog": serde_json::to_value(model_catalog)?,
        "kill_switches": serde_json::to_value(kill_switches)?,
    }))
}

impl From<MiniChatModelPolicyPluginError> for Refused {
    fn from(error: MiniChatModelPolicyPluginError) -> Self {
        let kind = match &error {
            MiniChatModelPolicyPluginError::NotFound => "NotFound",
            MiniChatModelPolicyPluginError::Internal(_) => "Internal",
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<PublishError> for Refused {
    fn from(error: PublishError) -> Self {
        let kind = match &error {
            PublishError::Transient(_) => "Transient",
            PublishError::Permanent(_) => "Permanent",
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<MiniChatAuditPluginError> for Refused {
    fn from(error: MiniChatAuditPluginError) -> Self {
        let kind = match &error {
            MiniChatAuditPluginError::Transient(_) => "Transient",
            MiniChatAuditPluginError::Permanent(_) => "Permanent",
            MiniChatAuditPluginError::PluginTimeout => "PluginTimeout",
        };
        Self { kind, message: error.to_string() }
    }
}
