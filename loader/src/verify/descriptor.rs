//! What the plugin says of itself: one JSON object in a link section, readable without executing anything.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::VerifyPolicy;
use crate::error::LoadError;
use crate::method::{Kind, Method};

/// The section that holds the descriptor.
pub const DESCRIPTOR_SECTION: &str = ".mini_chat_plugin";

/// Most bytes of the section: the SDK makes at most 4096, and what is read here is held several times over.
const MOST_BYTES: usize = 64 << 10;

/// The descriptor format that this host reads.
pub const DESCRIPTOR_FORMAT: u64 = 1;

/// A plugin's descriptor, format 1. Unknown keys are ignored: what must be understood stands in `requires`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Descriptor {
    /// [`DESCRIPTOR_FORMAT`].
    pub format: u64,
    /// What a host must know to load this plugin.
    pub requires: Vec<String>,
    /// The plugin's id, one GTS segment.
    pub id: String,
    /// The version of the author's crate.
    pub version: String,
    /// The name of the author's crate.
    pub package: String,
    /// Who made it.
    pub vendor: String,
    /// Decides between plugins of one vendor.
    pub priority: i16,
    /// The ABI it was built with.
    pub abi: AbiVersion,
    /// The version of the SDK.
    pub sdk: String,
    /// The traits it serves.
    pub kinds: Kinds,
    /// The target triple it was built for.
    pub target: String,
    /// `rustc --version`.
    pub compiler: String,
    /// `release` or `debug`.
    pub profile: String,
    /// `0` to `3`, `s` or `z`.
    pub opt_level: String,
    /// `unwind`; anything else is refused.
    pub panic: String,
    /// `host`; anything else is refused.
    pub heap: String,
    /// How far a trial load may go.
    pub preflight: Preflight,
    /// Whether its functions may be entered again from within a call.
    pub reentrant: bool,
    /// The optional hooks that the author supplied.
    pub hooks: Vec<String>,
}

/// The ABI a plugin was built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AbiVersion {
    /// The version of the ABI crate.
    pub version: String,
    /// The majors that its entry answers.
    pub majors: Vec<u32>,
}

/// The traits a plugin serves, each with the methods that the author wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Kinds {
    /// The model policy trait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_policy: Option<Vec<String>>,
    /// The audit trait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Vec<String>>,
}

/// How far a trial load of the plugin may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Preflight {
    /// Map it, check layout and configuration.
    Open,
    /// Also create an instance and ask its health.
    Create,
}

impl Descriptor {
    /// Reads the descriptor of a plugin that is linked into this program.
    pub(crate) fn of_linked(json: &str) -> Result<Self, LoadError> {
        parse(std::path::Path::new("a plugin linked into this program"), json.as_bytes(), &VerifyPolicy::default())
    }

    /// Whether the author supplied this hook.
    pub(crate) fn has_hook(&self, hook: &str) -> bool {
        self.hooks.iter().any(|own| own == hook)
    }

    /// Whether two instances of it cannot be alive at once: it must be quiesced before its successor is created.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.has_hook("quiesce")
    }

    /// Whether it serves a kind.
    pub fn serves(&self, kind: Kind) -> bool {
        self.methods(kind).is_some()
    }

    /// The kinds that it serves.
    pub fn served(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| self.serves(*kind)).collect()
    }

    /// The methods of a kind that it answers itself; none if it does not serve the kind.
    pub fn methods(&self, kind: Kind) -> Option<&[String]> {
        match kind {
            Kind::ModelPolicy => self.kinds.model_policy.as_deref(),
            Kind::Audit => self.kinds.audit.as_deref(),
        }
    }

    /// Methods of the kinds it serves that it lacks: the host answers them with the trait's default body.
    pub fn answered_by_default(&self) -> Vec<Method> {
        let lacks = |method: &Method| {
            self.methods(method.kind()).is_some_and(|own| !own.iter().any(|name| name == method.name()))
        };
        Method::ALL.into_iter().filter(lacks).collect()
    }
}

/// Parses the section's content. `Err` refuses the file as a whole; a descriptor that was parsed is still to be judged
/// with [`judge`].
pub(super) fn parse(path: &std::path::Path, content: &[u8], policy: &VerifyPolicy) -> Result<Descriptor, LoadError> {
    let invalid = |reason: String| LoadError::DescriptorInvalid { path: path.into(), reason };
    if content.len() > MOST_BYTES {
        return Err(invalid(format!("{} bytes, the limit is {MOST_BYTES}", content.len())));
    }
    let end = content.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    let value: Value = serde_json::from_slice(&content[..end]).map_err(|e| invalid(format!("not JSON: {e}")))?;
    let object = value.as_object().ok_or_else(|| invalid("not a JSON object".into()))?;

    // These two first: in another format, or with unknown requirements, nothing else has a known meaning.
    match object.get("format") {
        None => return Err(invalid("missing field `format`".into())),
        Some(format) => match format.as_u64() {
            Some(DESCRIPTOR_FORMAT) => {}
            Some(found) => {
                return Err(LoadError::DescriptorFormat { path: path.into(), found, known: DESCRIPTOR_FORMAT });
            }
            None => return Err(invalid("format: expected a positive integer".into())),
        },
    }
    let requires: Vec<String> = match object.get("requires") {
        None => return Err(invalid("missing field `requires`".into())),
        Some(list) => Vec::deserialize(list).map_err(|_| invalid("requires: expected a list of strings".into()))?,
    };
    let unknown: Vec<_> = requires.into_iter().filter(|r| !policy.known_requires.contains(r)).collect();
    if !unknown.is_empty() {
        let known = policy.known_requires.clone();
        return Err(LoadError::UnknownRequires { path: path.into(), unknown, known });
    }
    let descriptor: Descriptor = serde_path_to_error::deserialize(&value).map_err(|e| match e.path().to_string() {
        root if root == "." => invalid(e.inner().to_string()),
        key => invalid(format!("{key}: {}", e.inner())),
    })?;
    if descriptor.kinds == Kinds::default() {
        return Err(invalid("kinds: expected model_policy, audit or both, found neither".into()));
    }
    if descriptor.id.is_empty() {
        return Err(invalid("id: expected a GTS segment, found nothing".into()));
    }
    Ok(descriptor)
}

/// Whether a host with this policy can serve it. All reasons against it.
pub(super) fn judge(path: &std::path::Path, descriptor: &Descriptor, policy: &VerifyPolicy) -> Vec<LoadError> {
    let path = || path.to_path_buf();
    let mut refusals = Vec::new();
    if descriptor.target != policy.target {
        let (found, expected) = (descriptor.target.clone(), policy.target.clone());
        refusals.push(LoadError::TargetMismatch { path: path(), found, expected });
    }
    if !descriptor.abi.majors.iter().any(|major| policy.abi_majors.contains(major)) {
        let (file, host) = (descriptor.abi.majors.clone(), policy.abi_majors.clone());
        refusals.push(LoadError::AbiMajor { path: path(), file, host });
    }
    if descriptor.panic != "unwind" {
        refusals.push(LoadError::PanicAbort { path: path(), found: descriptor.panic.clone() });
    }
    if descriptor.heap != "host" {
        refusals.push(LoadError::ForeignHeap { path: path(), found: descriptor.heap.clone() });
    }
    refusals
}
