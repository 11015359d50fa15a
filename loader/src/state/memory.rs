//! [`Memory`]: what a host knows of its last life when it starts.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::{Keeper, Record, StateDir, StateDirChoice};
use crate::config::PluginsConfig;
use crate::error::{BuildError, ConfigError, StateDirError};
use crate::scan::Known;
use crate::supervisor::Shared;
use crate::verify::{ReadLimits, VerifyPolicy};

/// The state directory, if there is one, and what was found in it.
pub(crate) struct Memory {
    dir: Option<StateDir>,
    remembered: Remembered,
    problem: Option<StateDirError>,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Remembered {
    pub(crate) record: Record,
    /// What plugins are pinned to, by name.
    pub(crate) pinned: BTreeMap<String, Known>,
}

impl Memory {
    /// Blocks on the disk.
    pub(crate) fn open(choice: StateDirChoice) -> Self {
        let opened = choice.path().and_then(|path| path.map(|path| StateDir::open(&path)).transpose());
        match opened {
            Ok(dir) => {
                let record = dir.as_ref().map(StateDir::read).unwrap_or_default();
                Self { remembered: Remembered { record, pinned: BTreeMap::new() }, dir, problem: None }
            }
            Err(problem) => Self { dir: None, remembered: Remembered::default(), problem: Some(problem) },
        }
    }

    /// Says that a restart will know nothing.
    pub(crate) fn warn_if_missing(&self) {
        if let Some(problem) = &self.problem {
            tracing::warn!(
                "nothing is written down for a restart, which would run into a bad build again, and could not go back to \
                 the last good one: {problem}"
            );
        }
    }

    /// `plugins.toml`; where it is refused, what was last accepted of the same file, and why that is used.
    pub(crate) fn read_config(&self, path: &Path) -> Result<(PluginsConfig, Option<String>), ConfigError> {
        let error = match PluginsConfig::load(path) {
            Ok(config) => return Ok((config, None)),
            Err(error) => error,
        };
        let same = |kept: &&super::ConfigRef| std::path::absolute(path).is_ok_and(|absolute| absolute == kept.path);
        let (Some(dir), Some(kept)) = (&self.dir, self.remembered.record.config.as_ref().filter(same)) else {
            return Err(error);
        };
        match dir.last_config(kept) {
            Ok(config) => Ok((config, Some(error.to_string()))),
            Err(lost) => {
                tracing::error!("{lost}");
                Err(error)
            }
        }
    }

    /// Also reads what plugins are pinned to. Blocks on the disk.
    pub(crate) fn with_pinned(mut self, limits: &ReadLimits, policy: &VerifyPolicy) -> Self {
        let Some(dir) = &self.dir else { return self };
        for (name, kept) in &self.remembered.record.plugins {
            let Some(pin) = &kept.pin else { continue };
            match dir.good_image(&pin.digest, limits, policy) {
                Ok(known) => drop(self.remembered.pinned.insert(name.clone(), known)),
                Err(error) => tracing::error!(plugin = name, "what it was pinned to cannot be had: {error}"),
            }
        }
        self
    }

    /// What was found, and what goes on writing.
    pub(crate) fn keep(self, shared: &Arc<Shared>) -> Result<(Remembered, Option<Keeper>), BuildError> {
        let Self { dir, remembered, problem } = self;
        shared.state_dir(dir.as_ref().map(|dir| dir.path().to_owned()));
        shared.state_problem(problem.map(|problem| problem.to_string()));
        let keeper = dir.map(|dir| Keeper::start(dir, remembered.record.clone(), Arc::clone(shared))).transpose()?;
        Ok((remembered, keeper))
    }
}
