//! What an instance does for its successor: gives up what only one may hold, takes it back, tells what it knows.
//!
//! Used between the checks of a candidate and its creation. All three run the author's hook as the other steps of an
//! instance's life are run: isolated, within a limit. None of them looks at calls: whoever quiesces an instance has let
//! those under way end, and lets none in until it is resumed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mini_chat_plugin_abi::buffer::FfiBytes;
use mini_chat_plugin_abi::state::{FfiState, FfiStateKind, MAX_STATE_BYTES};

use super::Instance;
use super::opened::step;
use crate::error::{CreateError, Stage};

/// What a predecessor has exported, for the instance that is opened next.
#[derive(Clone)]
pub(crate) struct Handover {
    pub(crate) bytes: Arc<[u8]>,
    /// Taken after the predecessor was quiesced; otherwise a hint.
    pub(crate) exact: bool,
}

impl Handover {
    pub(super) fn kind(&self) -> FfiStateKind {
        if self.exact { FfiStateKind::EXACT } else { FfiStateKind::HINT }
    }

    pub(super) fn bytes(&self) -> FfiBytes<'_> {
        FfiBytes::new(&self.bytes)
    }
}

/// Says how much there is, not what: it may be secret.
impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover").field("len", &self.bytes.len()).field("exact", &self.exact).finish()
    }
}

impl Instance {
    fn has_hook(&self, hook: &str) -> bool {
        self.image.descriptor.has_hook(hook)
    }

    /// Runs the hook `quiesce`, if there is one. After an error the instance has given up an unknown part: resume it.
    pub(crate) async fn quiesce(&self, limit: Duration) -> Result<(), CreateError> {
        if !self.has_hook("quiesce") {
            return Ok(());
        }
        step(&self.live, Stage::Quiesce, limit, &self.settings.config, self.live.module.quiesce()).await
    }

    /// Runs the hook `resume`, if there is one. After an error it may be tried again.
    pub(crate) async fn resume(&self, limit: Duration) -> Result<(), CreateError> {
        if !self.has_hook("resume") {
            return Ok(());
        }
        step(&self.live, Stage::Resume, limit, &self.settings.config, self.live.module.resume()).await
    }

    /// Runs the hook `export_state`: what the successor gets; exact if the instance was quiesced before, else a hint.
    /// Nothing if there is no such hook, or if it gives more than [`MAX_STATE_BYTES`] (logged).
    pub(crate) async fn export_state(&self, limit: Duration) -> Result<Option<Vec<u8>>, CreateError> {
        if !self.has_hook("export_state") {
            return Ok(None);
        }
        let export = self.live.module.export_state();
        let state: FfiState = step(&self.live, Stage::ExportState, limit, &self.settings.config, export).await?;
        let bytes = Vec::from(state.bytes);
        if bytes.len() <= MAX_STATE_BYTES {
            return Ok(Some(bytes));
        }
        tracing::warn!(
            plugin = self.name(),
            "export_state() gave {} bytes, more than the {MAX_STATE_BYTES} that are handed over: its successor starts \
             without them",
            bytes.len()
        );
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
