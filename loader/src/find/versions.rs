//! Files with one id are versions of one plugin: which of them may serve, and which one does.
//!
//! The one place that knows the rule; the host (`scan`) and the program's `list` and `call` ask here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::Version;

use crate::error::LoadError;
use crate::verify::{Descriptor, Digest, Inspection};

/// What the rule looks at.
pub(crate) trait PluginFile {
    fn path(&self) -> &Path;
    fn digest(&self) -> Digest;
    fn id(&self) -> &str;
    fn version(&self) -> &Version;
}

/// Usable files, sorted out.
pub(crate) struct Arranged<F> {
    /// By id, ascending by version; of files with the same bytes the first.
    pub(crate) versions: BTreeMap<String, Vec<F>>,
    /// Files of one version with different bytes: nobody can say which is meant, so none of them is used.
    pub(crate) conflicts: Vec<(F, LoadError)>,
}

pub(crate) fn arrange<F: PluginFile>(files: impl IntoIterator<Item = F>) -> Arranged<F> {
    let mut by_version: BTreeMap<(String, Version), Vec<F>> = BTreeMap::new();
    for file in files {
        by_version.entry((file.id().to_owned(), file.version().clone())).or_default().push(file);
    }
    let mut arranged = Arranged { versions: BTreeMap::new(), conflicts: Vec::new() };
    for ((id, version), mut same) in by_version {
        let first = same[0].path().to_owned();
        let other = same.iter().find(|file| file.digest() != same[0].digest()).map(|file| file.path().to_owned());
        let Some(other) = other else {
            arranged.versions.entry(id).or_insert_with(Vec::new).push(same.swap_remove(0));
            continue;
        };
        for (place, file) in same.into_iter().enumerate() {
            let error = LoadError::SameVersion {
                path: file.path().to_owned(),
                other: if place == 0 { other.clone() } else { first.clone() },
                id: id.clone(),
                version: version.to_string(),
            };
            arranged.conflicts.push((file, error));
        }
    }
    arranged
}

/// The version that a descriptor tells.
pub(crate) fn version_of(path: &Path, descriptor: &Descriptor) -> Result<Version, LoadError> {
    Version::parse(&descriptor.version).map_err(|_| LoadError::DescriptorInvalid {
        path: path.to_owned(),
        reason: format!("version: expected a semantic version, found `{}`", descriptor.version),
    })
}

/// The file that serves: that of the version `pin`, or, without a pin, the highest version; never one that is not `fit`.
/// `files` are those of one id, ascending by version. A pin is met by exactly that version, build metadata included.
pub fn choice<'a, F>(
    files: &'a [F],
    version: impl Fn(&F) -> &Version,
    pin: Option<&Version>,
    fit: impl Fn(&F) -> bool,
) -> Option<&'a F> {
    files.iter().rev().find(|file| pin.is_none_or(|pin| version(file) == pin) && fit(file))
}

/// Sorts out what was found in plugin directories, as a host does: by id, ascending by version, the places in `found` of
/// the files that may serve. A file that may not, because of its version or because of another file, gets its refusal.
pub fn usable(found: &mut [Inspection]) -> BTreeMap<String, Vec<(Version, usize)>> {
    let mut files = Vec::new();
    for (place, inspection) in found.iter_mut().enumerate() {
        let Inspection { path, descriptor: Some(descriptor), digest: Some(digest), refusals, .. } = inspection else {
            continue;
        };
        if !refusals.is_empty() {
            continue;
        }
        match version_of(path, descriptor) {
            Ok(version) => {
                let (path, id) = (path.clone(), descriptor.id.clone());
                files.push(Placed { place, path, id, version, digest: *digest });
            }
            Err(error) => refusals.push(error),
        }
    }
    let Arranged { versions, conflicts } = arrange(files);
    for (file, error) in conflicts {
        found[file.place].refusals.push(error);
    }
    let placed = |files: Vec<Placed>| files.into_iter().map(|file| (file.version, file.place)).collect();
    versions.into_iter().map(|(id, files)| (id, placed(files))).collect()
}

struct Placed {
    place: usize,
    path: PathBuf,
    id: String,
    version: Version,
    digest: Digest,
}

impl PluginFile for Placed {
    fn path(&self) -> &Path {
        &self.path
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn version(&self) -> &Version {
        &self.version
    }
}
