//! Steps 1 and 2 of the life cycle, again and again: the plugin directories as a library of versions.
//!
//! A [`Scanner`] is asked whenever something may have changed, and periodically; it believes nobody but the files. A file
//! that has not changed is not read again. What is kept of a file is light: never its bytes ([`Known`]).
//!
//! | file | what is in it |
//! | --- | --- |
//! | `seen.rs` | one path: has it changed, is it complete, what is it |
//! | `known.rs` | a usable file; which of several versions serves |
//! | `world.rs` | the clocks |
//!
//! A scan never says that a plugin is to be retired. Where something is in doubt, the ids concerned are *held*: what serves
//! there must not give way to a lower version. In doubt is a file that was usable and is being written, has just vanished,
//! was replaced by an unusable one or by two that claim to be the same version, or whose directory cannot be read or has
//! lost all of its files, as an unmounted one has.

mod known;
mod seen;
mod world;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use known::{Known, choice};
pub(crate) use seen::SETTLE;

use crate::error::LoadError;
use crate::find::{self, Arranged};
use crate::status::RefusedFile;
use crate::verify::{ReadLimits, VerifyPolicy};
use seen::{Judge, Seen, Verdict};
use world::{Moment, System, World};

/// A file that has not settled for so long is reported.
const TOO_LONG: Duration = Duration::from_secs(60);

/// What a scan found.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// By id, ascending by version: the usable files. Never an empty list.
    pub(crate) versions: BTreeMap<String, Vec<Known>>,
    /// The files that are complete and not usable, and why; one that does not become complete, too.
    pub(crate) refused: Vec<RefusedFile>,
    /// Directories that cannot be read, or have lost all of their files.
    pub(crate) unreadable: Vec<RefusedFile>,
    /// Ids about whose files something is in doubt: no lower version is to replace what serves there.
    pub(crate) held: BTreeSet<String>,
    /// Something has yet to settle: scan again after this time.
    pub(crate) settle_in: Option<Duration>,
}

impl Scan {
    /// The usable files of an id, ascending by version.
    pub(crate) fn of(&self, id: &str) -> &[Known] {
        self.versions.get(id).map_or(&[], Vec::as_slice)
    }

    fn again_after(&mut self, left: Duration) {
        self.settle_in = Some(self.settle_in.map_or(left, |before| before.min(left)));
    }
}

/// Looks at plugin directories, and at single files. Belongs to one thread; every look blocks on the disk.
#[derive(Debug)]
pub(crate) struct Scanner {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
    limits: ReadLimits,
    policy: VerifyPolicy,
    world: Box<dyn World>,
    seen: BTreeMap<PathBuf, Seen>,
    /// Since when files that were usable are gone, by path, with their ids.
    gone: BTreeMap<PathBuf, (String, Moment)>,
    /// Since when directories that had files have none.
    emptied: BTreeMap<PathBuf, Moment>,
    /// Files that a start did not wait for any longer: they are refused until they have settled.
    late: BTreeSet<PathBuf>,
    /// Whether there was a scan.
    running: bool,
    /// Files read so far.
    reads: u64,
}

impl Scanner {
    /// For every `*.so` in `directories`, and for `files`, whatever they are called.
    pub(crate) fn new(
        directories: Vec<PathBuf>,
        files: Vec<PathBuf>,
        limits: ReadLimits,
        policy: VerifyPolicy,
    ) -> Self {
        Self {
            directories,
            files,
            limits,
            policy,
            world: Box::new(System),
            seen: BTreeMap::new(),
            gone: BTreeMap::new(),
            emptied: BTreeMap::new(),
            late: BTreeSet::new(),
            running: false,
            reads: 0,
        }
    }

    /// What is known of this path is wrong ([`LoadError::Exchanged`]).
    pub(crate) fn forget(&mut self, path: &Path) {
        let now = self.world.now();
        if let Some(seen) = self.seen.get_mut(path) {
            seen.forget(now);
        }
    }

    /// The scans of a start: as many as it takes until everything has settled, but no longer than `limit`. What has not
    /// settled then is refused for now.
    pub(crate) fn first(&mut self, limit: Duration) -> Scan {
        let started = Instant::now();
        loop {
            let mut scan = self.scan(&[]);
            let Some(wait) = scan.settle_in else { return scan };
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                let unsettled = self.seen.iter().filter(|(_, seen)| seen.verdict().is_none());
                self.late = unsettled.map(|(path, _)| path.clone()).collect();
                scan.refused.extend(self.late.iter().map(|path| still_written(path)));
                return scan;
            }
            std::thread::sleep(wait.min(left));
        }
    }

    /// Looks at everything once. `completed`: paths that the watcher saw being completed since the last scan.
    pub(crate) fn scan(&mut self, completed: &[PathBuf]) -> Scan {
        let mut scan = Scan::default();
        let candidates = self.list(&mut scan);
        let mut judge =
            Judge { limits: &self.limits, policy: &self.policy, world: &*self.world, reads: &mut self.reads };
        let mut usable = Vec::new();
        for path in &candidates {
            let mut last_id = || self.gone.remove(path).map(|(id, _)| id);
            let seen = self.seen.entry(path.clone()).or_insert_with(|| Seen::new(judge.world.now(), last_id()));
            if let Some(left) = seen.look(path, completed.contains(path), self.running, &mut judge) {
                scan.again_after(left);
                if seen.waiting(judge.world.now()) >= TOO_LONG || self.late.contains(path) {
                    scan.refused.push(still_written(path));
                }
            } else {
                self.late.remove(path);
            }
            match seen.verdict() {
                Some(Verdict::Usable(known)) => {
                    usable.push(known.clone());
                    continue;
                }
                Some(Verdict::Refused(file) | Verdict::Unreadable(file)) => scan.refused.push(file.clone()),
                None => {}
            }
            scan.held.extend(seen.last_id());
        }
        self.running = true;
        self.miss(&candidates.into_iter().collect(), &mut scan);
        let Arranged { versions, conflicts } = find::arrange(usable);
        scan.versions = versions;
        for (file, error) in conflicts {
            scan.refused.push(RefusedFile::new(&error));
            scan.held.insert(file.descriptor.id.clone());
        }
        tracing::debug!(reads = self.reads, settle_in = ?scan.settle_in, "plugin directories scanned");
        scan
    }

    /// The paths to look at, each once, in the order of the directories and their names. Files of a directory about which
    /// nothing is known now are left out, and what was known of them is held.
    fn list(&mut self, scan: &mut Scan) -> Vec<PathBuf> {
        let now = self.world.now();
        let mut listed = Vec::new();
        for directory in &self.directories {
            let known = |path: &&PathBuf| path.parent() == Some(directory) && !self.files.contains(path);
            // One directory at a time: one that cannot be read does not hide the others.
            match find::candidates(std::slice::from_ref(directory)) {
                Ok(found) if found.is_empty() && self.seen.keys().any(|path| known(&path)) => {
                    let since = self.emptied.entry(directory.clone()).or_insert(now).steady;
                    let left = SETTLE.saturating_sub(now.steady.saturating_duration_since(since));
                    // It may be about to be filled again.
                    if left.is_zero() { scan.unreadable.push(emptied(directory)) } else { scan.again_after(left) }
                }
                Ok(found) => {
                    self.emptied.remove(directory);
                    listed.extend(found.into_iter().map(|candidate| candidate.path().to_owned()));
                    continue;
                }
                Err(error) => scan.unreadable.push(RefusedFile::new(&error)),
            }
            for (_, seen) in self.seen.iter().filter(|(path, _)| known(path)) {
                scan.held.extend(seen.last_id());
            }
        }
        listed.extend(self.files.iter().cloned());
        let mut once = HashSet::new();
        listed.retain(|path| once.insert(path.clone()));
        listed
    }

    /// Forgets what is no longer there, but holds its ids for a moment: another file may be about to take its place.
    fn miss(&mut self, listed: &BTreeSet<PathBuf>, scan: &mut Scan) {
        let now = self.world.now();
        let silent: BTreeSet<&Path> = self
            .directories
            .iter()
            .map(PathBuf::as_path)
            .filter(|directory| {
                scan.unreadable.iter().any(|file| file.path == *directory) || self.emptied.contains_key(*directory)
            })
            .collect();
        let gone = &mut self.gone;
        self.seen.retain(|path, seen| {
            let stays = listed.contains(path) || path.parent().is_some_and(|parent| silent.contains(parent));
            if let (false, Some(id)) = (stays, seen.last_id()) {
                gone.insert(path.clone(), (id, now));
            }
            stays
        });
        gone.retain(|_, (id, since)| {
            let left = SETTLE.saturating_sub(now.steady.saturating_duration_since(since.steady));
            let waits = !left.is_zero();
            if waits {
                scan.again_after(left);
                scan.held.insert(id.clone());
            }
            waits
        });
    }
}

fn still_written(path: &Path) -> RefusedFile {
    RefusedFile::new(&LoadError::Unsettled { path: path.to_owned(), quiet: SETTLE })
}

fn emptied(directory: &Path) -> RefusedFile {
    let path = directory.display();
    let message = format!(
        "{path}: all plugin files have gone from this directory; what serves, serves on: mount it, or put the files back"
    );
    RefusedFile { path: directory.to_owned(), kind: "directory-emptied", message }
}

#[cfg(test)]
mod tests;
