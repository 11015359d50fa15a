//! [`ConfigFault`]: what is wrong with a configuration, without its values.

use std::fmt;

use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use serde::de::{self, Expected, Unexpected};

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// Keys from the root to the value, outermost last while it is built.
    path: Vec<Step>,
    expected: String,
    found: String,
    /// For an unknown key: the keys that are known.
    known: Vec<String>,
}

/// The fault as JSON. A struct, not a `serde_json::Value`: writing one of those links the printing of floats, 40 KB.
#[derive(serde::Serialize)]
struct Detail {
    path: String,
    expected: String,
    found: String,
    known: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
}

impl ConfigFault {
    pub(crate) fn broken(what: &str) -> Self {
        Self { path: Vec::new(), expected: "JSON".to_owned(), found: what.to_owned(), known: Vec::new() }
    }

    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { path: Vec::new(), expected: expected.into(), found: found.into(), known: Vec::new() }
    }

    /// The same fault, seen one level further out.
    pub(crate) fn inside(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    /// The key path, such as `tiers.standard[2].limit`; empty for the whole table.
    pub(crate) fn path(&self) -> String {
        let mut text = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Key(key) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(key);
                }
                Step::Index(index) => {
                    text.push('[');
                    text.push_str(&index.to_string());
                    text.push(']');
                }
            }
        }
        text
    }

    pub(crate) fn into_ffi(self) -> FfiError {
        let message = self.to_string();
        let detail = Detail { path: self.path(), expected: self.expected, found: self.found, known: self.known };
        let mut error = FfiError::new(FfiErrorOrigin::CONFIG, FfiErrorKind::PERMANENT, message);
        // Texts and lists of texts: cannot fail.
        error.detail = serde_json::to_string(&detail).unwrap_or_default().into();
        error
    }
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        let place = if path.is_empty() { "the configuration" } else { &path };
        write!(f, "{place}: expected {}, found {}", self.expected, self.found)
    }
}

impl std::error::Error for ConfigFault {}

/// The type of a value that serde did not expect; never the value.
fn kind(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer",
        Unexpected::Float(_) => "float",
        Unexpected::Char(_) | Unexpected::Str(_) => "string",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "array",
        Unexpected::Map | Unexpected::NewtypeStruct | Unexpected::StructVariant => "table",
        Unexpected::Enum | Unexpected::UnitVariant | Unexpected::NewtypeVariant | Unexpected::TupleVariant => {
            "enumeration"
        }
        Unexpected::Other(_) => "another type",
    }
}

fn list(known: &'static [&'static str]) -> String {
    known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl de::Error for ConfigFault {
    // A custom text may quote the value, so it is not kept.
    fn custom<M: fmt::Display>(_text: M) -> Self {
        Self::new("a value that the plugin's configuration type accepts", "one that it refuses")
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(expected.to_string(), kind(&found))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(expected.to_string(), format!("another {}", kind(&found)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::new(expected.to_string(), format!("{length} elements"))
    }

    fn unknown_variant(_found: &str, known: &'static [&'static str]) -> Self {
        Self::new(format!("one of {}", list(known)), "another name")
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Self {
        let expected = if known.is_empty() { "no key".to_owned() } else { format!("one of {}", list(known)) };
        let mut fault = Self::new(expected, "an unknown key");
        fault.known = known.iter().map(|name| (*name).to_owned()).collect();
        fault.inside(Step::Key(found.to_owned()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("a value", "no such key").inside(Step::Key(field.to_owned()))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new("the key once", "it twice").inside(Step::Key(field.to_owned()))
    }
}
