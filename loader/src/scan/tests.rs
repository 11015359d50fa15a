//! Tests of the scanner, by what they show. Time is made by the tests: none of them waits.

mod places;
mod settling;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::world::{Moment, System, World};
use super::{SETTLE, Scan, Scanner};
use crate::test_support;
use crate::verify::{ReadLimits, VerifyPolicy};

const ID: &str = "acme.audit._.jsonl.v1";
const MS: fn(u64) -> Duration = Duration::from_millis;
const HOUR: Duration = Duration::from_secs(3600);

/// A clock that stands still until it is moved. By it, every file of a test is new, until the wall clock is put ahead.
#[derive(Debug, Clone)]
struct Clock(Arc<Mutex<(Moment, bool)>>);

impl World for Clock {
    fn now(&self) -> Moment {
        self.0.lock().unwrap().0
    }

    fn stamps_by_our_clock(&self, _: &Path) -> bool {
        self.0.lock().unwrap().1
    }
}

/// A plugin directory and a scanner on it.
struct Place {
    directory: tempfile::TempDir,
    clock: Clock,
    scanner: Scanner,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let plugins = directory.path().join("plugins");
        fs::create_dir(&plugins).unwrap();
        Self::on(directory, vec![plugins], Vec::new())
    }

    fn on(directory: tempfile::TempDir, directories: Vec<PathBuf>, files: Vec<PathBuf>) -> Self {
        let clock = Clock(Arc::new(Mutex::new((System.now(), true))));
        let mut scanner = Scanner::new(directories, files, ReadLimits::default(), VerifyPolicy::default());
        scanner.world = Box::new(clock.clone());
        Self { directory, clock, scanner }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("plugins").join(name)
    }

    /// In place, as `cp` does.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Written beside, then renamed into place.
    fn rename_in(&self, name: &str, bytes: &[u8], written: Written) -> PathBuf {
        let partial = self.write(".partial", bytes);
        if let Written::LongAgo = written {
            set_modified(&partial, SystemTime::now() - HOUR);
        }
        fs::rename(partial, self.path(name)).unwrap();
        self.path(name)
    }

    fn pass(&self, time: Duration) {
        self.clock.0.lock().unwrap().0.steady += time;
    }

    /// Every file is so old, by its times.
    fn age(&self, time: Duration) {
        self.clock.0.lock().unwrap().0.wall += time.as_nanos() as i128;
    }

    fn on_network(&self) {
        self.clock.0.lock().unwrap().1 = false;
    }

    fn scan(&mut self) -> Scan {
        self.scanner.scan(&[])
    }

    /// A scan once everything has settled.
    fn settled(&mut self) -> Scan {
        for _ in 0..5 {
            let Some(left) = self.scan().settle_in else { break };
            self.pass(left);
        }
        let scan = self.scan();
        assert!(scan.settle_in.is_none(), "{scan:?}");
        scan
    }
}

#[derive(Clone, Copy)]
enum Written {
    Now,
    LongAgo,
}

fn set_modified(path: &Path, time: SystemTime) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A plugin of this version.
fn plugin(version: &str) -> Vec<u8> {
    let mut descriptor = test_support::descriptor();
    descriptor["version"] = version.into();
    test_support::plugin_bytes(&descriptor.to_string())
}

/// The same, other bytes.
fn other_build(version: &str) -> Vec<u8> {
    [plugin(version), b"another build".to_vec()].concat()
}

/// The versions with the id of the tests' plugin.
fn found(scan: &Scan) -> Vec<String> {
    assert!(scan.versions.values().all(|files| !files.is_empty()));
    scan.versions.get(ID).into_iter().flatten().map(|known| known.version.to_string()).collect()
}

fn kinds(scan: &Scan) -> Vec<&'static str> {
    scan.unreadable.iter().chain(&scan.refused).map(|file| file.kind).collect()
}

fn is_held(scan: &Scan) -> bool {
    scan.held.contains(ID)
}
