//! [`survey`]: the files of plugin directories, and which of them a host would serve.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mini_chat_plugin_loader::config::PluginsConfig;
use mini_chat_plugin_loader::error::LoadError;
use mini_chat_plugin_loader::find;
use mini_chat_plugin_loader::verify::{Inspection, ReadLimits, VerifyPolicy, inspect};
use semver::Version;

/// What was found.
#[derive(Debug)]
pub(crate) struct Survey {
    /// Every candidate, in the order of the directories and their names.
    pub(crate) files: Vec<Surveyed>,
    /// The directories that cannot be read.
    pub(crate) unreadable: Vec<LoadError>,
}

/// The versions asked for, by id; none is the highest.
pub(crate) type Pins = BTreeMap<String, Vec<Option<Version>>>;

/// One file.
#[derive(Debug)]
pub(crate) struct Surveyed {
    pub(crate) inspection: Inspection,
    /// Whether it is the file that serves for its id.
    pub(crate) serves: bool,
}

impl Survey {
    /// Whether nothing was refused.
    pub(crate) fn is_ok(&self) -> bool {
        self.unreadable.is_empty() && self.files.iter().all(|file| file.inspection.refusals.is_empty())
    }
}

/// Looks at every candidate; executes nothing. The rules are the host's. `pins` are the versions that `plugins.toml` asks
/// for, by id: a file may be what serves for one of several entries.
pub(crate) fn survey(directories: &[PathBuf], limits: &ReadLimits, policy: &VerifyPolicy, pins: &Pins) -> Survey {
    let (mut found, unreadable) = inspect_all(directories, limits, policy);
    let mut serving = Vec::new();
    for (id, files) in find::usable(&mut found) {
        let pins = pins.get(&id).map_or(&[None][..], Vec::as_slice);
        serving.extend(pins.iter().filter_map(|pin| chosen(&files, pin.as_ref()).copied()));
    }
    let surveyed = |(place, inspection)| Surveyed { inspection, serves: serving.contains(&place) };
    Survey { files: found.into_iter().enumerate().map(surveyed).collect(), unreadable }
}

/// What each candidate is by itself, and the directories that cannot be read.
pub(crate) fn inspect_all(
    directories: &[PathBuf],
    limits: &ReadLimits,
    policy: &VerifyPolicy,
) -> (Vec<Inspection>, Vec<LoadError>) {
    let (mut found, mut unreadable) = (Vec::new(), Vec::new());
    for directory in directories {
        match find::candidates(std::slice::from_ref(directory)) {
            Ok(candidates) => {
                found.extend(candidates.iter().map(|candidate| inspect(candidate.path(), limits, policy)));
            }
            Err(error) => unreadable.push(error),
        }
    }
    (found, unreadable)
}

/// Of the versions of one plugin the one that serves.
pub(crate) fn chosen<'a, T>(files: &'a [(Version, T)], pin: Option<&Version>) -> Option<&'a T> {
    find::choice(files, |(version, _)| version, pin, |_| true).map(|(_, file)| file)
}

/// What the enabled entries of `plugins.toml` ask for.
pub(crate) fn pins(config: Option<&PluginsConfig>) -> Pins {
    let mut pins = Pins::new();
    for entry in config.into_iter().flat_map(|config| &config.plugins).filter(|entry| entry.enabled) {
        pins.entry(entry.library.clone()).or_default().push(entry.version.clone());
    }
    pins
}
