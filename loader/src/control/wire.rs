//! Requests and answers as text.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::PROTOCOL;
use crate::error::ClientError;

/// What a host can be asked; see the [table](super).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// How it stands.
    Status,
    /// Serve this file.
    Swap {
        /// The file: an absolute path, as the host sees it.
        path: PathBuf,
    },
    /// Create a plugin anew.
    Reload {
        /// Its name.
        name: String,
    },
    /// Serve what served before.
    Rollback {
        /// The plugin's name.
        name: String,
    },
    /// Let the plugin directories decide again.
    Unpin {
        /// The plugin's name.
        name: String,
    },
    /// Try again what is in quarantine.
    Unquarantine {
        /// The plugin's name.
        name: String,
    },
    /// Look at directories, configuration and secrets now.
    Rescan,
    /// Tell everything that happens.
    Events,
}

/// All commands, as they are written.
const COMMANDS: [&str; 8] = ["status", "swap", "reload", "rollback", "unpin", "unquarantine", "rescan", "events"];

/// Why a line is no request: kind and text.
pub(super) type Bad = (&'static str, String);

impl Request {
    /// The word for it.
    #[must_use]
    pub const fn command(&self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Swap { .. } => "swap",
            Self::Reload { .. } => "reload",
            Self::Rollback { .. } => "rollback",
            Self::Unpin { .. } => "unpin",
            Self::Unquarantine { .. } => "unquarantine",
            Self::Rescan => "rescan",
            Self::Events => "events",
        }
    }

    /// What it is about, for the log: a path or a name.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Swap { path } => path.display().to_string(),
            Self::Reload { name } | Self::Rollback { name } | Self::Unpin { name } | Self::Unquarantine { name } => {
                name.clone()
            }
            Self::Status | Self::Rescan | Self::Events => String::new(),
        }
    }

    /// Whether it changes anything.
    pub(super) const fn is_an_order(&self) -> bool {
        !matches!(self, Self::Status | Self::Events)
    }

    pub(super) fn parse(line: &[u8]) -> Result<Self, Bad> {
        let bad = |text: String| ("bad-request", text);
        let value: Value = serde_json::from_slice(line)
            .map_err(|error| bad(format!("expected a line with a JSON object: {error}")))?;
        let Value::Object(mut fields) = value else {
            return Err(bad(format!("expected a JSON object such as {}", json!({ "command": "status" }))));
        };
        let command = text(&mut fields, "command").map_err(bad)?;
        let mut field = |name| text(&mut fields, name).map_err(bad);
        let request = match command.as_str() {
            "status" => Self::Status,
            "swap" => Self::Swap { path: field("path")?.into() },
            "reload" => Self::Reload { name: field("name")? },
            "rollback" => Self::Rollback { name: field("name")? },
            "unpin" => Self::Unpin { name: field("name")? },
            "unquarantine" => Self::Unquarantine { name: field("name")? },
            "rescan" => Self::Rescan,
            "events" => Self::Events,
            other => {
                let all = COMMANDS.join(", ");
                return Err(("unknown-command", format!("expected a command, one of {all}; found {other:?}")));
            }
        };
        if let Some(name) = fields.keys().next() {
            return Err(bad(format!("the command {command} has no field {name:?}")));
        }
        if let Self::Swap { path } = &request
            && !path.is_absolute()
        {
            let path = path.display();
            return Err(bad(format!("path: expected an absolute path, as the host may stand elsewhere; found {path}")));
        }
        Ok(request)
    }

    /// With the end of the line.
    pub(super) fn line(&self) -> Result<String, ClientError> {
        let command = self.command();
        let request = match self {
            Self::Swap { path } => json!({ "command": command, "path": utf8(path)? }),
            Self::Reload { name } | Self::Rollback { name } | Self::Unpin { name } | Self::Unquarantine { name } => {
                json!({ "command": command, "name": name })
            }
            Self::Status | Self::Rescan | Self::Events => json!({ "command": command }),
        };
        Ok(format!("{request}\n"))
    }
}

fn utf8(path: &Path) -> Result<&str, ClientError> {
    path.to_str().ok_or_else(|| ClientError::NotExpressible { path: path.to_owned() })
}

fn text(fields: &mut Map<String, Value>, name: &str) -> Result<String, String> {
    match fields.remove(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("{name}: expected a string, found {other}")),
        None => Err(format!("expected a field {name:?}, a string; found none")),
    }
}

/// What an answer begins with.
#[derive(Serialize)]
struct Answer<T> {
    protocol: u32,
    #[serde(flatten)]
    outcome: T,
}

fn line(outcome: impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(&Answer { protocol: PROTOCOL, outcome })? + "\n")
}

/// A request was met.
pub(super) fn ok(value: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Met<'a, T> {
        ok: &'a T,
    }
    line(Met { ok: value }).unwrap_or_else(|failure| {
        error("not-expressible", &format!("the answer cannot be expressed as JSON: {failure}"))
    })
}

/// A request was not met.
pub(super) fn error(kind: &str, message: &str) -> String {
    line(json!({ "error": { "kind": kind, "message": message } })).expect("texts are JSON")
}
