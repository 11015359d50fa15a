//! `[plugins.NAME]`: one plugin instance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use semver::Version;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::delivery::{self, AuditDelivery};
use super::limits::{self, Limits};
use super::origin::Origin;
use super::probation::{self, Probation};
use super::section::{self, Section};
use super::source::Report;
use super::table::ConfigTable;
use super::{key_path, names};
use crate::error::{ConfigError, ProblemKind};

/// The keys of `[plugins.NAME]`.
pub(crate) const KEYS: &[&str] = &[
    "library",
    "version",
    "enabled",
    "required",
    "vendor",
    "priority",
    "instance",
    "mode",
    "workers",
    "data_dir",
    "limits",
    "probation",
    "may_drop_kinds",
    "audit",
    "config",
];

/// Where the calls of a plugin run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExecutionMode {
    /// On the caller's thread.
    Inline,
    /// On the plugin's own runtime.
    Isolated,
    /// On the caller's thread while the plugin does not block it, else on the plugin's own runtime.
    #[default]
    Adaptive,
}

impl ExecutionMode {
    const NAMES: [(&'static str, Self); 3] =
        [("inline", Self::Inline), ("isolated", Self::Isolated), ("adaptive", Self::Adaptive)];

    /// The word for it in `plugins.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Isolated => "isolated",
            Self::Adaptive => "adaptive",
        }
    }

    /// The mode with this exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, mode)| mode)
    }
}

/// One `[plugins.NAME]`, read and checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginEntry {
    /// The instance name, which keys the slot.
    pub name: String,
    /// Id of the plugin to load; by default the instance name.
    pub library: String,
    /// The version that serves, exactly: of several files with the plugin's id the one with this version, and no other.
    /// `None`: the highest.
    pub version: Option<Version>,
    /// Whether it is to be loaded at all.
    pub enabled: bool,
    /// Whether the host may start without it.
    pub required: bool,
    /// Replaces the vendor of the plugin's descriptor.
    pub vendor: Option<String>,
    /// Replaces the priority of the plugin's descriptor.
    pub priority: Option<i16>,
    /// GTS segment under which the instance is registered. `None`: the plugin's id, which can serve for one instance of
    /// the library only; when it serves under several names, give this to all of them but one.
    pub instance: Option<String>,
    /// Where its calls run.
    pub mode: ExecutionMode,
    /// Worker threads of its runtime, 1 to 64. `None`: as many as cores, at most 4.
    pub workers: Option<u16>,
    /// Its data directory, made absolute like every path of the file. `None`: one of its name in the
    /// host's.
    pub data_dir: Option<PathBuf>,
    /// Its limits.
    pub limits: Limits,
    /// How a new build of it is watched after a swap.
    pub probation: Probation,
    /// Whether a swap may end a kind: without, a build that does not serve every kind of what it is to replace is refused.
    /// A rollback may in any case.
    pub may_drop_kinds: bool,
    /// How the audit fan-out delivers to it. With a section of its own, even an empty one, it is delivered to as soon as
    /// it is wanted; without, as soon as it has served audit for the first time.
    pub audit: Option<AuditDelivery>,
    /// Its own configuration.
    pub config: ConfigTable,
    /// The file that it stands in; none if it is from code.
    pub(crate) origin: Option<Arc<Origin>>,
}

impl PluginEntry {
    /// An entry with default settings, for hosts that are configured in code.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            library: name.clone(),
            version: None,
            enabled: true,
            required: true,
            vendor: None,
            priority: None,
            instance: None,
            mode: ExecutionMode::default(),
            workers: None,
            data_dir: None,
            limits: Limits::default(),
            probation: Probation::default(),
            may_drop_kinds: false,
            audit: None,
            config: ConfigTable::empty().for_plugin(&name),
            origin: None,
            name,
        }
    }

    /// The same with a configuration: an object of the keys of `[plugins.NAME.config]`.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when it is not an object, or refers to a secret in a wrong way.
    pub fn with_config(mut self, config: serde_json::Value) -> Result<Self, ConfigError> {
        self.config = ConfigTable::from_json(config)?.for_plugin(&self.name);
        Ok(self)
    }

    /// Reads the value of `plugins.NAME`; `None` after a problem that leaves no entry.
    pub(crate) fn read(
        report: &mut Report<'_>,
        base: &Path,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Self> {
        let path = key_path::join("plugins", name.get_ref());
        let valid_name = names::is_instance_name(name.get_ref());
        if !valid_name {
            let message = format!(
                "expected a name of 1 to {} characters from A-Z a-z 0-9 . _ -, found another name",
                names::MAX_NAME
            );
            report.add(ProblemKind::BadValue, name.span().start, &path, message);
        }
        let table = section::as_table(report, value, &path)?;
        let section = Section::new(table, value.span().start, path, KEYS);
        let name: &str = name.get_ref();
        let dotted = refuse_unknown(report, &section, name);
        let library = match section.string(report, "library", names::GTS_SEGMENT, names::is_gts_segment) {
            None if !section.has("library") && !names::is_gts_segment(name) => {
                if valid_name && !dotted {
                    let message = format!(
                        "`library` is missing; it is needed because {name} is no plugin id ({})",
                        names::GTS_SEGMENT
                    );
                    report.add(ProblemKind::Missing, section.at, &section.path, message);
                }
                String::new()
            }
            library => library.unwrap_or(name).to_owned(),
        };
        let limits = match section.section(report, "limits", limits::KEYS) {
            Some(limits) => Limits::read(report, &limits),
            None => Limits::default(),
        };
        let probation = match section.section(report, "probation", probation::KEYS) {
            Some(probation) => Probation::read(report, &probation),
            None => Probation::default(),
        };
        let audit = section.section(report, "audit", delivery::KEYS).map(|audit| AuditDelivery::read(report, &audit));
        let text = |text: &str| text.to_owned();
        Some(Self {
            name: name.to_owned(),
            library,
            version: section
                .string(report, "version", "semantic version such as \"1.2.3\"", |text| Version::parse(text).is_ok())
                .and_then(|text| Version::parse(text).ok()),
            enabled: section.boolean(report, "enabled").unwrap_or(true),
            required: section.boolean(report, "required").unwrap_or(true),
            vendor: section.string(report, "vendor", "non-empty string", |vendor| !vendor.is_empty()).map(text),
            priority: section.number(report, "priority", i16::MIN, i16::MAX),
            instance: section.string(report, "instance", names::GTS_SEGMENT, names::is_gts_segment).map(text),
            mode: section.word(report, "mode", &ExecutionMode::NAMES).unwrap_or_default(),
            workers: section.number(report, "workers", 1_u16, 64),
            data_dir: section.path(report, "data_dir", base),
            limits,
            probation,
            may_drop_kinds: section.boolean(report, "may_drop_kinds").unwrap_or(false),
            audit,
            config: read_config(report, base, &section),
            origin: None,
        })
    }
}

fn read_config(report: &mut Report<'_>, base: &Path, section: &Section<'_>) -> ConfigTable {
    let key = section.key("config");
    let value = section.value("config");
    let table = value.and_then(|value| section::as_table(report, value, &key));
    let at = value.map_or(section.at, |value| value.span().start);
    ConfigTable::read(report, base, key, at, table)
}

/// Like [`Section::refuse_unknown`], and tells who wrote `[plugins.acme.policy._.static.v1]` to quote the name. Returns
/// whether that was so.
fn refuse_unknown(report: &mut Report<'_>, section: &Section<'_>, name: &str) -> bool {
    let mut dotted = false;
    for (key, value) in section.unknown() {
        let mut found = Vec::new();
        if let DeValue::Table(table) = value.get_ref() {
            find_ids(table, format!("{name}.{}", key.get_ref()), value.span().start, &mut found);
        }
        for (id, at) in &found {
            let message = format!("a name with dots must be quoted: [plugins.\"{id}\"]");
            report.add(ProblemKind::UnknownKey, *at, &section.key(key.get_ref()), message);
        }
        if found.is_empty() {
            section.refuse(report, key.get_ref(), key.span().start);
        }
        dotted |= !found.is_empty();
    }
    dotted
}

/// The plugin ids that the keys of nested tables make up, with the places of their tables.
fn find_ids(table: &DeTable<'_>, path: String, at: usize, found: &mut Vec<(String, usize)>) {
    // The longest id has six tokens.
    if path.split('.').count() > 6 {
        return;
    }
    let before = found.len();
    for (key, value) in section::in_file_order(table) {
        if let DeValue::Table(table) = value.get_ref() {
            find_ids(table, format!("{path}.{}", key.get_ref()), value.span().start, found);
        }
    }
    // A longer id, with a minor version, is the one meant.
    if found.len() == before && names::is_gts_segment(&path) {
        found.push((path, at));
    }
}
