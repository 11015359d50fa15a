//! [`Record`]: what is kept, as it stands in `state.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Origin;
use crate::verify::Digest;

/// The format of the file. A host that finds another one begins anew, and leaves the file under another name.
pub(super) const FORMAT: u32 = 1;

/// Everything that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) format: u32,
    /// The last `plugins.toml` that was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<ConfigRef>,
    /// By the name of the slot.
    #[serde(default)]
    pub(crate) plugins: BTreeMap<String, Kept>,
}

impl Default for Record {
    fn default() -> Self {
        Self { format: FORMAT, config: None, plugins: BTreeMap::new() }
    }
}

/// A text in the folder `configs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConfigRef {
    /// The file that it was, absolute.
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
}

impl ConfigRef {
    /// None if its path cannot be written as text.
    pub(crate) fn of(origin: &Origin) -> Option<Self> {
        origin.path().to_str()?;
        Some(Self { path: origin.path().to_owned(), digest: origin.digest() })
    }
}

/// What is kept of one plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What served last and was found good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) good: Option<Good>,
    /// The marker: this build has not been found good, and the host has not ended in order since it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trial: Option<Tried>,
    /// Builds that served and were taken back. What was refused before it served is judged anew by each host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) quarantine: Vec<Barred>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pin: Option<Pin>,
}

impl Kept {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A build, as it is known by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tried {
    /// Of its file.
    pub(crate) digest: Digest,
    /// Of its settings, secrets filled in.
    pub(crate) settings: Digest,
    /// For people.
    pub(crate) version: String,
    /// For people: where it was found.
    pub(crate) file: String,
}

impl Tried {
    /// The same code with the same settings, wherever it stands.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (self.digest, self.settings) == (other.digest, other.settings)
    }
}

/// The last good build. Its image is in the folder `images`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Good {
    #[serde(flatten)]
    pub(crate) build: Tried,
    /// Where its entry is; none if it has one from code, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config: Option<ConfigRef>,
    /// Names of the kinds that it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kinds: Vec<String>,
}

/// A build that is not tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Barred {
    pub(crate) digest: Digest,
    /// Only with these settings; none: with whatever settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Digest>,
    pub(crate) version: String,
    pub(crate) file: String,
    pub(crate) kind: String,
    pub(crate) message: String,
}

/// The good build was asked for by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    pub(crate) digest: Digest,
    /// What the directories had then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instead_of: Option<Digest>,
}
