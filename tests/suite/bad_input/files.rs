//! Things that stand where a plugin should, and files that cannot be read or must not be trusted.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mini_chat_plugin_loader::RefusedFile;
use mini_chat_plugin_loader::find::Candidate;
use mini_chat_plugin_loader::verify::{Digest, ReadLimits};
use mini_chat_plugin_tests::site::{MISBEHAVING, Site};
use mini_chat_plugin_tests::{child, plugins};

crate::cases::cases! {
    absent_directory => "directory-unreadable",
    zero_bytes => "empty",
    a_directory => "not-regular",
    a_pipe => "not-regular",
    a_dangling_link => "dangling-link",
    a_link_to_itself => "unreadable",
    writable_by_others => "writable-by-others",
    directory_writable_by_others => "directory-writable-by-others",
    owned_by_somebody => "untrusted-owner",
    too_large => "too-large",
    absent_file => "missing",
    written_while_it_is_read => "changed-while-reading",
    written_without_end => "unsettled",
    exchanged_after_it_was_judged => "exchanged",
    two_of_one_version => "same-version",
}

fn absent_directory() -> &'static str {
    let site = Site::new();
    let absent = site.path("absent");
    let refused = site.refusal_of(site.builder().plugins(&absent), &absent);
    assert!(refused.message.ends_with("(os error 2); create it or correct the configured path"), "{}", refused.message);
    refused.kind
}

fn zero_bytes() -> &'static str {
    let site = Site::new();
    let path = site.put_bytes(b"", "empty.so");
    let refused = site.refusal(&path);
    let expected = format!("{}: zero bytes, expected a shared library; copy the file again", path.display());
    assert_eq!(refused.message, expected);
    refused.kind
}

fn a_directory() -> &'static str {
    let site = Site::new();
    let path = site.path("folder.so");
    fs::create_dir(&path).unwrap();
    let refused = site.refusal(&path);
    let expected = "expected a regular file, found a directory; remove it or rename it so that it does not end in .so";
    assert_eq!(refused.message, format!("{}: {expected}", path.display()));
    refused.kind
}

/// Nobody writes to it: a host that opened it the usual way would wait for ever.
fn a_pipe() -> &'static str {
    let site = Site::new();
    let path = site.path("pipe.so");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let refused = site.refusal(&path);
    assert!(refused.message.contains("found a named pipe"), "{}", refused.message);
    refused.kind
}

fn a_dangling_link() -> &'static str {
    let site = Site::new();
    let path = site.path("dangling.so");
    symlink("gone/target.so", &path).unwrap();
    let refused = site.refusal(&path);
    let expected = "dangling link to gone/target.so; restore the target or remove the link";
    assert_eq!(refused.message, format!("{}: {expected}", path.display()));
    refused.kind
}

fn a_link_to_itself() -> &'static str {
    let site = Site::new();
    let path = site.path("loop.so");
    symlink("loop.so", &path).unwrap();
    let refused = site.refusal(&path);
    assert!(refused.message.ends_with("(os error 40); make it readable for the host's user"), "{}", refused.message);
    refused.kind
}

/// Root may read everything, so the host runs as somebody else.
#[test]
fn mode_000() {
    if !child::as_nobody("files::mode_000", &["hello"]) {
        return;
    }
    let site = Site::new();
    let path = site.put(&plugins::built("hello"), "secret.so");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let refused = site.refusal(&path);
    assert_eq!(refused.kind, "unreadable");
    let expected = "cannot be read: Permission denied (os error 13); make it readable for the host's user";
    assert_eq!(refused.message, format!("{}: {expected}", path.display()));
}

fn writable_by_others() -> &'static str {
    let site = Site::new();
    let path = site.put(&plugins::built("misbehaving-plugin"), "open.so");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
    let refused = site.refusal(&path);
    let expected = "mode 0664 lets others than its owner write; run chmod go-w on it";
    assert_eq!(refused.message, format!("{}: {expected}", path.display()));
    refused.kind
}

fn directory_writable_by_others() -> &'static str {
    let site = Site::new();
    let shared = site.path("shared");
    fs::create_dir(&shared).unwrap();
    let path = plugins::drop_in(&shared, &plugins::built("misbehaving-plugin"), "plugin.so");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = site.refusal_of(site.builder().plugins(&shared), &path);
    assert!(refused.message.ends_with("mode 0777, so others may exchange the file; run chmod go-w on it"));
    refused.kind
}

fn owned_by_somebody() -> &'static str {
    let site = Site::new();
    let path = site.put(&plugins::built("misbehaving-plugin"), "foreign.so");
    if chown(&path, Some(12345), None).is_err() {
        eprintln!("NOT RUN: owned_by_somebody needs root for chown");
        return "untrusted-owner";
    }
    let refused = site.refusal(&path);
    let expected = "it is owned by uid 12345, expected root or uid 0; change the owner, or add the uid to trusted_uids";
    assert_eq!(refused.message, format!("{}: {expected}", path.display()));
    refused.kind
}

fn too_large() -> &'static str {
    let site = Site::new();
    let limit = fs::metadata(site.path("good.so")).unwrap().len();
    let path = site.put_bytes(&vec![1; usize::try_from(limit).unwrap() + 1], "large.so");
    let limits = ReadLimits { max_bytes: limit, ..ReadLimits::default() };
    let refused = site.refusal_of(site.builder().read_limits(limits), &path);
    let expected = format!("{} bytes, the limit is {limit}; strip the file or raise the limit", limit + 1);
    assert_eq!(refused.message, format!("{}: {expected}", path.display()));
    refused.kind
}

fn absent_file() -> &'static str {
    let site = Site::new();
    let absent = site.path("absent.so");
    let refused = site.refusal_of(site.builder().plugin_file(&absent), &absent);
    let expected = "no such file; check the path, or drop the plugin there";
    assert_eq!(refused.message, format!("{}: {expected}", absent.display()));
    refused.kind
}

/// A host does not even begin to read such a file, unless it was still before: what it reads with is asked here.
fn written_while_it_is_read() -> &'static str {
    let site = Site::new();
    let path = site.path("a-large.so");
    let append = || fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
    for _ in 0..100 {
        let read = while_a_file_is_read(&path, append, || {
            Candidate::from_path(&path).read(&ReadLimits::default()).map(|image| image.size())
        });
        if let Err(error) = read {
            return error.kind();
        }
    }
    panic!("no reader met the moment");
}

/// The host waits for a moment, and then starts without it.
fn written_without_end() -> &'static str {
    let site = Site::new();
    let path = site.path("journal.so");
    // The writer may be kept from writing for so long that the file looks still: again, then.
    let (_, refused) = (0..5)
        .map(|_| being_written(&site, &path))
        .find(|(longest, _)| *longest < Duration::from_millis(400))
        .expect("a writer that gets to write");
    let refused = refused.expect("it is refused until it has settled");
    let expected =
        "still being written; it is used once nobody has written to it for 500ms: put files in place with a rename";
    assert_eq!(refused.message, format!("{}: {expected}", path.display()));
    refused.kind
}

/// Serves while a file of the directory is written to; the longest pause of the writer, and what was refused.
fn being_written(site: &Site, path: &Path) -> (Duration, Option<RefusedFile>) {
    let built = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (mut file, mut last) = (fs::File::create(path).unwrap(), Instant::now());
        file.write_all(b"x").unwrap();
        let built = &built;
        let writer = scope.spawn(move || {
            let mut longest = Duration::ZERO;
            while !built.load(Ordering::Relaxed) {
                let before = Instant::now();
                file.write_all(b"x").unwrap();
                // From before one write to after the next: never less than the file was still.
                longest = longest.max(last.elapsed());
                last = before;
                std::thread::sleep(Duration::from_millis(5));
            }
            longest.max(last.elapsed())
        });
        let host = site.serve(site.builder().plugin_file(path));
        let refused = host.status().refused_files.first().cloned();
        built.store(true, Ordering::Relaxed);
        (writer.join().unwrap(), refused)
    })
}

/// Another build is renamed into place while the host reads the next file.
fn exchanged_after_it_was_judged() -> &'static str {
    let site = Site::new();
    let build = fs::read(plugins::built("misbehaving-plugin")).unwrap();
    let (path, large) = (site.path("0-first.so"), site.path("a-large.so"));
    for _ in 0..100 {
        site.put_bytes(&build, "0-first.so");
        let other = site.put_bytes(&[&build[..], b"another build"].concat(), ".other");
        let exchange = || drop(fs::rename(&other, &path));
        let host = while_a_file_is_read(&large, exchange, || site.serve(site.builder()));
        let status = host.status();
        let plugin = status.plugins.iter().find(|plugin| plugin.name == MISBEHAVING).unwrap();
        if let Some((kind, text)) = &plugin.reason {
            let expected = format!("{}: has other bytes (sha256 {}) than when it was judged (", path.display(), {
                Digest::of(&fs::read(&path).unwrap()).short()
            });
            assert!(text.starts_with(&expected), "{text}");
            return kind;
        }
    }
    panic!("no host met the moment");
}

/// Does something, again and again, while this process has `large` open, which is made for that.
fn while_a_file_is_read<T>(large: &Path, act: impl Fn() + Sync, read: impl FnOnce() -> T) -> T {
    fs::write(large, b"x").unwrap();
    fs::OpenOptions::new().write(true).open(large).unwrap().set_len(64 << 20).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if is_open(large) {
                    act();
                }
            }
        });
        let read = read();
        done.store(true, Ordering::Relaxed);
        read
    })
}

fn is_open(path: &Path) -> bool {
    let open = fs::read_dir("/proc/self/fd").unwrap();
    open.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|target| target == path))
}

/// Nobody can say which of the two is meant: neither is used, and both are named.
fn two_of_one_version() -> &'static str {
    let site = Site::with_misbehaving();
    let one = site.path("misbehaving.so");
    // Bytes behind the end of the tables: the same plugin, other bytes.
    let other = site.put_bytes(&[fs::read(&one).unwrap(), b"another build".to_vec()].concat(), "second.so");
    let host = site.serve(site.builder());
    let refused = host.status().refused_files;
    assert_eq!(refused.iter().map(|file| &file.path).collect::<Vec<_>>(), [&one, &other]);
    let advice = "but other bytes; keep one of them, or give one a new version";
    for (file, other) in refused.iter().zip([&other, &one]) {
        assert_eq!(file.kind, "same-version");
        let id = "acme.test._.misbehaving.v1 and version 0.1.0";
        let (path, other) = (file.path.display(), other.display());
        assert_eq!(file.message, format!("{path}: has the id {id} of {other}, {advice}"));
    }
    refused[0].kind
}

/// Twice the same bytes are one version.
#[test]
fn two_copies_are_one() {
    let site = Site::new();
    site.put(&site.path("good.so"), "copy.so");
    let host = site.serve(site.builder());
    assert_eq!(host.status().refused_files.len(), 0);
}
