//! Tests of the watcher, by what they show. They wait for what must come, however long it takes.

mod hearing;
mod polling;
mod ways;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use super::backend::Make;
use super::{Cause, Targets, Timing, Wake, Watcher, backend};

/// Far more than anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// So long that it does not happen within a test.
const NEVER: Duration = Duration::from_secs(24 * 3600);

/// Only events wake.
const TIMING: Timing = Timing {
    quiet: Duration::from_millis(20),
    most: Duration::from_millis(200),
    rescan: NEVER,
    poll: NEVER,
    retry: NEVER,
};

/// A watcher and what it has told.
struct Watched {
    wakes: Receiver<Wake>,
    watcher: Watcher,
}

impl Watched {
    fn new(directories: &[&Path], files: &[&Path], timing: Timing, make: Make) -> Self {
        let (tell, wakes) = channel();
        let watcher = Watcher::start_with(targets(directories, files), timing, make, move |wake| {
            // The test may be over.
            let _ = tell.send(wake);
        });
        let watched = Self { wakes, watcher: watcher.unwrap() };
        let first = watched.next();
        assert_eq!((first.cause, first.completed.len()), (Cause::Events, 0), "when the watches stand");
        watched
    }

    fn inotify(directories: &[&Path], files: &[&Path]) -> Self {
        Self::new(directories, files, TIMING, Box::new(backend::inotify))
    }

    fn next(&self) -> Wake {
        self.wakes.recv_timeout(LIMIT).expect("a wake")
    }

    /// Waits for a wake like this.
    fn until(&self, wanted: impl Fn(&Wake) -> bool) -> Wake {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            let wake = self.next();
            if wanted(&wake) {
                return wake;
            }
        }
        panic!("no such wake came");
    }

    fn until_completed(&self, path: &Path) {
        self.until(|wake| wake.completed.iter().any(|completed| completed == path));
    }

    /// Waits until what happens in a directory that has just come into being is heard.
    fn until_heard_in(&self, directory: &Path) {
        let path = directory.join("probe.so");
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            fs::write(&path, b"x").unwrap();
            loop {
                match self.wakes.recv_timeout(Duration::from_millis(300)) {
                    Ok(wake) if wake.completed.contains(&path) => return,
                    Ok(_) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => panic!("the watcher is gone"),
                }
            }
        }
        panic!("{} is not heard", path.display());
    }
}

fn targets(directories: &[&Path], files: &[&Path]) -> Targets {
    let owned = |paths: &[&Path]| paths.iter().map(|path| path.to_path_buf()).collect();
    Targets { directories: owned(directories), files: owned(files) }
}

/// A directory `plugins` in a fresh one.
fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let plugins = directory.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    (directory, plugins)
}
