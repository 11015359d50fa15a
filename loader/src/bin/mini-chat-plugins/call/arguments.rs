//! [`Arguments`]: from JSON to what a method is given.

use mini_chat_plugin_loader::method::Method;
use mini_chat_plugin_sdk::audit_models::{
    TurnAuditEvent, TurnDeleteAuditEvent, TurnEditAuditEvent, TurnRetryAuditEvent,
};
use mini_chat_plugin_sdk::models::UsageEvent;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::exit::Exit;
use crate::failure::Failure;

/// A method with its arguments.
#[derive(Debug)]
pub(crate) enum Arguments {
    CurrentPolicyVersion(Uuid),
    PolicySnapshot(Uuid, u64),
    UserLimits(Uuid, u64),
    UserLicense(Uuid),
    Usage(Box<UsageEvent>),
    Turn(Box<TurnAuditEvent>),
    TurnRetry(Box<TurnRetryAuditEvent>),
    TurnEdit(Box<TurnEditAuditEvent>),
    TurnDelete(Box<TurnDeleteAuditEvent>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfUser {
    user_id: Uuid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfVersion {
    user_id: Uuid,
    policy_version: u64,
}

impl Arguments {
    /// Reads the arguments of `method`: an object with the trait's names; an event may also stand by itself.
    pub(crate) fn parse(method: Method, text: &str) -> Result<Self, Failure> {
        Self::read(method, text)
            .map_err(|reason| Failure::new(Exit::Usage, format!("--json: arguments of {method}: {reason}")))
    }

    fn read(method: Method, text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text).map_err(|error| format!("expected JSON, found {error}"))?;
        Ok(match method {
            Method::GetCurrentPolicyVersion => Self::CurrentPolicyVersion(typed::<OfUser>(&value, "")?.user_id),
            Method::CheckUserLicense => Self::UserLicense(typed::<OfUser>(&value, "")?.user_id),
            Method::GetPolicySnapshot => {
                let OfVersion { user_id, policy_version } = typed(&value, "")?;
                Self::PolicySnapshot(user_id, policy_version)
            }
            Method::GetUserLimits => {
                let OfVersion { user_id, policy_version } = typed(&value, "")?;
                Self::UserLimits(user_id, policy_version)
            }
            Method::PublishUsage => Self::Usage(event(&value, "payload")?),
            Method::EmitTurnAudit => Self::Turn(event(&value, "event")?),
            Method::EmitTurnRetryAudit => Self::TurnRetry(event(&value, "event")?),
            Method::EmitTurnEditAudit => Self::TurnEdit(event(&value, "event")?),
            Method::EmitTurnDeleteAudit => Self::TurnDelete(event(&value, "event")?),
            other => return Err(format!("this program does not know how to call {other} yet")),
        })
    }
}

/// `{"event": {…}}` or the event itself: no event has a key of that name.
fn event<T: DeserializeOwned>(value: &Value, name: &str) -> Result<Box<T>, String> {
    let Some(inner) = value.get(name) else { return typed(value, "").map(Box::new) };
    let beside = value.as_object().into_iter().flat_map(|object| object.keys()).find(|key| *key != name);
    match beside {
        Some(key) => Err(format!("unknown key `{key}` beside `{name}`")),
        None => typed(inner, name).map(Box::new),
    }
}

/// `at` is the key path of `value`.
fn typed<T: DeserializeOwned>(value: &Value, at: &str) -> Result<T, String> {
    if !value.is_object() {
        return Err(format!("{}expected an object, found {}", prefix(at), type_of(value)));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        let path = match (at, inner.as_str()) {
            (at, ".") => at.to_owned(),
            ("", inner) => inner.to_owned(),
            (at, inner) => format!("{at}.{inner}"),
        };
        let found = pointed(value, error.path()).map(type_of);
        format!("{}{}", prefix(&path), reworded(&error.into_inner().to_string(), found))
    })
}

fn prefix(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("{path}: ") }
}

/// serde says `invalid type: integer `5`, expected a string`; the values of formats say what they lack only.
fn reworded(message: &str, found: Option<&str>) -> String {
    let invalid = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    match (invalid.and_then(|text| text.rsplit_once(", expected ")), found) {
        (Some((found, expected)), _) => format!("expected {expected}, found {found}"),
        (None, Some(found)) if !message.contains(" field ") => format!("{message} (found {found})"),
        _ => message.to_owned(),
    }
}

fn pointed<'a>(value: &'a Value, path: &serde_path_to_error::Path) -> Option<&'a Value> {
    use serde_path_to_error::Segment;
    path.iter().try_fold(value, |value, segment| match segment {
        Segment::Map { key } => value.get(key),
        Segment::Seq { index } => value.get(index),
        _ => Some(value),
    })
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
