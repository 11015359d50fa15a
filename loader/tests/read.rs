//! Things that stand where a plugin should, and files that somebody else could have changed.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use mini_chat_plugin_loader::error::LoadError;
use mini_chat_plugin_loader::find::{Candidate, candidates};
use mini_chat_plugin_loader::verify::{OwnershipPolicy, ReadImage, ReadLimits};

fn read(path: &Path) -> Result<ReadImage, LoadError> {
    Candidate::from_path(path).read(&ReadLimits::default())
}

fn kind(path: &Path) -> &'static str {
    let error = read(path).expect_err("must be refused");
    assert_eq!(error.path(), path);
    error.kind()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn odd_entries_each_with_their_own_error() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("empty.so"), b"").unwrap();
    fs::create_dir(at("folder.so")).unwrap();
    symlink("nowhere/at-all.so", at("dangling.so")).unwrap();
    symlink("loop.so", at("loop.so")).unwrap();
    symlink("/dev/null", at("device.so")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe.so")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(at("socket.so")).unwrap();

    let mut found = Vec::new();
    for candidate in candidates(&[dir.path().into()]).unwrap() {
        let name = candidate.path().file_name().unwrap().to_string_lossy().into_owned();
        // The pipe has no writer: were it opened the usual way, the test would hang here.
        let error = candidate.read(&ReadLimits::default()).expect_err(&name);
        found.push((name, error.kind(), error.to_string()));
    }
    let expected = [
        ("dangling.so", "dangling-link", "nowhere/at-all.so"),
        ("device.so", "not-regular", "character device"),
        ("empty.so", "empty", "zero bytes"),
        ("folder.so", "not-regular", "directory"),
        ("loop.so", "unreadable", "symbolic links"),
        ("pipe.so", "not-regular", "named pipe"),
        ("socket.so", "not-regular", "socket"),
    ];
    assert_eq!(found.len(), expected.len());
    for ((name, kind, text), (want_name, want_kind, says)) in found.iter().zip(expected) {
        assert_eq!((name.as_str(), *kind), (want_name, want_kind));
        assert!(text.contains(says), "{text}");
    }
    assert_eq!(kind(&at("absent.so")), "missing");
}

#[test]
fn a_link_to_a_plugin_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("..data")).unwrap();
    fs::write(dir.path().join("..data/real.so"), b"bytes").unwrap();
    symlink("..data/real.so", dir.path().join("link.so")).unwrap();
    let image = read(&dir.path().join("link.so")).unwrap();
    assert_eq!((image.bytes(), image.size()), (&b"bytes"[..], 5));
}

/// Root may read everything, so the read runs in a child process as `nobody`; without root, chmod 000 is enough.
#[test]
fn unreadable() {
    const FILE: &str = "MINI_CHAT_TEST_UNREADABLE";
    if let Some(file) = std::env::var_os(FILE) {
        let limits = ReadLimits {
            ownership: OwnershipPolicy { allow_insecure: true, ..OwnershipPolicy::default() },
            ..ReadLimits::default()
        };
        let error = Candidate::from_path(file).read(&limits).expect_err("mode 000");
        assert_eq!(error.kind(), "unreadable");
        assert!(error.to_string().contains("Permission denied"), "{error}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    chmod(dir.path(), 0o755);
    let file = dir.path().join("secret.so");
    fs::write(&file, b"bytes").unwrap();
    chmod(&file, 0o000);
    if !is_root() {
        assert_eq!(kind(&file), "unreadable");
        return;
    }
    // The test program may stand where `nobody` cannot go.
    let program = dir.path().join("test-program");
    // Not by a copy that this process writes: one that a thread forks in the middle of cannot be run (ETXTBSY).
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.is_ok_and(|status| status.success()), "cp");
    chmod(&program, 0o755);
    let run = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", "unreadable", "--nocapture"])
        .env(FILE, &file)
        .current_dir(dir.path())
        .output()
        .expect("run setpriv");
    let out = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && out.contains("1 passed"), "{out}{}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn writable_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.so");
    fs::write(&file, b"bytes").unwrap();
    for mode in [0o666, 0o664, 0o646] {
        chmod(&file, mode);
        assert_eq!(kind(&file), "writable-by-others", "{mode:o}");
    }
    chmod(&file, 0o644);
    read(&file).unwrap();
    for (mode, refused) in [(0o777, true), (0o775, true), (0o1777, false), (0o755, false)] {
        chmod(dir.path(), mode);
        assert_eq!(read(&file).err().map(|e| e.kind()), refused.then_some("directory-writable-by-others"), "{mode:o}");
    }
    chmod(&file, 0o666);
    let ownership = OwnershipPolicy { allow_insecure: true, ..OwnershipPolicy::default() };
    Candidate::from_path(&file).read(&ReadLimits { ownership, ..ReadLimits::default() }).unwrap();
}

/// The name stands in a safe directory, the file it leads to does not.
#[test]
fn the_directory_behind_a_link_counts() {
    let (dir, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(shared.path().join("real.so"), b"bytes").unwrap();
    chmod(shared.path(), 0o777);
    symlink(shared.path().join("real.so"), dir.path().join("link.so")).unwrap();
    let error = read(&dir.path().join("link.so")).unwrap_err();
    assert_eq!(error.kind(), "directory-writable-by-others");
    assert!(error.to_string().contains(shared.path().to_str().unwrap()), "{error}");
}

#[test]
fn a_foreign_owner_is_refused_unless_trusted() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.so");
    fs::write(&file, b"bytes").unwrap();
    if !is_root() {
        eprintln!("NOT RUN: a_foreign_owner_is_refused_unless_trusted needs root for chown");
        return;
    }
    std::os::unix::fs::chown(&file, Some(12345), None).unwrap();
    let error = read(&file).unwrap_err();
    assert_eq!(error.kind(), "untrusted-owner");
    assert!(error.to_string().contains("uid 12345") && error.to_string().contains("trusted_uids"), "{error}");
    let ownership = OwnershipPolicy { trusted_uids: vec![12345], ..OwnershipPolicy::default() };
    Candidate::from_path(&file).read(&ReadLimits { ownership: ownership.clone(), ..ReadLimits::default() }).unwrap();

    // Who owns the directory could exchange the file.
    std::os::unix::fs::chown(&file, Some(0), None).unwrap();
    std::os::unix::fs::chown(dir.path(), Some(12345), None).unwrap();
    let error = read(&file).unwrap_err();
    assert_eq!(error.kind(), "untrusted-owner");
    assert!(error.to_string().contains("its directory"), "{error}");
    Candidate::from_path(&file).read(&ReadLimits { ownership, ..ReadLimits::default() }).unwrap();
}

#[test]
fn too_large() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.so");
    fs::write(&file, [1; 1000]).unwrap();
    let limit = |max_bytes| ReadLimits { max_bytes, ..ReadLimits::default() };
    assert_eq!(Candidate::from_path(&file).read(&limit(999)).unwrap_err().kind(), "too-large");
    Candidate::from_path(&file).read(&limit(1000)).unwrap();
}

/// A writer appends without pause; sooner or later a read meets it. Bounded by the number of reads, not by time.
#[test]
fn changed_while_reading() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.so");
    fs::write(&file, vec![1; 4 << 20]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            let mut writer = fs::OpenOptions::new().append(true).open(&file).unwrap();
            while !stop.load(Ordering::Relaxed) {
                writer.write_all(b"more").unwrap();
            }
        });
        let seen = (0..2000).find_map(|_| read(&file).err());
        stop.store(true, Ordering::Relaxed);
        let error = seen.expect("a read that met the writer");
        assert_eq!(error.kind(), "changed-while-reading");
    });
}
