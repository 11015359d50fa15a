//! Arguments of the commands that ask a running host, or change what it serves.

use std::env;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::{FileArgs, duration};
use crate::exit::Exit;
use crate::failure::Failure;

/// What the socket is called in the directory that systemd gives.
const DEFAULT_NAME: &str = "control.sock";
const VARIABLE: &str = "MINI_CHAT_CONTROL";
const DIRECTORY: &str = "RUNTIME_DIRECTORY";

/// Where the control socket is.
#[derive(Debug, Args)]
pub(crate) struct ControlArgs {
    /// Control socket of the running host. Default: MINI_CHAT_CONTROL, else control.sock in systemd's RUNTIME_DIRECTORY
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
}

impl ControlArgs {
    /// None if nobody has said where.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let in_directory = || {
            // systemd gives a list, parted by colons.
            let list = set(DIRECTORY)?;
            let first = list.as_bytes().split(|byte| *byte == b':').next().unwrap_or_default();
            Some(Path::new(std::ffi::OsStr::from_bytes(first)).join(DEFAULT_NAME))
        };
        self.control.clone().or_else(|| set(VARIABLE).map(PathBuf::from)).or_else(in_directory)
    }

    /// For commands that cannot do without.
    pub(crate) fn required(&self) -> Result<PathBuf, Failure> {
        self.socket().ok_or_else(|| {
            let what = format!(
                "no control socket: give --control PATH, the PATH of the host's `run --control`, or set {VARIABLE}"
            );
            Failure::new(Exit::Usage, what)
        })
    }
}

/// Whom to ask, and how to print the answer.
#[derive(Debug, Args)]
pub(crate) struct HostArgs {
    #[command(flatten)]
    pub(crate) control: ControlArgs,
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Only this plugin
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SwapArgs {
    /// A plugin file; the host must be able to read it
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Args)]
pub(crate) struct NameArgs {
    /// The plugin's name, as `status` shows it
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on until the host ends. There is nothing else: the host keeps no past events, and `status` tells how things stand
    #[arg(long, required = true)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// A plugin file
    pub(crate) file: PathBuf,
    /// A plugin directory of the host
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// What it is to be called there; default: as FILE is
    #[arg(long, value_name = "FILENAME")]
    pub(crate) name: Option<PathBuf>,
    /// Wait until the host has proven the build, refused it or taken it back
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait at most
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m", requires = "wait")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    #[command(flatten)]
    pub(crate) host: HostArgs,
}
