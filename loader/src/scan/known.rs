//! [`Known`]: a file that was judged and found usable, without its bytes.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use semver::Version;

use crate::error::LoadError;
use crate::find::{self, Candidate, PluginFile};
use crate::status::BuildStatus;
use crate::verify::{Descriptor, Digest, ReadLimits, VerifiedImage, VerifyPolicy};

/// A usable file as it was when it was judged. Cheap to clone; its bytes are not kept.
#[derive(Debug, Clone)]
pub(crate) struct Known(Arc<Judged>);

#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) version: Version,
    pub(crate) descriptor: Descriptor,
}

impl Deref for Known {
    type Target = Judged;

    fn deref(&self) -> &Judged {
        &self.0
    }
}

impl Known {
    /// Of an image, whose bytes go with it.
    pub(crate) fn new(image: &VerifiedImage) -> Result<Self, LoadError> {
        Ok(Self(Arc::new(Judged {
            path: image.path().to_owned(),
            digest: image.digest(),
            version: find::version_of(image.path(), image.descriptor())?,
            descriptor: image.descriptor().clone(),
        })))
    }

    /// For people.
    pub(crate) fn status(&self) -> BuildStatus {
        BuildStatus { version: self.version.to_string(), digest: Some(self.digest), file: Some(self.path.clone()) }
    }

    /// Likewise, or, if the file is not what it was, its private copy.
    pub(crate) fn load_or(
        &self,
        copy: Option<&Path>,
        limits: &ReadLimits,
        policy: &VerifyPolicy,
    ) -> Result<VerifiedImage, LoadError> {
        let loaded = self.load(limits, policy);
        match (loaded, copy) {
            (Err(error), Some(copy)) => {
                let image = Candidate::from_path(copy).read(limits).map_err(|_| error)?;
                let image = image.of(&self.path);
                if image.digest() == self.digest { image.verify(policy) } else { self.load(limits, policy) }
            }
            (loaded, _) => loaded,
        }
    }

    /// Reads the file anew, in one read, and judges what was read. Blocks on the disk.
    ///
    /// # Errors
    /// As for [`Candidate::read`] and verification; [`LoadError::Exchanged`] if it has other bytes by now: then
    /// [`Scanner::forget`](super::Scanner::forget) its path, and scan again.
    pub(crate) fn load(&self, limits: &ReadLimits, policy: &VerifyPolicy) -> Result<VerifiedImage, LoadError> {
        let image = Candidate::from_path(&self.path).read(limits)?;
        if image.digest() != self.digest {
            let (judged, found) = (self.digest.short(), image.digest().short());
            return Err(LoadError::Exchanged { path: self.path.clone(), judged, found });
        }
        image.verify(policy)
    }
}

impl PluginFile for Known {
    fn path(&self) -> &Path {
        &self.path
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn id(&self) -> &str {
        &self.descriptor.id
    }

    fn version(&self) -> &Version {
        &self.version
    }
}

/// The file of one id that is to serve: that of the pinned version, or, without a pin, the highest; never one that is
/// `banned`, so that a pinned build in quarantine gives none.
pub(crate) fn choice<'a>(
    known: &'a [Known],
    pin: Option<&Version>,
    banned: impl Fn(&Known) -> bool,
) -> Option<&'a Known> {
    find::choice(known, |file| &file.version, pin, |file| !banned(file))
}
