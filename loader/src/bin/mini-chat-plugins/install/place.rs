//! [`put`]: a file gets into a directory whole, or not at all.
//!
//! It is written to a file without a name where the system has such files, so that nothing is left behind however this
//! ends; else to a hidden one that is removed. A host passes over hidden files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat};

use crate::exit::Exit;
use crate::failure::Failure;

/// What others may do with an installed file: read it.
const MODE: u32 = 0o644;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Put {
    Written,
    /// These very bytes stand there already.
    Unchanged,
}

/// Removes a hidden file, unless it has got its name.
struct Hidden(PathBuf);

impl Drop for Hidden {
    fn drop(&mut self) {
        // Fails when it has been renamed, as it should have.
        let _ = fs::remove_file(&self.0);
    }
}

/// Puts `bytes` into the directory under `name`, in the place of what stands there.
pub(super) fn put(bytes: &[u8], directory: &Path, name: &OsStr) -> Result<Put, Failure> {
    let target = directory.join(name);
    let failed = |what: &str, error: io::Error| {
        let what = format!("{}: cannot {what}; nothing was changed", target.display());
        Failure::new(Exit::Unavailable, what).because(error)
    };
    if stands_there(bytes, &target) {
        return Ok(Put::Unchanged);
    }
    let hidden = hidden_name(name);
    let hidden = Hidden(directory.join(hidden));
    // One of a process with this number, which was killed.
    let _ = fs::remove_file(&hidden.0);
    write(bytes, directory, &hidden.0).map_err(|error| failed("write it to its directory", error))?;
    fs::rename(&hidden.0, &target).map_err(|error| failed("rename it into its place", error))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| {
        let what = format!("{}: installed, but the directory could not be flushed", target.display());
        Failure::new(Exit::Unavailable, what).because(error)
    })?;
    Ok(Put::Written)
}

fn hidden_name(name: &OsStr) -> OsString {
    let mut hidden = OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}.installing", std::process::id()));
    hidden
}

fn stands_there(bytes: &[u8], target: &Path) -> bool {
    let fit = |meta: &fs::Metadata| meta.is_file() && meta.permissions().mode() & 0o022 == 0;
    fs::symlink_metadata(target).is_ok_and(|meta| fit(&meta) && meta.len() == bytes.len() as u64)
        && fs::read(target).is_ok_and(|found| found == bytes)
}

/// Writes and flushes, under the name `hidden` in the end.
fn write(bytes: &[u8], directory: &Path, hidden: &Path) -> io::Result<()> {
    let nameless = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(directory, nameless, Mode::from_raw_mode(0o600)) {
        let file = File::from(file);
        fill(&file, bytes)?;
        let by_descriptor = format!("/proc/self/fd/{}", file.as_raw_fd());
        if linkat(CWD, by_descriptor, CWD, hidden, AtFlags::SYMLINK_FOLLOW).is_ok() {
            return Ok(());
        }
    }
    let file = File::options().write(true).create_new(true).mode(0o600).open(hidden)?;
    fill(&file, bytes)
}

fn fill(mut file: &File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(directory: &Path) -> Vec<OsString> {
        let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn it_replaces_what_stands_there_and_leaves_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let name = OsStr::new("lib.so");
        assert_eq!(put(b"one", directory.path(), name).unwrap(), Put::Written);
        assert_eq!(put(b"one", directory.path(), name).unwrap(), Put::Unchanged);
        assert_eq!(put(b"two", directory.path(), name).unwrap(), Put::Written);
        let target = directory.path().join(name);
        assert_eq!(fs::read(&target).unwrap(), b"two");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o644);
        // A file that others may write to, and a link: the same bytes are not enough.
        fs::set_permissions(&target, Permissions::from_mode(0o666)).unwrap();
        assert_eq!(put(b"two", directory.path(), name).unwrap(), Put::Written);
        fs::rename(&target, directory.path().join("other")).unwrap();
        symlink("other", &target).unwrap();
        assert_eq!(put(b"two", directory.path(), name).unwrap(), Put::Written);
        assert!(fs::symlink_metadata(&target).unwrap().is_file());
        assert_eq!(names(directory.path()), ["lib.so", "other"]);
    }

    #[test]
    fn what_fails_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("lib.so")).unwrap();
        let failure = put(b"one", directory.path(), OsStr::new("lib.so")).unwrap_err();
        assert_eq!(failure.exit(), Exit::Unavailable);
        assert!(failure.to_string().contains("cannot rename it into its place; nothing was changed: "), "{failure}");
        assert_eq!(names(directory.path()), ["lib.so"]);
    }

    #[test]
    fn a_hidden_file_is_written_where_nameless_ones_cannot_be() {
        let directory = tempfile::tempdir().unwrap();
        let hidden = Hidden(directory.path().join(".x"));
        // The directory that nameless files would be in is none.
        write(b"one", Path::new("/proc/self"), &hidden.0).unwrap();
        assert_eq!(fs::read(&hidden.0).unwrap(), b"one");
        drop(hidden);
        assert!(names(directory.path()).is_empty());
    }
}
