//! [`Keeper`]: writes what is to be kept, on a thread of its own. The disk may hang; the supervisor does not wait for it,
//! except for a moment before it maps a build that is not known to be good.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::oneshot;

use super::{Record, StateDir};
use crate::config::Origin;
use crate::supervisor::Shared;
use crate::verify::Digest;

/// What a record refers to, and where it may be copied from.
#[derive(Debug, Default)]
pub(crate) struct Material {
    pub(crate) images: Vec<(Digest, PathBuf)>,
    pub(crate) configs: Vec<Arc<Origin>>,
}

struct Job {
    record: Record,
    material: Material,
    written: oneshot::Sender<()>,
}

/// How long the end waits for the thread: the disk may hang.
const ENDING: Duration = Duration::from_secs(2);

/// The thread; it ends with this, after what it was given last.
pub(crate) struct Keeper {
    dir: Arc<StateDir>,
    /// None once this ends.
    jobs: Option<mpsc::Sender<Job>>,
    /// As given to the thread last.
    last: Record,
    /// Closed when the thread has ended and holds the directory no more.
    ended: mpsc::Receiver<()>,
}

impl Keeper {
    /// Starts the thread. `found` is what the directory holds.
    pub(crate) fn start(dir: StateDir, found: Record, shared: Arc<Shared>) -> io::Result<Self> {
        let (jobs, receiver) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let dir = Arc::new(dir);
        let of_thread = Arc::clone(&dir);
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::Builder::new().name("mini-chat-state".to_owned()).spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || run(&of_thread, &receiver, &shared));
            drop(of_thread);
            drop(end);
        })?;
        Ok(Self { dir, jobs: Some(jobs), last: found, ended })
    }

    pub(crate) fn dir(&self) -> &Arc<StateDir> {
        &self.dir
    }

    /// Keeps this, if it is not what was kept last. Ready when it is on the disk; with an error when it is not.
    pub(crate) fn keep(&mut self, record: Record, material: impl FnOnce() -> Material) -> Option<Written> {
        if self.last == record {
            return None;
        }
        self.last = record;
        Some(self.write(material()))
    }

    /// Ready when what was given last is on the disk.
    pub(crate) fn flush(&self) -> Written {
        self.write(Material::default())
    }

    fn write(&self, material: Material) -> Written {
        let (written, receiver) = oneshot::channel();
        // A thread that was lost drops what it is given, which is an error for whoever waits.
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(Job { record: self.last.clone(), material, written });
        }
        receiver
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        // Until then the next host could not have the directory.
        let _ = self.ended.recv_timeout(ENDING);
    }
}

/// Ready when what was given to [`Keeper::keep`] is on the disk.
pub(crate) type Written = oneshot::Receiver<()>;

fn run(dir: &StateDir, jobs: &mpsc::Receiver<Job>, shared: &Shared) {
    let mut complained = false;
    while let Ok(mut job) = jobs.recv() {
        let mut written = Vec::new();
        // The latest stands for all that wait, but what they refer to may be needed.
        while let Ok(next) = jobs.try_recv() {
            let Job { record, material, written: before } = std::mem::replace(&mut job, next);
            drop(record);
            job.material.images.extend(material.images);
            job.material.configs.extend(material.configs);
            written.push(before);
        }
        written.push(job.written);
        match write(dir, &job.record, &job.material) {
            Ok(()) => {
                if std::mem::take(&mut complained) {
                    tracing::info!("the state directory can be written to again");
                }
                shared.state_problem(None);
                for written in written {
                    let _ = written.send(());
                }
            }
            Err(error) => {
                let message = format!(
                    "{}: what is good and what is not could not be written down, a restart would not know of it: {error}",
                    dir.path().display()
                );
                if !std::mem::replace(&mut complained, true) {
                    tracing::error!("{message}");
                }
                shared.state_problem(Some(message));
            }
        }
    }
}

fn write(dir: &StateDir, record: &Record, material: &Material) -> io::Result<()> {
    let (images, configs) = wanted(record);
    for (digest, from) in material.images.iter().filter(|(digest, _)| images.contains(&digest.to_string())) {
        let to = dir.image(digest);
        if !to.exists() {
            let bytes = std::fs::read(from)?;
            if Digest::of(&bytes) != *digest {
                return Err(io::Error::other(format!("{}: not the bytes that were verified", from.display())));
            }
            dir.put(&to, 0o400, &bytes)?;
        }
    }
    for origin in material.configs.iter().filter(|origin| configs.contains(&origin.digest().to_string())) {
        let to = dir.configs().join(origin.digest().to_string());
        if !to.exists() {
            dir.put(&to, 0o600, origin.text().as_bytes())?;
        }
    }
    dir.write(record)?;
    // Only now does nothing refer to the others.
    sweep(&dir.images(), &images);
    sweep(&dir.configs(), &configs);
    Ok(())
}

/// The names of the images and configurations that a record refers to.
fn wanted(record: &Record) -> (BTreeSet<String>, BTreeSet<String>) {
    let good = || record.plugins.values().filter_map(|kept| kept.good.as_ref());
    let images = good().map(|good| good.build.digest.to_string()).collect();
    let configs = good().filter_map(|good| good.config.as_ref()).chain(&record.config);
    (images, configs.map(|config| config.digest.to_string()).collect())
}

fn sweep(folder: &Path, wanted: &BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !wanted.contains(&*entry.file_name().to_string_lossy()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
