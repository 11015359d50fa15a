//! What a host says of itself: [`HostStatus`], and how it ended: [`ShutdownReport`].

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use serde::Serialize;

use crate::budget::Headroom;
use crate::client::SlotClient;
use crate::config::{AuditDelivery, ExecutionMode};
use crate::error::LoadError;
use crate::events::Phases;
use crate::instance::{Ended, Instance};
use crate::method::Kind;
use crate::open::Origin;
use crate::slot::Slot;
use crate::verify::Digest;

/// A host and its plugins at one moment.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HostStatus {
    /// The host itself.
    pub host: HostFacts,
    /// The plugins, by name.
    pub plugins: Vec<PluginStatus>,
    /// Files in the plugin directories that are not used, and why.
    pub refused_files: Vec<RefusedFile>,
    /// What is left for libraries in this process.
    pub images: Headroom,
    /// Why `plugins.toml` as it is now is not what is in force; none if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_refused: Option<String>,
    /// What a restart would know.
    pub state: StateStatus,
}

/// What a restart of the host would know of its life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StateStatus {
    /// The state directory; none if there is none.
    pub dir: Option<PathBuf>,
    /// Why there is none, or why it could not be written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A host as a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HostFacts {
    /// The name that it gives itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Seconds since the Unix epoch when it was built.
    pub since: u64,
    /// Whether every required plugin serves.
    pub ready: bool,
}

/// One slot.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PluginStatus {
    /// The name of the slot.
    pub name: String,
    /// The id of the plugin that is to serve in it; none if nobody has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<String>,
    /// Whether the host is not ready without it.
    pub required: bool,
    /// Whether an instance serves.
    pub serving: bool,
    /// Code and text of why none serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<(&'static str, String)>,
    /// What serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceStatus>,
    /// What is being done about what serves.
    pub swap: SwapStatus,
}

/// What is being done about what serves in a slot.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct SwapStatus {
    /// The state, in the words of the table in `ARCHITECTURE.md`.
    pub state: &'static str,
    /// The build that is to serve next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<BuildStatus>,
    /// What would serve after a rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_to: Option<BuildStatus>,
    /// Builds that have replaced another one so far.
    pub swaps: u64,
    /// Builds that were taken back so far, by themselves or by hand.
    pub rollbacks: u64,
    /// How often a build was not accepted so far.
    pub refusals: u64,
    /// Whether the file of what serves has vanished.
    pub orphaned: bool,
    /// Why the last good build, out of the state directory, serves and not what the plugin directories have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_good: Option<String>,
    /// The build that somebody asked for, by a swap or a rollback: it serves until the plugin directories have something
    /// that they did not have then, or until [`PluginHost::unpin`](crate::PluginHost::unpin).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pinned: Option<BuildStatus>,
    /// Builds that are not tried again until their content or their configuration changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quarantine: Vec<Quarantined>,
    /// A build that is to be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Generations with calls that did not end within the drain limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zombies: Vec<Zombie>,
    /// How the last generations ended, the latest last: the eight latest are kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<EndedPlugin>,
}

/// A swap that somebody asked for has happened.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Swapped {
    /// The name of the slot.
    pub plugin: String,
    /// The generation that serves now.
    pub generation: u64,
    /// It served before.
    pub already: bool,
    /// How long the steps took.
    pub phases: Phases,
}

/// A pin was taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unpinned {
    /// The build that was pinned; none if none was.
    pub was: Option<BuildStatus>,
    /// The builds that were rolled back by hand, which may be tried again now.
    pub lifted: Vec<Quarantined>,
}

/// Whether a host has what it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether every required plugin serves.
    pub ready: bool,
    /// The required plugins that do not, and why.
    pub missing: Vec<(String, String)>,
}

/// What serves at one moment, for whoever needs to know which plugins there are: see
/// [`PluginHost::watch`](crate::PluginHost::watch).
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HostSnapshot {
    /// The plugins, by name.
    pub plugins: Vec<PluginSnapshot>,
}

/// One slot in a [`HostSnapshot`].
#[derive(Clone)]
#[non_exhaustive]
pub struct PluginSnapshot {
    /// The name of the slot.
    pub name: String,
    /// The GTS segment under which it is known; none while nothing serves.
    pub instance: Option<String>,
    /// Its vendor; none while nothing serves.
    pub vendor: Option<String>,
    /// Its priority; none while nothing serves.
    pub priority: Option<i16>,
    /// The generation that serves.
    pub generation: Option<u64>,
    /// The state, in the words of the table in `ARCHITECTURE.md`.
    pub state: &'static str,
    /// Whether it is to serve: not disabled.
    pub wanted: bool,
    /// `required` of its entry.
    pub required: bool,
    /// `[plugins.NAME.audit]` of its entry, if there is one.
    pub delivery: Option<AuditDelivery>,
    /// A handle, if what serves serves this trait. It stays valid whatever happens to the plugin.
    pub model_policy: Option<Arc<dyn MiniChatModelPolicyPluginClientV1>>,
    /// Likewise.
    pub audit: Option<Arc<dyn MiniChatAuditPluginClientV1>>,
}

impl PluginSnapshot {
    pub(crate) fn of(slot: &Arc<Slot>) -> Self {
        let current = slot.current();
        let serves = |kind| current.as_ref().is_some_and(|instance| instance.serves(kind));
        let wishes = slot.wishes();
        let client = |kind| serves(kind).then(|| Arc::new(SlotClient::new(Arc::clone(slot))));
        Self {
            name: slot.name().to_owned(),
            instance: current.as_ref().map(|instance| instance.gts_segment().to_owned()),
            vendor: current.as_ref().map(|instance| instance.vendor().to_owned()),
            priority: current.as_ref().map(|instance| instance.priority()),
            generation: current.as_ref().map(|instance| instance.settings.generation),
            state: slot.swap_status().state,
            wanted: wishes.wanted,
            required: wishes.required,
            delivery: wishes.audit,
            model_policy: client(Kind::ModelPolicy).map(|client| client as _),
            audit: client(Kind::Audit).map(|client| client as _),
        }
    }

    fn facts(&self) -> impl PartialEq + std::fmt::Debug {
        let Self { name, instance, vendor, priority, generation, state, wanted, required, delivery, .. } = self;
        let kinds = (self.model_policy.is_some(), self.audit.is_some());
        let wishes = (*wanted, *required, delivery.clone());
        (name.clone(), instance.clone(), vendor.clone(), *priority, *generation, *state, wishes, kinds)
    }
}

impl PartialEq for PluginSnapshot {
    fn eq(&self, other: &Self) -> bool {
        self.facts() == other.facts()
    }
}

impl std::fmt::Debug for PluginSnapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PluginSnapshot").field(&self.facts()).finish()
    }
}

/// A build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BuildStatus {
    /// The plugin's version.
    pub version: String,
    /// Digest of its file; none if it is linked into this program.
    pub digest: Option<Digest>,
    /// The file.
    pub file: Option<PathBuf>,
}

/// A build that is not tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Quarantined {
    /// The build.
    #[serde(flatten)]
    pub build: BuildStatus,
    /// A stable code.
    pub kind: Cow<'static, str>,
    /// For people.
    pub message: String,
}

/// A build that failed, and may not fail again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Retry {
    /// How often it has failed.
    pub attempts: u32,
    /// When it is tried again: seconds since the Unix epoch.
    pub at: u64,
    /// A stable code.
    pub kind: &'static str,
    /// For people.
    pub message: String,
}

/// A generation that should have ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Zombie {
    /// Its number in its slot.
    pub generation: u64,
    /// Calls that have not ended.
    pub in_flight: i64,
}

/// One serving instance.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct InstanceStatus {
    /// The plugin's id.
    pub id: String,
    /// The GTS segment under which this instance is known: `instance` of `plugins.toml`, else the plugin's id.
    pub instance: String,
    /// The plugin's version.
    pub version: String,
    /// Vendor, as configured or as the plugin says.
    pub vendor: String,
    /// Priority, as configured or as the plugin says; lower is preferred.
    pub priority: i16,
    /// The traits served.
    pub kinds: Vec<&'static str>,
    /// The file it comes from; none if it is linked into this program.
    pub file: Option<PathBuf>,
    /// Digest of the file.
    pub digest: Option<Digest>,
    /// Generation in its slot, from 1.
    pub generation: u64,
    /// Seconds since the Unix epoch when it began to serve.
    pub since: u64,
    /// Whether it is on probation.
    pub probation: bool,
    /// Where its calls run, as configured.
    pub mode: &'static str,
    /// Whether its calls run isolated now.
    pub isolated: bool,
    /// How often the watchdog has isolated it.
    pub isolations: i64,
    /// Calls begun so far.
    pub calls: i64,
    /// Calls that failed so far, the plugin's own errors included.
    pub failures: i64,
    /// Calls under way.
    pub in_flight: i64,
    /// Bytes of heap that it holds; none if it is linked into this program.
    pub live_heap_bytes: Option<i64>,
    /// Cancellation tokens of the host that it mirrors now.
    pub linked_tokens: usize,
    /// Mirrors dropped because there were too many.
    pub evicted_tokens: u64,
}

/// A file that is not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RefusedFile {
    /// The file, or the directory that could not be read.
    pub path: PathBuf,
    /// A stable code, see [`LoadError::kind`].
    pub kind: &'static str,
    /// For people.
    pub message: String,
}

impl RefusedFile {
    pub(crate) fn new(error: &LoadError) -> Self {
        Self { path: error.path().to_owned(), kind: error.kind(), message: error.to_string() }
    }
}

impl PluginStatus {
    pub(crate) fn of(slot: &Slot) -> Self {
        let instance = slot.current().map(|instance| InstanceStatus::of(&instance));
        let reason = instance.is_none().then(|| {
            let reason = slot.reason();
            (reason.kind, reason.text)
        });
        Self {
            name: slot.name().to_owned(),
            library: slot.library(),
            required: slot.is_required(),
            serving: instance.is_some(),
            reason,
            instance,
            swap: slot.swap_status(),
        }
    }
}

impl InstanceStatus {
    fn of(instance: &Instance) -> Self {
        let descriptor = &instance.image.descriptor;
        let (file, digest) = match &instance.image.origin {
            Origin::File { path, digest, .. } => (Some(path.clone()), *digest),
            Origin::InProcess => (None, None),
        };
        Self {
            id: descriptor.id.clone(),
            instance: instance.gts_segment().to_owned(),
            version: descriptor.version.clone(),
            vendor: instance.vendor().to_owned(),
            priority: instance.priority(),
            kinds: Kind::ALL.into_iter().filter(|kind| instance.serves(*kind)).map(Kind::name).collect(),
            file,
            digest,
            generation: instance.settings.generation,
            since: seconds(instance.since),
            probation: instance.on_trial(),
            mode: ExecutionMode::name(instance.settings.mode),
            isolated: instance.isolated(),
            isolations: instance.isolations.sum(),
            calls: instance.calls(),
            failures: instance.failures.sum(),
            in_flight: instance.in_flight(),
            live_heap_bytes: instance.live_heap(),
            linked_tokens: instance.bridge.kept(),
            evicted_tokens: instance.bridge.evicted(),
        }
    }
}

pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// How a host ended.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// The plugins that served, by name.
    pub plugins: Vec<EndedPlugin>,
}

/// How one plugin ended.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct EndedPlugin {
    /// The name of its slot.
    pub name: String,
    /// Its number in the slot.
    pub generation: u64,
    /// Calls that had not ended when the drain limit passed; their callers got errors.
    pub abandoned_calls: i64,
    /// What its shutdown hook failed with: what it had to flush may not be flushed.
    pub shutdown_error: Option<String>,
    /// Whether its runtime's threads ended in time; none if calls still hold it.
    pub runtime_stopped: Option<bool>,
    /// Bytes of heap that it still holds, beyond those before its start; none if that cannot be known.
    pub heap_growth_bytes: Option<i64>,
    /// How long its last calls were waited for, in microseconds.
    pub drain_us: u64,
    /// How long its end took after that, in microseconds: its shutdown hook, and stopping its threads.
    pub end_us: u64,
}

impl ShutdownReport {
    /// Whether every plugin ended without loss.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.plugins.iter().all(|plugin| plugin.abandoned_calls == 0 && plugin.shutdown_error.is_none())
    }
}

impl From<Ended> for EndedPlugin {
    fn from(ended: Ended) -> Self {
        Self {
            name: ended.name,
            generation: ended.generation,
            abandoned_calls: ended.abandoned_calls,
            shutdown_error: ended.shutdown_error.map(|error| error.to_string()),
            runtime_stopped: ended.runtime_stopped,
            heap_growth_bytes: ended.heap_growth,
            drain_us: ended.drain_us,
            end_us: ended.end_us,
        }
    }
}
