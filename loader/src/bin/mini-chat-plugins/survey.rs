//! [`survey`]: the files of plugin directories, and which of them a host would serve.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mini_chat_plugin_loader::error::LoadError;
use mini_chat_plugin_loader::find;
use mini_chat_plugin_loader::verify::{Inspection, ReadLimits, VerifyPolicy, inspect};
use semver::Version;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Every candidate, in the order of the directories and their names.
    pub(crate) files: Vec<Surveyed>,
    /// The directories that cannot be read.
    pub(crate) unreadable: Vec<LoadError>,
}

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

/// Looks at every candidate; executes nothing. The rules are the host's: of the files with one id the highest version
/// serves, and files of one version with different bytes do not serve at all.
pub(crate) fn survey(directories: &[PathBuf], limits: &ReadLimits, policy: &VerifyPolicy) -> Survey {
    let mut survey = Survey::default();
    for directory in directories {
        match find::candidates(std::slice::from_ref(directory)) {
            Ok(candidates) => survey.files.extend(
                candidates
                    .iter()
                    .map(|candidate| Surveyed { inspection: inspect(candidate.path(), limits, policy), serves: false }),
            ),
            Err(error) => survey.unreadable.push(error),
        }
    }
    choose(&mut survey.files);
    survey
}

fn choose(files: &mut [Surveyed]) {
    let mut by_version: BTreeMap<(String, Version), Vec<usize>> = BTreeMap::new();
    for (place, file) in files.iter_mut().enumerate() {
        let Inspection { descriptor: Some(descriptor), refusals, path, .. } = &mut file.inspection else { continue };
        if !refusals.is_empty() {
            continue;
        }
        match Version::parse(&descriptor.version) {
            Ok(version) => by_version.entry((descriptor.id.clone(), version)).or_default().push(place),
            Err(_) => refusals.push(LoadError::DescriptorInvalid {
                path: path.clone(),
                reason: format!("version: expected a semantic version, found `{}`", descriptor.version),
            }),
        }
    }
    // Ascending by version, so the highest is left.
    let mut serving: BTreeMap<String, usize> = BTreeMap::new();
    for ((id, version), places) in by_version {
        let first = places[0];
        let differs = |place: &&usize| files[**place].inspection.digest != files[first].inspection.digest;
        let Some(&other) = places.iter().find(differs) else {
            serving.insert(id, first);
            continue;
        };
        let (path_of_first, path_of_other) =
            (files[first].inspection.path.clone(), files[other].inspection.path.clone());
        for place in places {
            let found = &mut files[place].inspection;
            let other = if place == first { path_of_other.clone() } else { path_of_first.clone() };
            let (path, id, version) = (found.path.clone(), id.clone(), version.to_string());
            found.refusals.push(LoadError::SameVersion { path, other, id, version });
        }
    }
    for place in serving.into_values() {
        files[place].serves = true;
    }
}
