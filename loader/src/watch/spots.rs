//! [`Spots`]: which directories have to be watched, and which names in them matter.
//!
//! A path means another file when any link on the way to it is exchanged (Kubernetes: `plugins.toml` → `..data/plugins.toml`
//! and `..data` → `..2026_01_01`), and a directory when it is itself removed, made again or exchanged. So the directory in
//! which each such name stands is watched, too, for that name; and where a path ends in nothing, the directory where it
//! ends, for the name that is missing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Targets;

/// As the kernel: more links are a circle.
const MOST_LINKS: usize = 40;

#[derive(Debug, Default)]
pub(super) struct Spots {
    /// By real directory.
    pub(super) directories: BTreeMap<PathBuf, Spot>,
    /// Real path of a target file: as it was named.
    files: BTreeMap<PathBuf, Vec<PathBuf>>,
}

#[derive(Debug, Default)]
pub(super) struct Spot {
    names: BTreeSet<OsString>,
    /// As which targets it was named; then every name in it matters.
    targets: Vec<PathBuf>,
}

impl Spot {
    /// Whether changes in it are what is asked for, not only changes of the way to it.
    pub(super) fn is_target(&self) -> bool {
        !self.targets.is_empty()
    }
}

impl Spots {
    /// Follows every link. Blocks on the file system.
    pub(super) fn resolve(targets: &Targets) -> Self {
        let mut spots = Self::default();
        for directory in &targets.directories {
            if let Some((real, true)) = spots.follow(directory) {
                spots.directories.entry(real).or_default().targets.push(directory.clone());
            }
        }
        for file in &targets.files {
            // One that is absent may come.
            if let Some((real, _)) = spots.follow(file) {
                spots.files.entry(real).or_default().push(file.clone());
            }
        }
        spots
    }

    /// The real path, if all but its last name is there, and whether that is there, too; notes every name on which it
    /// depends.
    fn follow(&mut self, path: &Path) -> Option<(PathBuf, bool)> {
        let path = std::path::absolute(path).ok()?;
        let mut rest: VecDeque<OsString> = names(&path);
        let mut real = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = rest.pop_front() {
            if name == OsStr::new("..") {
                real.pop();
                continue;
            }
            let next = real.join(&name);
            let found = fs::symlink_metadata(&next);
            let is_link = found.as_ref().is_ok_and(fs::Metadata::is_symlink);
            if is_link || found.is_err() || rest.is_empty() {
                self.directories.entry(real.clone()).or_default().names.insert(name);
            }
            if found.is_err() {
                return rest.is_empty().then_some((next, false));
            }
            if !is_link {
                real = next;
                continue;
            }
            links += 1;
            if links > MOST_LINKS {
                return None;
            }
            let target = fs::read_link(&next).ok()?;
            if target.is_absolute() {
                real = PathBuf::from("/");
            }
            names(&target).into_iter().rev().for_each(|name| rest.push_front(name));
        }
        Some((real, true))
    }

    /// Whether what happened to this real path matters.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let within = || {
            let spot = self.directories.get(path.parent()?)?;
            Some(spot.is_target() || spot.names.contains(path.file_name()?))
        };
        // The second: about a watched directory itself.
        within().unwrap_or(false) || self.directories.contains_key(path)
    }

    /// As what a real path is known to those who gave the targets.
    pub(super) fn named(&self, path: &Path) -> Vec<PathBuf> {
        let mut named = self.files.get(path).cloned().unwrap_or_default();
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name())
            && let Some(spot) = self.directories.get(parent)
        {
            named.extend(spot.targets.iter().map(|directory| directory.join(name)));
        }
        named
    }
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}
