//! The errors of the loader: one enum per fault domain, each in its own file.
//!
//! | at fault | type |
//! | --- | --- |
//! | the file or its place | [`LoadError`] |
//! | the plugin's code or its configuration | [`CreateError`] |
//! | what a candidate did to its trial process | [`PreflightError`] |
//! | `plugins.toml` | [`ConfigError`] |
//! | the place for private copies | [`ImageDirError`] |
//! | the memory of the host's last life | [`StateDirError`] |
//! | the host as a whole | [`BuildError`], [`PluginFailure`] |
//! | what is looked for in the registry | [`RegistryError`] |
//! | a swap that was asked for | [`SwapError`] |
//! | the control socket, at either end | [`ControlError`], [`ClientError`] |

mod config;
mod control;
mod create;
mod host;
mod image_dir;
mod load;
mod preflight;
mod registry;
mod state_dir;
mod swap;

pub use config::{ConfigError, ConfigProblem, ProblemKind};
pub use control::{ClientError, ControlError};
pub use create::{CreateError, Stage};
pub(crate) use host::Remedy;
pub use host::{BuildError, PluginFailure};
pub use image_dir::{ImageDirError, ImageDirProblem};
pub use load::LoadError;
pub use preflight::{PreflightError, PreflightStage};
pub use registry::RegistryError;
pub use state_dir::StateDirError;
pub use swap::SwapError;
