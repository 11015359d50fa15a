//! What a host says of itself: [`HostStatus`], and how it ended: [`ShutdownReport`].

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::config::ExecutionMode;
use crate::error::LoadError;
use crate::instance::{Ended, Instance};
use crate::method::Kind;
use crate::open::Origin;
use crate::slot::Slot;
use crate::verify::Digest;

/// A host and its plugins at one moment.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HostStatus {
    /// The plugins, by name.
    pub plugins: Vec<PluginStatus>,
    /// Files in the plugin directories that are not used, and why.
    pub refused_files: Vec<RefusedFile>,
}

/// One slot.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PluginStatus {
    /// The name of the slot.
    pub name: String,
    /// Whether an instance serves.
    pub serving: bool,
    /// Code and text of why none serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<(&'static str, String)>,
    /// What serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceStatus>,
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
#[derive(Debug, Clone, Serialize)]
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
        Self { name: slot.name().to_owned(), serving: instance.is_some(), reason, instance }
    }
}

impl InstanceStatus {
    fn of(instance: &Instance) -> Self {
        let descriptor = &instance.image.descriptor;
        let (file, digest) = match &instance.image.origin {
            Origin::File { path, digest } => (Some(path.clone()), Some(*digest)),
            Origin::InProcess => (None, None),
        };
        Self {
            id: descriptor.id.clone(),
            instance: instance.settings.instance.clone().unwrap_or_else(|| descriptor.id.clone()),
            version: descriptor.version.clone(),
            vendor: instance.settings.vendor.clone().unwrap_or_else(|| descriptor.vendor.clone()),
            priority: instance.settings.priority.unwrap_or(descriptor.priority),
            kinds: Kind::ALL.into_iter().filter(|kind| instance.serves(*kind)).map(Kind::name).collect(),
            file,
            digest,
            generation: instance.settings.generation,
            since: seconds(instance.since),
            mode: ExecutionMode::name(instance.settings.mode),
            isolated: instance.isolated(),
            isolations: instance.isolations.sum(),
            calls: instance.calls.sum(),
            failures: instance.failures.sum(),
            in_flight: instance.in_flight(),
            live_heap_bytes: instance.live_heap(),
            linked_tokens: instance.bridge.kept(),
            evicted_tokens: instance.bridge.evicted(),
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
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
    /// Calls that had not ended when the drain limit passed; their callers got errors.
    pub abandoned_calls: i64,
    /// What its shutdown hook failed with: what it had to flush may not be flushed.
    pub shutdown_error: Option<String>,
    /// Whether its runtime's threads ended in time; none if calls still hold it.
    pub runtime_stopped: Option<bool>,
    /// Bytes of heap that it still holds, beyond those before its start; none if that cannot be known.
    pub heap_growth_bytes: Option<i64>,
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
            abandoned_calls: ended.abandoned_calls,
            shutdown_error: ended.shutdown_error.map(|error| error.to_string()),
            runtime_stopped: ended.runtime_stopped,
            heap_growth_bytes: ended.heap_growth,
        }
    }
}
