//! What the two processes say: a [`Request`] and the configuration one way, a [`Line`] at a time the other.
//!
//! The request is one line of JSON, then the configuration's bytes as they are: nothing copies them into another text.
//! Both ends are of one version of the loader, which they compare.

use std::ffi::OsString;
use std::io::{self, Read};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::faults::{CreateFault, LoadFault};
use super::{PreflightLevel, Trial, seen_from_outside};
use crate::config::ResolvedConfig;
use crate::error::PreflightStage;
use crate::verify::Descriptor;

/// Names the process that is to try a candidate: its value is the parent's process id.
pub(super) const VARIABLE: &str = "MINI_CHAT_PLUGIN_PREFLIGHT";
/// Its only argument: for people who look at processes, and refused by programs that do not know of this.
pub(super) const ARGUMENT: &str = "mini-chat-plugin-preflight";
/// What both must be.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// How long the shutdown hook may take in a trial.
pub(super) const SHUTDOWN: Duration = Duration::from_secs(5);

const MAX_HEAD: usize = 1 << 20;
const MAX_CONFIG: usize = 64 << 20;

/// What is to be tried.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) loader: String,
    /// Path of the private copy.
    pub(super) copy: OsString,
    pub(super) descriptor: Descriptor,
    pub(super) level: PreflightLevel,
    pub(super) name: String,
    pub(super) generation: u64,
    pub(super) workers: u32,
    /// Its scratch data directory; empty if there is none.
    pub(super) data_dir: String,
    pub(super) host_name: String,
    pub(super) host_version: String,
    pub(super) create: Duration,
    pub(super) health: Duration,
    /// Bytes beyond what the process has at its start.
    pub(super) memory: u64,
    /// Seconds.
    pub(super) processor: u64,
    config: usize,
}

/// What the child says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// It has read its request; bytes of private memory that it has, and of memory that it has had resident at most.
    Begun { data: u64, resident: u64 },
    /// It has come so far.
    Stage(PreflightStage),
    /// All went well.
    Done { shutdown_error: Option<String> },
    /// The file is at fault.
    Load(LoadFault),
    /// The plugin's code or configuration is.
    Create(CreateFault),
    /// It cannot try anything.
    Unfit(String),
}

/// The bytes for the child's stdin.
pub(super) fn request(trial: &Trial, memory: u64, processor: Duration) -> Zeroizing<Vec<u8>> {
    let config = trial.config.as_json().as_bytes();
    let head = Request {
        loader: VERSION.to_owned(),
        copy: seen_from_outside(&trial.copy).into_os_string(),
        descriptor: trial.image.descriptor().clone(),
        level: trial.level,
        name: trial.entry.name.clone(),
        generation: trial.generation,
        workers: trial.workers,
        data_dir: trial.scratch.as_ref().and_then(|path| path.to_str()).unwrap_or_default().to_owned(),
        host_name: trial.identity.name.clone(),
        host_version: trial.identity.version.clone(),
        create: trial.entry.limits.create,
        health: trial.entry.limits.health,
        memory,
        processor: processor.as_secs().max(1),
        config: config.len(),
    };
    let head = serde_json::to_string(&head).expect("a request has only what JSON can hold");
    // At once as large as it gets: growing would leave copies of secrets behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(head.len() + 1 + config.len()));
    bytes.extend_from_slice(head.as_bytes());
    bytes.push(b'\n');
    bytes.extend_from_slice(config);
    bytes
}

/// Reads the other end's [`request`].
pub(super) fn read(input: &mut impl Read) -> io::Result<(Request, ResolvedConfig)> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut head = Vec::new();
    let mut byte = [0];
    loop {
        input.read_exact(&mut byte)?;
        match byte[0] {
            b'\n' => break,
            _ if head.len() == MAX_HEAD => return Err(invalid("a line that does not end".to_owned())),
            byte => head.push(byte),
        }
    }
    #[derive(Deserialize)]
    struct Loader {
        loader: String,
    }
    let Loader { loader } = serde_json::from_slice(&head).map_err(|error| invalid(error.to_string()))?;
    if loader != VERSION {
        let what = format!("the host has version {loader} of the loader, this program {VERSION}: build both with one");
        return Err(invalid(what));
    }
    let request: Request = serde_json::from_slice(&head).map_err(|error| invalid(error.to_string()))?;
    if request.config > MAX_CONFIG {
        return Err(invalid("a configuration of more than 64 MiB".to_owned()));
    }
    let mut config = Zeroizing::new(vec![0; request.config]);
    input.read_exact(&mut config)?;
    let config = ResolvedConfig::received(config).map_err(|error| invalid(error.to_string()))?;
    Ok((request, config))
}
