//! A host under load, on a directory with builds of `stamped`; and what it says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use futures_executor::block_on;
use mini_chat_plugin_loader::audit::{AuditFanOut, FanOutConfig};
use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry};
use mini_chat_plugin_loader::image_dir::ImageDirChoice;
use mini_chat_plugin_loader::metrics::PrometheusRecorder;
use mini_chat_plugin_loader::{HostEvent, PluginHost, PluginStatus};
use mini_chat_plugin_sdk::prelude::*;
use serde::Serialize;
use tempfile::TempDir;
use tokio::sync::broadcast::error::RecvError;

use crate::AnyError;
use crate::builds::{Builds, ID};
use crate::callers::{Callers, Seen};
use crate::scrape::Endpoint;
use crate::tally::{Account, Tally};

/// How long anything is waited for. What is waited for takes a second at most, the longest fault ten.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Limit of a constructor, and of mapping in a trial: a build that hangs holds up the soak for so long.
const CREATE: Duration = Duration::from_secs(12);
/// What a trial may take of memory.
const TRIAL_MEMORY: u64 = 256 << 20;

/// What a site is made of.
pub(crate) struct Plan {
    pub(crate) library: PathBuf,
    pub(crate) image_dir: Option<PathBuf>,
    pub(crate) max_images: u32,
    pub(crate) mode: ExecutionMode,
}

/// A host under load.
pub(crate) struct Site {
    pub(crate) host: PluginHost,
    pub(crate) builds: Builds,
    pub(crate) callers: Callers,
    /// The build that is to serve.
    pub(crate) good: u64,
    /// What has been said since this was last emptied.
    pub(crate) said: Vec<HostEvent>,
    /// Calls that were given up, and generations that could not end; none should.
    pub(crate) abandoned: i64,
    /// Where its metrics are.
    pub(crate) metrics: Endpoint,
    events: Receiver<(Instant, HostEvent)>,
    tally: Tally,
    data: TempDir,
    /// Its metrics are there as well, though callers call the plugin itself: they look for each of its lines.
    _fan_out: Arc<AuditFanOut>,
    _root: TempDir,
}

/// How long a swap took, from the rename on.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Timing {
    pub(crate) build: u64,
    /// Until a caller had an answer of the new build.
    pub(crate) total_us: u64,
    /// Of it, until the host took up the file: the watcher, and until the file had settled.
    pub(crate) watch_us: u64,
    /// Reading, verifying, and the trial.
    pub(crate) check_us: u64,
    /// Until a predecessor had ended.
    pub(crate) wait_us: u64,
    /// Mapping, opening, constructor, health check.
    pub(crate) create_us: u64,
    pub(crate) flip_ns: u64,
}

/// How a site ended.
pub(crate) struct End {
    pub(crate) seen: Seen,
    pub(crate) account: Account,
    pub(crate) clean: bool,
}

impl Site {
    /// With a first build that serves, and callers.
    pub(crate) fn start(plan: Plan) -> Result<Self, AnyError> {
        let (root, data) = (tempfile::tempdir()?, tempfile::tempdir()?);
        // In a directory of its own, which can go away and come back.
        let directory = root.path().join("plugins");
        std::fs::create_dir(&directory)?;
        let mut builds = Builds::new(&plan.library, &directory)?;
        let (good, bytes) = builds.next("good");
        builds.rename_into_place(&bytes, || ())?;
        let mut entry = PluginEntry::new(ID);
        entry.data_dir = Some(data.path().to_owned());
        entry.limits.create = CREATE;
        entry.mode = plan.mode;
        let mut builder = PluginHost::builder()
            .identity("soak", env!("CARGO_PKG_VERSION"))
            .plugins(&directory)
            .plugin(entry)
            .preflight_memory(TRIAL_MEMORY)
            .max_images(plan.max_images);
        if let Some(directory) = plan.image_dir {
            builder = builder.image_dir(ImageDirChoice::Explicit(directory));
        }
        let recorder = PrometheusRecorder::default();
        // One site per process.
        metrics::set_global_recorder(recorder.clone()).map_err(|error| error.to_string())?;
        let host = block_on(builder.build())?;
        let metrics = Endpoint::serve(recorder, host.probe())?;
        let fan_out = host.audit_fan_out(FanOutConfig::default());
        // It has looked who there is.
        assert_eq!(fan_out.counters().plugins.len(), 1);
        let mut receiver = host.events();
        let (sender, events) = channel();
        std::thread::Builder::new().name("soak-events".to_owned()).spawn(move || {
            loop {
                let event = match receiver.blocking_recv() {
                    Ok(event) => event,
                    Err(RecvError::Lagged(lost)) => panic!("{lost} events were lost"),
                    Err(RecvError::Closed) => return,
                };
                if sender.send((Instant::now(), event)).is_err() {
                    return;
                }
            }
        })?;
        let callers = Callers::start(&host);
        let (said, tally) = (Vec::new(), Tally::default());
        let site = Self {
            host,
            builds,
            callers,
            good,
            said,
            abandoned: 0,
            metrics,
            events,
            tally,
            data,
            _fan_out: fan_out,
            _root: root,
        };
        site.until_answers(good)?;
        Ok(site)
    }

    pub(crate) fn status(&self) -> Option<PluginStatus> {
        self.host.status().plugins.into_iter().find(|plugin| plugin.name == ID)
    }

    /// Which build answers.
    pub(crate) fn answers(&self) -> Result<u64, AnyError> {
        let policy = self.host.model_policy(ID);
        let version = block_on(policy.get_current_policy_version(Uuid::nil(), CancellationToken::new()))?;
        Ok(version.policy_version)
    }

    /// Waits for an event; gives when it came.
    pub(crate) fn until(
        &mut self,
        what: &str,
        is_it: impl Fn(&HostEvent) -> bool,
    ) -> Result<(Instant, HostEvent), AnyError> {
        let limit = Instant::now() + PATIENCE;
        loop {
            match self.events.recv_timeout(limit.saturating_duration_since(Instant::now())) {
                Ok((at, event)) => {
                    self.note(&event)?;
                    if is_it(&event) {
                        return Ok((at, event));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let (said, status) = (&self.said, self.status());
                    return Err(format!("not within {PATIENCE:?}: {what}; said: {said:#?}; {status:#?}").into());
                }
                Err(RecvTimeoutError::Disconnected) => return Err("no more events".into()),
            }
        }
    }

    /// Takes what has been said by now.
    pub(crate) fn listen(&mut self) -> Result<(), AnyError> {
        while let Ok((_, event)) = self.events.try_recv() {
            self.note(&event)?;
        }
        Ok(())
    }

    fn note(&mut self, event: &HostEvent) -> Result<(), AnyError> {
        match event {
            HostEvent::Retired { generation, abandoned_calls, .. } => {
                self.abandoned += abandoned_calls;
                self.tally.take(self.data.path(), Some(*generation))?;
            }
            HostEvent::Zombie { calls, .. } => self.abandoned += calls,
            _ => {}
        }
        self.said.push(event.clone());
        Ok(())
    }

    /// Waits until a caller has had an answer of this build; gives when that was.
    pub(crate) fn until_answers(&self, build: u64) -> Result<Instant, AnyError> {
        let limit = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.callers.shared.first_answer(build) {
                return Ok(at);
            }
            if Instant::now() > limit {
                let (said, status) = (&self.said, self.status());
                return Err(format!("build {build} has not answered within {PATIENCE:?}: {said:#?} {status:#?}").into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// A good build, the right way.
    pub(crate) fn swap(&mut self) -> Result<Timing, AnyError> {
        self.listen()?;
        self.said.clear();
        let (build, bytes) = self.builds.next("good");
        let mut renamed = Instant::now();
        self.builds.rename_into_place(&bytes, || {
            self.callers.shared.set_window(true);
            renamed = Instant::now();
        })?;
        let served = self.until(&format!("build {build} serves"), |event| matches!(event, HostEvent::Serving { .. }));
        let answered = self.until_answers(build)?;
        self.callers.shared.set_window(false);
        self.good = build;
        let (_, HostEvent::Serving { phases, .. }) = served? else { unreachable!("it was waited for") };
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let total_us = micros(answered.saturating_duration_since(renamed));
        let known = phases.check_us + phases.wait_us + phases.create_us + phases.flip_ns / 1000;
        Ok(Timing {
            build,
            total_us,
            watch_us: total_us.saturating_sub(known),
            check_us: phases.check_us,
            wait_us: phases.wait_us,
            create_us: phases.create_us,
            flip_ns: phases.flip_ns,
        })
    }

    /// Ends the load, then the host, and counts what is in the files.
    pub(crate) fn end(mut self) -> Result<End, AnyError> {
        let seen = self.callers.end();
        let report = block_on(self.host.shutdown());
        self.tally.take(self.data.path(), None)?;
        let account = self.tally.account(&seen.expected);
        Ok(End { seen, account, clean: report.is_clean() && self.abandoned == 0 })
    }

    /// Where the plugins are.
    pub(crate) fn directory(&self) -> &Path {
        self.builds.directory()
    }
}
