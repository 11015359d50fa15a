//! The errors of the loader: one enum per fault domain, each in its own file.

mod config;
mod image_dir;
mod load;

pub use config::{ConfigError, ConfigProblem, ProblemKind};
pub use image_dir::{ImageDirError, ImageDirProblem};
pub use load::LoadError;
