//! From what was kept back to something that can serve.

use std::io;

use super::{ConfigRef, Good, StateDir};
use crate::config::{PluginEntry, PluginsConfig};
use crate::error::{LoadError, StateDirError};
use crate::find::Candidate;
use crate::scan::Known;
use crate::verify::{Digest, ReadLimits, VerifyPolicy};

impl StateDir {
    /// The configuration that was last accepted, read from what was kept of it.
    pub(crate) fn last_config(&self, config: &ConfigRef) -> Result<PluginsConfig, StateDirError> {
        let text = self.config(&config.digest).map_err(|error| self.lost("configs", &config.digest, error))?;
        PluginsConfig::restore(&config.path, &text).map_err(StateDirError::Config)
    }

    /// The image of a good build, judged anew. Blocks on the disk.
    pub(crate) fn good_image(
        &self,
        digest: &Digest,
        limits: &ReadLimits,
        policy: &VerifyPolicy,
    ) -> Result<Known, LoadError> {
        let path = self.image(digest);
        let image = Candidate::from_path(&path).read(limits)?;
        if image.digest() != *digest {
            return Err(LoadError::Exchanged { path, judged: digest.short(), found: image.digest().short() });
        }
        Known::new(&image.verify(policy)?)
    }

    /// The entry that a good build was good with; none if it had none in a file.
    pub(crate) fn good_entry(&self, name: &str, good: &Good) -> Result<Option<PluginEntry>, StateDirError> {
        let Some(config) = &good.config else { return Ok(None) };
        Ok(self.last_config(config)?.plugins.into_iter().find(|entry| entry.name == name))
    }

    fn lost(&self, folder: &str, digest: &Digest, error: io::Error) -> StateDirError {
        StateDirError::Lost { file: self.path.join(folder).join(digest.to_string()), error }
    }
}
