//! [`Failure`]: why a command could not do its work.

use std::error::Error;
use std::fmt;

use mini_chat_plugin_loader::error::{BuildError, ClientError, ConfigError, ControlError, LoadError};

use crate::exit::Exit;

/// What went wrong, and the exit code for it. Shown as `WHAT: ERROR: ITS SOURCE: …`.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// A failure without an error behind it.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), source: None }
    }

    /// The same, because of `source`.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.what.clone();
        let mut next: Option<&(dyn Error + 'static)> = match &self.source {
            Some(source) => Some(&**source),
            None => None,
        };
        while let Some(error) = next {
            let message = error.to_string();
            // Errors whose text holds that of their source name it as their source nevertheless.
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            next = error.source();
        }
        f.write_str(&text)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::BadConfig, "configuration").because(error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(Exit::Unavailable, "plugin file").because(error)
    }
}

impl From<ControlError> for Failure {
    fn from(error: ControlError) -> Self {
        Self::new(Exit::Unavailable, error.to_string())
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = if error.is_unreachable() { Exit::Unavailable } else { Exit::Failed };
        Self::new(exit, error.to_string())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Config(_) | BuildError::DuplicateName { .. } => {
                Self::new(Exit::BadConfig, "configuration").because(error)
            }
            _ => Self::new(Exit::Unavailable, "host").because(error),
        }
    }
}
