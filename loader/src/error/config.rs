//! Errors of `plugins.toml`: the operator's file is wrong, or something that it refers to is missing.
//!
//! Every message says where (file, line, column, key path), what was expected and the *type* of what was found. No value
//! of the file is ever part of a message, since any value may be a secret. Three things of the file are not values in
//! this sense and are shown: keys, durations of `limits`, and the names of secret references (a path, a variable).

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How many problems a message lists; the rest is counted.
const SHOWN: usize = 40;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the plugin configuration {}: {source}; expected the path of a readable plugins.toml", path.display())]
    Read {
        /// The file, as it was named by the caller.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The configuration itself is wrong: trying again is of no use until it has been edited.
    #[error("{}", Listed(problems))]
    Invalid {
        /// All problems found, in the order of their lines; never empty.
        problems: Vec<ConfigProblem>,
    },
    /// A secret that the configuration refers to cannot be had: this may heal without an edit of the file.
    #[error("{}", Listed(problems))]
    Secrets {
        /// One problem per missing secret, in the order of their lines; never empty.
        problems: Vec<ConfigProblem>,
    },
}

impl ConfigError {
    /// The single problems; empty for [`ConfigError::Read`].
    pub fn problems(&self) -> &[ConfigProblem] {
        match self {
            Self::Read { .. } => &[],
            Self::Invalid { problems } | Self::Secrets { problems } => problems,
        }
    }
}

/// What sort of problem it is, for programs; people read the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// Not TOML, or not UTF-8.
    Syntax,
    /// A key that does not exist.
    UnknownKey,
    /// The value has another type.
    WrongType,
    /// The type is right, the value is not accepted.
    BadValue,
    /// A key that must be given is not.
    Missing,
    /// Two entries claim the same thing.
    Duplicate,
    /// Two values do not go together.
    Incoherent,
    /// A secret cannot be had.
    Secret,
    /// Reported by the plugin about its own `config` table.
    Plugin,
}

/// One thing that is wrong with a configuration.
///
/// Shown as `FILE:LINE:COLUMN: KEY: MESSAGE`, without the parts that do not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigProblem {
    /// What sort of problem it is.
    pub kind: ProblemKind,
    /// The file; `None` for a configuration that came from code.
    pub file: Option<PathBuf>,
    /// Line and column in the file, both from 1, the column in characters.
    pub position: Option<(u32, u32)>,
    /// The key path, e.g. `plugins.eu.limits.policy`; empty when the problem is not about a key.
    pub key: String,
    /// What was expected and what was found.
    pub message: String,
}

impl ConfigProblem {
    pub(crate) fn new(
        kind: ProblemKind,
        file: Option<&Path>,
        position: Option<(u32, u32)>,
        key: &str,
        message: String,
    ) -> Self {
        Self { kind, file: file.map(Path::to_path_buf), position, key: key.to_owned(), message }
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", file.display())?;
            if let Some((line, column)) = self.position {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ConfigProblem {}

/// One problem on its own line, several as a counted list.
struct Listed<'a>(&'a [ConfigProblem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [one] = self.0 {
            return one.fmt(f);
        }
        write!(f, "{} problems in the plugin configuration", self.0.len())?;
        for problem in self.0.iter().take(SHOWN) {
            write!(f, "\n  {problem}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more"),
        }
    }
}
