//! The plugin directories as a library of images: which file has which id, and which of several versions serves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use semver::Version;

use crate::error::LoadError;
use crate::find;
use crate::verify::{ReadLimits, VerifiedImage, VerifyPolicy};

/// The usable files of the plugin directories.
#[derive(Debug, Default)]
pub(crate) struct Library {
    /// By id: the file of the highest version.
    pub(crate) images: BTreeMap<String, Arc<VerifiedImage>>,
    /// Everything else, and why.
    pub(crate) refused: Vec<LoadError>,
}

impl Library {
    /// Reads and judges every file. Blocks on the disk.
    pub(crate) fn scan(directories: &[PathBuf], limits: &ReadLimits, policy: &VerifyPolicy) -> Self {
        let mut library = Self::default();
        let mut by_version: BTreeMap<(String, Version), Vec<VerifiedImage>> = BTreeMap::new();
        for directory in directories {
            // One directory at a time: one that cannot be read does not hide the others.
            let candidates = match find::candidates(std::slice::from_ref(directory)) {
                Ok(candidates) => candidates,
                Err(error) => {
                    library.refused.push(error);
                    continue;
                }
            };
            for candidate in candidates {
                match candidate.read(limits).and_then(|image| image.verify(policy)).and_then(versioned) {
                    Ok((version, image)) => {
                        let key = (image.descriptor().id.clone(), version);
                        by_version.entry(key).or_default().push(image);
                    }
                    Err(error) => library.refused.push(error),
                }
            }
        }
        // Ascending by version, so the highest is left.
        for ((id, version), mut same) in by_version {
            let first = same.remove(0);
            let others: Vec<_> = same.into_iter().filter(|image| image.digest() != first.digest()).collect();
            if others.is_empty() {
                library.images.insert(id, Arc::new(first));
                continue;
            }
            // Nobody can say which is meant, so none of them is used.
            let path_of_first = first.path().to_owned();
            let all = std::iter::once(first).chain(others).map(|image| image.path().to_owned()).collect::<Vec<_>>();
            for path in &all {
                let other = if *path == path_of_first { all[1].clone() } else { path_of_first.clone() };
                let (id, version) = (id.clone(), version.to_string());
                library.refused.push(LoadError::SameVersion { path: path.clone(), other, id, version });
            }
        }
        library
    }
}

fn versioned(image: VerifiedImage) -> Result<(Version, VerifiedImage), LoadError> {
    let text = &image.descriptor().version;
    match Version::parse(text) {
        Ok(version) => Ok((version, image)),
        Err(_) => Err(LoadError::DescriptorInvalid {
            path: image.path().to_owned(),
            reason: format!("version: expected a semantic version, found `{text}`"),
        }),
    }
}
