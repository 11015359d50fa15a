//! The errors of the loader: one enum per fault domain, each in its own file.

mod config;

pub use config::{ConfigError, ConfigProblem, ProblemKind};
