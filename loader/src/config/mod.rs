//! `plugins.toml`: which plugins a host serves, and how.
//!
//! This is the first step of the life cycle: before a file of the plugin directory is looked at, the operator's wishes
//! are read, and refused as a whole if anything in them is wrong. Every key is checked, all problems are reported at
//! once, and no message quotes a value. A commented example with every key is `docs/plugins.example.toml`.
//!
//! Nothing here does I/O but [`PluginsConfig::load`], which reads the file, and [`ConfigTable::resolve`], which reads
//! the secrets that the file refers to, at each create of a plugin.
//!
//! Relative paths of the file are relative to its directory.
//!
//! | file | what it reads |
//! | --- | --- |
//! | `host.rs` | `[host]` |
//! | `entry.rs` | `[plugins.NAME]` |
//! | `limits.rs` | `[plugins.NAME.limits]` |
//! | `probation.rs` | `[plugins.NAME.probation]` |
//! | `origin.rs` | keeps the text |
//! | `delivery.rs` | `[plugins.NAME.audit]` |
//! | `table.rs`, `node.rs` | `[plugins.NAME.config]` |
//! | `secret.rs`, `resolved.rs` | the secrets that a config table refers to |
//! | `source.rs`, `section.rs`, `key_path.rs`, `names.rs` | places, typed access, key paths, names |

mod delivery;
mod entry;
mod host;
mod key_path;
mod limits;
mod names;
mod node;
mod origin;
mod probation;
mod resolved;
mod secret;
mod section;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

pub use delivery::{AuditDelivery, Delivery};
pub use entry::{ExecutionMode, PluginEntry};
pub use host::HostSection;
pub use limits::{Limits, MAX_LIMIT};
pub(crate) use names::{is_instance_name, nearest};
pub(crate) use origin::Origin;
pub use probation::Probation;
pub use resolved::ResolvedConfig;
pub use secret::{MAX_SECRET, ProcessSecrets, SecretSource};
pub use table::ConfigTable;

use self::section::Section;
use self::source::Report;
use crate::error::{ConfigError, ProblemKind};

/// The keys at the top of the file.
const KEYS: &[&str] = &["host", "plugins"];

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A whole `plugins.toml`, read and checked. `Debug` shows no value of a `config` table.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PluginsConfig {
    /// The file, as the caller named it.
    pub path: PathBuf,
    /// `[host]`.
    pub host: HostSection,
    /// The plugins, disabled ones too, in the order of the file.
    pub plugins: Vec<PluginEntry>,
    pub(crate) origin: Arc<Origin>,
}

impl PluginsConfig {
    /// Reads the file and checks it. Secrets that it refers to are not looked at yet. Blocks on the file system.
    ///
    /// # Errors
    /// [`ConfigError::Read`] when the file cannot be read, [`ConfigError::Invalid`] with everything that is wrong in it.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_path_buf(), source };
        let mut bytes = Vec::new();
        let mut file = std::fs::File::open(path).map_err(failed)?.take(MAX_FILE + 1);
        file.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(failed(std::io::Error::new(std::io::ErrorKind::FileTooLarge, "larger than 4 MiB")));
        }
        // Made absolute now: a secret is read again long after start, when the current directory may be another one.
        let absolute = std::path::absolute(path).map_err(failed)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => Self::parse_in(path, &absolute, text),
            Err(error) => Err(not_utf8(path, &bytes[..error.valid_up_to()])),
        }
    }

    /// Checks `text` as if it were the content of `path`. Does no I/O.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with everything that is wrong.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(path, path, text)
    }

    /// What was once read from the file `absolute`.
    pub(crate) fn restore(absolute: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_in(absolute, absolute, text)
    }

    fn parse_in(path: &Path, absolute: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut report = Report::new(path, text);
        let base = directory(absolute);
        let (mut host, mut plugins) = (HostSection::default(), Vec::new());
        if let Some(document) = report.toml() {
            let top = Section::new(document.get_ref(), 0, String::new(), KEYS);
            top.refuse_unknown(&mut report);
            if let Some(section) = top.section(&mut report, "host", host::KEYS) {
                host = HostSection::read(&mut report, base, &section);
            }
            if let Some(value) = top.value("plugins")
                && let Some(table) = section::as_table(&mut report, value, "plugins")
            {
                plugins = read_plugins(&mut report, base, table);
            }
        }
        report.finish()?;
        let origin = Arc::new(Origin::new(absolute, text));
        for entry in &mut plugins {
            entry.origin = Some(Arc::clone(&origin));
        }
        Ok(Self { path: path.to_path_buf(), host, plugins, origin })
    }

    /// The files that hold the secrets of all plugins, sorted, each once; for whoever watches them.
    ///
    /// Credentials are among them when this process has `$CREDENTIALS_DIRECTORY`.
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            self.plugins.iter().flat_map(|plugin| plugin.config.secret_files(&ProcessSecrets)).collect();
        files.sort();
        files.dedup();
        files
    }
}

fn read_plugins(report: &mut Report<'_>, base: &Path, table: &DeTable<'_>) -> Vec<PluginEntry> {
    let mut plugins = Vec::new();
    let mut instances: HashMap<String, (String, u32)> = HashMap::new();
    for (name, value) in section::in_file_order(table) {
        let Some(entry) = PluginEntry::read(report, base, name, value) else {
            continue;
        };
        if let (true, Some(instance)) = (entry.enabled, &entry.instance) {
            let path = key_path::join("plugins", &entry.name);
            let at = place_of(value, "instance");
            let line = report.pos(at).0;
            if let Some((other, other_line)) = instances.get(instance) {
                let message = format!("expected an instance of its own, found that of {other} (line {other_line})");
                report.add(ProblemKind::Duplicate, at, &key_path::join(&path, "instance"), message);
            } else {
                instances.insert(instance.clone(), (path, line));
            }
        }
        plugins.push(entry);
    }
    plugins
}

/// Where the value of `key` in the table `value` stands.
fn place_of(value: &Spanned<toml::de::DeValue<'_>>, key: &str) -> usize {
    let inner = value.get_ref().as_table().and_then(|table| table.get(key));
    inner.map_or(value.span().start, |inner| inner.span().start)
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn not_utf8(path: &Path, valid: &[u8]) -> ConfigError {
    let text = std::str::from_utf8(valid).unwrap_or_default();
    let mut report = Report::new(path, text);
    report.add(ProblemKind::Syntax, text.len(), "", "not UTF-8 from here on; expected a text file".to_owned());
    match report.finish() {
        Err(error) => error,
        Ok(()) => unreachable!("a problem was added"),
    }
}
