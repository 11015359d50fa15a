//! What the service answers, as JSON. Keys that are not known are passed over.

use mini_chat_plugin_sdk::models::{KillSwitches, ModelCatalogEntry};
use mini_chat_plugin_sdk::time::{self, OffsetDateTime};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// Of a path in an error, at most this many characters: it may hold keys that the service made up.
const MAX_PATH: usize = 120;

/// The current version.
#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) policy_version: u64,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) generated_at: OffsetDateTime,
}

/// A snapshot.
#[derive(Debug, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) policy_version: u64,
    pub(crate) model_catalog: Vec<ModelCatalogEntry>,
    pub(crate) kill_switches: KillSwitches,
}

/// Reads an answer. The error names the place, never the text there.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let path = path.escape_debug().take(MAX_PATH).collect::<String>();
        refuse(error.inner(), &path)
    })?;
    json.end().map_err(|error| refuse(&error, "after its end"))?;
    Ok(value)
}

fn refuse(error: &serde_json::Error, path: &str) -> Failure {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "it ends too early",
        Category::Syntax => "no JSON",
        Category::Data | Category::Io => "a key is missing, or its value is not of the expected type",
    };
    Failure::NotUnderstood(format!("{path}, line {}, column {}: {what}", error.line(), error.column()))
}

/// Refuses an answer about something else than was asked for.
pub(crate) fn expect<T: PartialEq + std::fmt::Display>(key: &str, asked: &T, found: &T) -> Result<(), Failure> {
    if asked == found {
        return Ok(());
    }
    Err(Failure::NotUnderstood(format!("{key}: expected {asked}, found {found}")))
}
