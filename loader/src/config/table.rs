//! `[plugins.NAME.config]`: the plugin's own table, which only the plugin understands.
//!
//! It is parsed once and resolved at each create. What the plugin says about it afterwards ("expected integer at
//! `tiers[2].limit`") is given its place in the file here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::key_path;
use super::node::{Filled, FromJson, FromToml, Node, NodeValue, Secret, Table};
use super::resolved::ResolvedConfig;
use super::secret::SecretSource;
use super::source::{Pos, Report};
use crate::error::{ConfigError, ConfigProblem, ProblemKind};

/// A plugin's `config` table. Cheap to clone; `Debug` shows no value.
#[derive(Clone)]
pub struct ConfigTable {
    content: Arc<Content>,
    prefix: String,
}

struct Content {
    file: Option<PathBuf>,
    /// The header of the table, or of the plugin's entry when it has none.
    at: Option<Pos>,
    root: NodeValue,
    secrets: Vec<Secret>,
}

impl ConfigTable {
    /// A table without a key, for a plugin that was configured in code.
    pub fn empty() -> Self {
        Self::new("config".to_owned(), None, None, Table::new(), Vec::new())
    }

    /// A table from code. One-key objects `file`, `env` and `credential` are secret references here too; a relative
    /// path of one is relative to the current directory.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] when `value` is not an object (`null` counts as an empty one), or a reference in it has
    /// an impossible name.
    pub fn from_json(value: serde_json::Value) -> Result<Self, ConfigError> {
        let found = match value {
            serde_json::Value::Object(map) => {
                let mut reader =
                    FromJson { base: Path::new(""), prefix: "config", secrets: Vec::new(), problems: Vec::new() };
                let table = reader.table(map, "");
                let FromJson { secrets, problems, .. } = reader;
                return match problems.is_empty() {
                    true => Ok(Self::new("config".to_owned(), None, None, table, secrets)),
                    false => Err(ConfigError::Invalid { problems }),
                };
            }
            serde_json::Value::Null => return Ok(Self::empty()),
            serde_json::Value::Bool(_) => "boolean",
            serde_json::Value::Number(_) => "number",
            serde_json::Value::String(_) => "string",
            serde_json::Value::Array(_) => "array",
        };
        let message = format!("expected object, found {found}");
        let problem = ConfigProblem::new(ProblemKind::WrongType, None, None, "config", message);
        Err(ConfigError::Invalid { problems: vec![problem] })
    }

    /// The same table with the key paths of the plugin `name`, for tables that came from code.
    pub fn for_plugin(self, name: &str) -> Self {
        Self { prefix: format!("{}.config", key_path::join("plugins", name)), ..self }
    }

    pub(crate) fn read(
        report: &mut Report<'_>,
        base: &Path,
        prefix: String,
        at: usize,
        table: Option<&toml::de::DeTable<'_>>,
    ) -> Self {
        let position = Some(report.pos(at));
        let file = Some(report.file.to_path_buf());
        let mut reader = FromToml { report, prefix: &prefix, base, secrets: Vec::new() };
        let root = table.map(|table| reader.table(table, "")).unwrap_or_default();
        let secrets = reader.secrets;
        Self::new(prefix, file, position, root, secrets)
    }

    fn new(prefix: String, file: Option<PathBuf>, at: Option<Pos>, root: Table, secrets: Vec<Secret>) -> Self {
        let root = NodeValue::Table(root);
        Self { content: Arc::new(Content { file, at, root, secrets }), prefix }
    }

    /// Reads every secret that the table refers to and fills it in. Blocks on the file system.
    ///
    /// # Errors
    /// [`ConfigError::Secrets`] with one problem for each secret that is missing or not text.
    pub fn resolve(&self, source: &dyn SecretSource) -> Result<ResolvedConfig, ConfigError> {
        let mut secrets = Vec::with_capacity(self.content.secrets.len());
        let mut problems = Vec::new();
        for secret in &self.content.secrets {
            match secret.reference.resolve(source) {
                Ok(text) => secrets.push(text),
                Err(missing) => {
                    let key = format!("{}.{}", self.prefix, secret.key);
                    problems.push(ConfigProblem::new(ProblemKind::Secret, self.file(), secret.at, &key, missing));
                }
            }
        }
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.position);
            return Err(ConfigError::Secrets { problems });
        }
        let NodeValue::Table(table) = &self.content.root else { unreachable!("the root is made as a table") };
        Ok(ResolvedConfig::new(&Filled { table, secrets: &secrets }))
    }

    /// The files that hold the table's secrets, sorted. Credentials count when `source` knows their directory.
    pub fn secret_files(&self, source: &dyn SecretSource) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            self.content.secrets.iter().filter_map(|secret| secret.reference.file(source)).collect();
        files.sort();
        files.dedup();
        files
    }

    /// Line and column of what `key_path` names, or of its nearest ancestor that exists.
    ///
    /// The path is relative to this table: `tiers.standard`, `list[2].x`; keys may be quoted. `None` for a table that
    /// came from code.
    pub fn locate(&self, key_path: &str) -> Option<(u32, u32)> {
        let (mut value, mut at, mut rest) = (&self.content.root, self.content.at, key_path);
        while let Some((node, next)) = step(value, rest) {
            (value, at, rest) = (&node.value, node.at, next);
        }
        at
    }

    /// The key path of this table: `plugins.NAME.config`, or `config` for one that came from code.
    pub fn key_path_prefix(&self) -> &str {
        &self.prefix
    }

    /// The file that the table stands in.
    pub fn file(&self) -> Option<&Path> {
        self.content.file.as_deref()
    }

    /// What the plugin found wrong in its table, in the form of every other problem.
    ///
    /// `path` is relative to the table (`""` or `"."` is the table itself); `expected` and `found` are types or
    /// descriptions. It is the plugin's part that they hold no value; what could break up a message is escaped here.
    pub fn plugin_error(&self, path: &str, expected: &str, found: &str, nearest: Option<&str>) -> ConfigProblem {
        let path = path.strip_prefix('.').unwrap_or(path);
        let hint = nearest.map(|nearest| format!(", did you mean `{}`?", one_line(nearest))).unwrap_or_default();
        self.plugin_problem(path, format!("expected {}, found {}{hint}", one_line(expected), one_line(found)))
    }

    /// The same with a message that is made already.
    pub(crate) fn plugin_problem(&self, path: &str, message: String) -> ConfigProblem {
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        let key = format!("{}{dot}{}", self.prefix, one_line(path));
        ConfigProblem::new(ProblemKind::Plugin, self.file(), self.locate(path), &key, message)
    }
}

impl Default for ConfigTable {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for ConfigTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigTable({}, ..)", self.prefix)
    }
}

/// The child that `path` starts with, and the path from there.
fn step<'n, 'p>(value: &'n NodeValue, path: &'p str) -> Option<(&'n Node, &'p str)> {
    let path = path.strip_prefix('.').unwrap_or(path);
    match value {
        _ if path.is_empty() => None,
        NodeValue::Array(array) => {
            let (index, rest) = key_path::strip_index(path)?;
            Some((array.get(index)?, rest))
        }
        // A key may have dots itself, and a plugin's path may not quote it: the longest key that fits is meant.
        NodeValue::Table(table) => table
            .iter()
            .filter_map(|(key, node)| Some((node, key_path::strip_key(path, key)?)))
            .min_by_key(|(_, rest)| rest.len()),
        _ => None,
    }
}

/// The plugin's words, on one line and of bounded length.
fn one_line(text: &str) -> String {
    const SHOWN: usize = 300;
    let shown = text.chars().take(SHOWN).flat_map(|c| {
        let escape = c.is_control().then(|| c.escape_default());
        let plain = escape.is_none().then_some(c);
        escape.into_iter().flatten().chain(plain)
    });
    shown.collect()
}
