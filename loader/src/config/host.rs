//! `[host]`: what concerns all plugins of a host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::section::{self, Section};
use super::source::Report;
use crate::method::Kind;
use crate::registry::{self, GtsTypes};
use crate::{budget, metrics, preflight};

/// The keys of `[host]`.
pub(crate) const KEYS: &[&str] = &[
    "image_dir",
    "data_dir",
    "allow_needed",
    "trusted_uids",
    "shutdown",
    "watch",
    "rescan",
    "preflight",
    "preflight_memory",
    "max_images",
    "gts_model_policy",
    "gts_audit",
    "metrics_prefix",
];

/// `[host]`, read and checked. `Default` gives that of an absent section.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostSection {
    /// Where private copies of plugins are mapped from. `None`: the host looks for a place itself.
    pub image_dir: Option<PathBuf>,
    /// Where plugins without a `data_dir` of their own may keep data: each in a directory of its instance's name.
    /// `None`: `$STATE_DIRECTORY` (systemd), if it is set.
    pub data_dir: Option<PathBuf>,
    /// Libraries that plugins may need besides those that every plugin may need: file names, as in `DT_NEEDED`.
    pub allow_needed: Vec<String>,
    /// Owners of plugin files that are trusted besides root and the host's own user.
    pub trusted_uids: Vec<u32>,
    /// Limit of the whole shutdown; 25 s.
    pub shutdown: Duration,
    /// Whether changed files are noticed by themselves; `true`. Otherwise the host looks when it is told to.
    pub watch: bool,
    /// How often everything is looked at although nothing seems to have changed, as not every change is heard of; 30 s.
    pub rescan: Duration,
    /// Whether plugins are tried in a process of their own before they are mapped, as far as the host can have such
    /// processes; true.
    pub preflight: bool,
    /// MiB of memory that such a process may take beyond what it has at its start; 1024.
    pub preflight_memory: u32,
    /// Libraries that may be mapped in the host's process, those of ended plugins too; 256.
    pub max_images: u32,
    /// The GTS types that plugins are known by; mini-chat's.
    pub gts_types: GtsTypes,
    /// What the names of metrics begin with; `mini_chat_plugin`.
    pub metrics_prefix: String,
}

impl Default for HostSection {
    fn default() -> Self {
        Self {
            image_dir: None,
            data_dir: None,
            allow_needed: Vec::new(),
            trusted_uids: Vec::new(),
            shutdown: Duration::from_secs(25),
            watch: true,
            rescan: Duration::from_secs(30),
            preflight: true,
            preflight_memory: u32::try_from(preflight::DEFAULT_MEMORY >> 20).unwrap_or(u32::MAX),
            max_images: budget::DEFAULT_IMAGES,
            gts_types: GtsTypes::default(),
            metrics_prefix: metrics::DEFAULT_PREFIX.to_owned(),
        }
    }
}

impl HostSection {
    pub(crate) fn read(report: &mut Report<'_>, base: &Path, section: &Section<'_>) -> Self {
        section.refuse_unknown(report);
        let default = Self::default();
        // The highest number means "nobody in particular" to the system.
        let uids = 0..=i64::from(u32::MAX) - 1;
        let soname = |name: &str| !name.is_empty() && !name.contains(['/', '\0']);
        Self {
            image_dir: section.path(report, "image_dir", base),
            data_dir: section.path(report, "data_dir", base),
            allow_needed: section
                .list(report, "allow_needed", |report, value, key| {
                    section::string(report, value, key, "file name of a library such as \"libz.so.1\"", soname)
                        .map(str::to_owned)
                })
                .unwrap_or_default(),
            trusted_uids: section
                .list(report, "trusted_uids", |report, value, key| {
                    section::integer(report, value, key, uids.clone()).and_then(|uid| u32::try_from(uid).ok())
                })
                .unwrap_or_default(),
            watch: section.boolean(report, "watch").unwrap_or(true),
            rescan: section.duration(report, "rescan").unwrap_or(default.rescan),
            shutdown: section.duration(report, "shutdown").unwrap_or(default.shutdown),
            preflight: section.boolean(report, "preflight").unwrap_or(default.preflight),
            preflight_memory: section
                .number(report, "preflight_memory", 16, 1 << 24)
                .unwrap_or(default.preflight_memory),
            max_images: section.number(report, "max_images", 1, 1 << 16).unwrap_or(default.max_images),
            gts_types: read_types(report, section, default.gts_types),
            metrics_prefix: section
                .string(report, "metrics_prefix", metrics::PREFIX_FORM, metrics::is_prefix)
                .map_or(default.metrics_prefix, str::to_owned),
        }
    }
}

fn read_types(report: &mut Report<'_>, section: &Section<'_>, mut types: GtsTypes) -> GtsTypes {
    for (kind, key) in [(Kind::ModelPolicy, "gts_model_policy"), (Kind::Audit, "gts_audit")] {
        let is_type = |id: &str| registry::check_type(id).is_ok();
        if let Some(id) = section.string(report, key, "GTS type identifier, which ends in `~`", is_type) {
            types.set(kind, id.to_owned());
        }
    }
    types
}
