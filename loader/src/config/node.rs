//! The tree behind a `config` table: values with their places, and secret references instead of secrets.

use std::collections::BTreeMap;
use std::path::Path;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use super::key_path;
use super::secret::{self, SecretRef};
use super::section;
use super::source::{Pos, Report};
use crate::error::{ConfigProblem, ProblemKind};

/// A value and where it stands; `None` for a value that came from code.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) at: Option<Pos>,
    pub(crate) value: NodeValue,
}

#[derive(Clone)]
pub(crate) enum NodeValue {
    Null,
    Boolean(bool),
    Number(Number),
    String(String),
    Array(Vec<Node>),
    Table(Table),
    /// A place in the list of [`Secret`]s.
    Secret(usize),
}

/// Sorted by key, so that equal tables give equal JSON.
pub(crate) type Table = BTreeMap<String, Node>;

/// A reference, and what a message about it needs.
#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) at: Option<Pos>,
    /// Key path relative to the table.
    pub(crate) key: String,
    pub(crate) reference: SecretRef,
}

/// Turns a TOML table into a tree. References are collected in `secrets`, problems in the report.
pub(crate) struct FromToml<'r, 't> {
    pub(crate) report: &'r mut Report<'t>,
    /// Key path of the whole table.
    pub(crate) prefix: &'r str,
    pub(crate) base: &'r Path,
    pub(crate) secrets: Vec<Secret>,
}

impl FromToml<'_, '_> {
    /// The table at `key`, a path relative to the whole table. The outermost table is never a reference itself.
    pub(crate) fn table(&mut self, table: &DeTable<'_>, key: &str) -> Table {
        let entry = |(name, value): section::Pair<'_>| {
            let node = self.node(value, &key_path::join(key, name.get_ref()))?;
            Some((name.get_ref().clone().into_owned(), node))
        };
        section::in_file_order(table).into_iter().filter_map(entry).collect()
    }

    /// `None` after a problem.
    fn node(&mut self, value: &Spanned<DeValue<'_>>, key: &str) -> Option<Node> {
        let at = Some(self.report.pos(value.span().start));
        let full = |prefix: &str| format!("{prefix}.{key}");
        let value = match value.get_ref() {
            DeValue::String(text) => NodeValue::String(text.clone().into_owned()),
            DeValue::Boolean(boolean) => NodeValue::Boolean(*boolean),
            DeValue::Integer(_) => {
                let range = i64::MIN..=i64::MAX;
                NodeValue::Number(section::integer(self.report, value, &full(self.prefix), range)?.into())
            }
            DeValue::Float(float) => match float.as_str().parse().ok().and_then(Number::from_f64) {
                Some(number) => NodeValue::Number(number),
                None => {
                    let found = "a float that JSON cannot hold (infinite or not a number)";
                    return section::bad_value(self.report, value, &full(self.prefix), "finite float", found);
                }
            },
            DeValue::Datetime(datetime) => {
                let mut datetime = *datetime;
                // TOML may leave the seconds out, RFC 3339 may not.
                datetime.time = datetime.time.map(|mut time| {
                    time.second = time.second.or(Some(0));
                    time
                });
                NodeValue::String(datetime.to_string())
            }
            DeValue::Array(array) => {
                let element = |(i, element)| self.node(element, &format!("{key}[{i}]"));
                NodeValue::Array(array.iter().enumerate().filter_map(element).collect())
            }
            DeValue::Table(table) => match reference(table) {
                Some((kind, name, value)) => match SecretRef::new(kind, name, self.base) {
                    Ok(reference) => NodeValue::Secret(remember(&mut self.secrets, at, key, reference)),
                    Err(expected) => {
                        let key = key_path::join(&full(self.prefix), kind);
                        return section::bad_value(self.report, value, &key, expected, "another string");
                    }
                },
                None => NodeValue::Table(self.table(table, key)),
            },
        };
        Some(Node { at, value })
    }
}

/// A table of exactly one key that is one of the three, with a string.
fn reference<'d>(table: &'d DeTable<'d>) -> Option<(&'static str, &'d str, &'d Spanned<DeValue<'d>>)> {
    let kind = secret::KEYS.into_iter().find(|kind| table.len() == 1 && table.contains_key(*kind))?;
    let value = table.get(kind)?;
    Some((kind, value.get_ref().as_str()?, value))
}

/// Turns JSON into a tree, under the same rules.
pub(crate) struct FromJson<'r> {
    pub(crate) base: &'r Path,
    pub(crate) prefix: &'r str,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) problems: Vec<ConfigProblem>,
}

impl FromJson<'_> {
    pub(crate) fn table(&mut self, map: serde_json::Map<String, Value>, key: &str) -> Table {
        let entry = |(name, value): (String, Value)| {
            let node = self.node(value, &key_path::join(key, &name));
            (name, node)
        };
        map.into_iter().map(entry).collect()
    }

    fn node(&mut self, value: Value, key: &str) -> Node {
        let value = match value {
            Value::Null => NodeValue::Null,
            Value::Bool(boolean) => NodeValue::Boolean(boolean),
            Value::Number(number) => NodeValue::Number(number),
            Value::String(text) => NodeValue::String(text),
            Value::Array(array) => {
                let element = |(i, element)| self.node(element, &format!("{key}[{i}]"));
                NodeValue::Array(array.into_iter().enumerate().map(element).collect())
            }
            Value::Object(map) => self.object(map, key),
        };
        Node { at: None, value }
    }

    fn object(&mut self, map: serde_json::Map<String, Value>, key: &str) -> NodeValue {
        let kind = secret::KEYS.into_iter().find(|kind| map.len() == 1 && map.contains_key(*kind));
        let Some((kind, name)) = kind.and_then(|kind| Some((kind, map.get(kind)?.as_str()?))) else {
            return NodeValue::Table(self.table(map, key));
        };
        match SecretRef::new(kind, name, self.base) {
            Ok(reference) => NodeValue::Secret(remember(&mut self.secrets, None, key, reference)),
            Err(expected) => {
                let key = key_path::join(&format!("{}.{key}", self.prefix), kind);
                let message = format!("expected {expected}, found another string");
                self.problems.push(ConfigProblem::new(ProblemKind::BadValue, None, None, &key, message));
                NodeValue::Null
            }
        }
    }
}

fn remember(secrets: &mut Vec<Secret>, at: Option<Pos>, key: &str, reference: SecretRef) -> usize {
    secrets.push(Secret { at, key: key.to_owned(), reference });
    secrets.len() - 1
}

/// A table with its secrets filled in, only for the time of writing it as JSON.
pub(crate) struct Filled<'a> {
    pub(crate) table: &'a Table,
    pub(crate) secrets: &'a [Zeroizing<String>],
}

impl Serialize for Filled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.table.len()))?;
        for (key, node) in self.table {
            map.serialize_entry(key, &FilledNode { value: &node.value, secrets: self.secrets })?;
        }
        map.end()
    }
}

struct FilledNode<'a> {
    value: &'a NodeValue,
    secrets: &'a [Zeroizing<String>],
}

impl Serialize for FilledNode<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let secrets = self.secrets;
        match self.value {
            NodeValue::Null => serializer.serialize_unit(),
            NodeValue::Boolean(boolean) => serializer.serialize_bool(*boolean),
            NodeValue::Number(number) => number.serialize(serializer),
            NodeValue::String(text) => serializer.serialize_str(text),
            NodeValue::Array(array) => {
                serializer.collect_seq(array.iter().map(|node| FilledNode { value: &node.value, secrets }))
            }
            NodeValue::Table(table) => Filled { table, secrets }.serialize(serializer),
            NodeValue::Secret(index) => serializer.serialize_str(&secrets[*index]),
        }
    }
}
