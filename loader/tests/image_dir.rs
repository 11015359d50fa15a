//! The place of the private copies: what is written there, what is left, and every way in which a place is unusable.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mini_chat_plugin_loader::error::ImageDirError;
use mini_chat_plugin_loader::image_dir::{ImageDir, ImageDirChoice};
use mini_chat_plugin_loader::verify::VerifiedImage;
use support::{in_mount_namespace, mount_tmpfs, plugin, verify};

fn image() -> (tempfile::TempDir, VerifiedImage) {
    let dir = tempfile::tempdir().unwrap();
    let image = verify(&plugin(dir.path())).unwrap();
    (dir, image)
}

fn explicit(dir: &Path) -> Result<ImageDir, ImageDirError> {
    ImageDir::open(ImageDirChoice::Explicit(dir.into()))
}

fn problem(dir: &Path) -> &'static str {
    match explicit(dir).expect_err("must be unusable") {
        ImageDirError::Unusable { dir: named, problem } => {
            assert_eq!(named, dir);
            problem.kind()
        }
        other => panic!("{other}"),
    }
}

fn entries(dir: &Path) -> Vec<String> {
    let mut all: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

fn load(path: &Path) -> libloading::Library {
    // SAFETY: the fixture's constructor only sets a variable of its own.
    unsafe { libloading::Library::new(path) }.unwrap()
}

#[test]
fn the_very_bytes_in_a_private_file() {
    let (_source, image) = image();
    let base = tempfile::tempdir().unwrap();
    let dir = explicit(base.path()).unwrap();
    let folder = dir.folder().unwrap().to_path_buf();
    assert_eq!(folder.metadata().unwrap().mode() & 0o7777, 0o700);
    assert_eq!(entries(&folder), [".lock"], "the probe is gone");

    let stored = dir.store("acme.audit._.jsonl.v1", &image).unwrap();
    let name = stored.path().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.starts_with(&format!("acme.audit._.jsonl.v1-{}-", image.digest().short())), "{name}");
    assert!(name.ends_with(".so"));
    assert_eq!(stored.path().metadata().unwrap().mode() & 0o7777, 0o400);
    assert_eq!(fs::read(stored.path()).unwrap(), image.bytes());

    // Twice the same image: another path, so another library.
    let again = dir.store("acme.audit._.jsonl.v1", &image).unwrap();
    assert_ne!(again.path(), stored.path());
    let (one, two) = (load(stored.path()), load(again.path()));
    // SAFETY: only the address is taken.
    let entry = |library: &libloading::Library| unsafe {
        *library.get::<unsafe extern "C" fn(u32) -> i32>(b"mini_chat_plugin_entry").unwrap() as usize
    };
    assert_ne!(entry(&one), entry(&two));

    let kept = again.keep();
    let unmapped = stored.path().to_path_buf();
    drop(stored);
    assert!(!unmapped.exists(), "a copy that was not kept is removed");
    assert!(kept.path().exists());
    drop(dir);
    assert!(!folder.exists() && entries(base.path()).is_empty());
}

#[test]
fn hostile_names_stay_in_the_folder() {
    let (_source, image) = image();
    let base = tempfile::tempdir().unwrap();
    let dir = explicit(base.path()).unwrap();
    for stem in ["../../evil", "", ".hidden", "-rf", "ä b\n$(x)", &"long".repeat(200)] {
        let stored = dir.store(stem, &image).unwrap();
        assert_eq!(stored.path().parent(), dir.folder(), "{stem:?}");
        let name = stored.path().file_name().unwrap().to_str().unwrap();
        assert!(!name.starts_with(['.', '-']) && name.len() < 150, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)), "{name}");
    }
}

#[test]
fn memory_is_sealed_and_loads() {
    let (_source, image) = image();
    let dir = ImageDir::open(ImageDirChoice::Memory).unwrap();
    assert_eq!(dir.folder(), None);
    let stored = dir.store("acme", &image).unwrap();
    assert_eq!(fs::read(stored.path()).unwrap(), image.bytes());
    let seals = rustix::fs::fcntl_get_seals(fs::File::open(stored.path()).unwrap()).unwrap();
    use rustix::fs::SealFlags;
    assert_eq!(seals & SealFlags::all(), SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL);
    assert!(fs::OpenOptions::new().write(true).open(stored.path()).and_then(|f| f.set_len(0)).is_err());
    let library = load(stored.path());
    let kept = stored.keep();
    assert!(kept.path().exists(), "the descriptor stays open");
    drop(library);
}

#[test]
fn unusable_directories_by_name() {
    let base = tempfile::tempdir().unwrap();
    assert_eq!(problem(&base.path().join("absent")), "missing");
    let file = base.path().join("file");
    fs::write(&file, b"x").unwrap();
    assert_eq!(problem(&file), "not-a-directory");
    let shared = base.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(problem(&shared), "insecure");
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    explicit(&shared).unwrap();
}

/// A process that is killed leaves its folder; the next one removes that, and nothing else.
#[test]
fn stale_folders_are_removed() {
    const BASE: &str = "MINI_CHAT_TEST_STALE_BASE";
    if let Some(base) = std::env::var_os(BASE) {
        let _dir = explicit(Path::new(&base)).unwrap();
        println!("open");
        // Until the parent kills us.
        std::io::Read::read(&mut std::io::stdin(), &mut [0]).unwrap();
        unreachable!("the parent does not write");
    }
    let base = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stale_folders_are_removed", "--nocapture"])
        .env(BASE, base.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    assert!(std::io::BufRead::lines(out).any(|line| line.unwrap().contains("open")));
    let theirs = entries(base.path());
    assert_eq!(theirs.len(), 1);

    // Things that only look like ours.
    let precious = tempfile::tempdir().unwrap();
    fs::write(precious.path().join("precious"), b"x").unwrap();
    symlink(precious.path(), base.path().join("mini-chat-plugins-1-link")).unwrap();
    fs::create_dir(base.path().join("mini-chat-plugins-2-nolock")).unwrap();
    fs::write(base.path().join("mini-chat-plugins-2-nolock/file"), b"x").unwrap();
    fs::write(base.path().join("mini-chat-plugins-3-file"), b"x").unwrap();
    fs::create_dir(base.path().join("other")).unwrap();
    let others = ["mini-chat-plugins-1-link", "mini-chat-plugins-2-nolock", "mini-chat-plugins-3-file", "other"];

    let dir = explicit(base.path()).unwrap();
    assert!(base.path().join(&theirs[0]).exists(), "its process lives");
    drop(dir);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(base.path().join(&theirs[0]).exists(), "killed, it could not clean up");
    drop(explicit(base.path()).unwrap());
    assert_eq!(entries(base.path()), others);
    assert!(precious.path().join("precious").exists());
}

#[test]
fn two_in_one_process_do_not_remove_each_other() {
    let (_source, image) = image();
    let base = tempfile::tempdir().unwrap();
    let one = explicit(base.path()).unwrap();
    let stored = one.store("one", &image).unwrap();
    let two = explicit(base.path()).unwrap();
    assert!(stored.path().exists());
    assert_ne!(one.folder(), two.folder());
}

#[test]
fn opening_at_the_same_time_never_fails() {
    let base = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| drop(explicit(base.path()).unwrap())));
        }
    });
    assert!(entries(base.path()).is_empty());
}

#[test]
fn a_folder_that_vanished_is_an_error_of_that_store_only() {
    let (_source, image) = image();
    let base = tempfile::tempdir().unwrap();
    let dir = explicit(base.path()).unwrap();
    fs::remove_dir_all(dir.folder().unwrap()).unwrap();
    let error = dir.store("x", &image).unwrap_err();
    assert_eq!((error.kind(), error.path()), ("image-dir-io", image.path()));
}

#[test]
fn noexec_is_found_by_trying() {
    if !in_mount_namespace("noexec_is_found_by_trying") {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    mount_tmpfs(base.path(), "size=1m,noexec,mode=700");
    assert_eq!(problem(base.path()), "noexec");
    assert!(entries(base.path()).is_empty(), "nothing is left");
}

#[test]
fn read_only_at_start_and_later() {
    if !in_mount_namespace("read_only_at_start_and_later") {
        return;
    }
    let (_source, image) = image();
    let base = tempfile::tempdir().unwrap();
    mount_tmpfs(base.path(), "size=1m,mode=700");
    let dir = explicit(base.path()).unwrap();
    // A remount is refused while our marker is open for writing; a read-only view on top is not.
    let folder = dir.folder().unwrap().to_str().unwrap().to_owned();
    mount(&["--bind", &folder, &folder]);
    mount(&["-o", "remount,bind,ro", &folder]);
    let error = dir.store("x", &image).unwrap_err();
    assert_eq!((error.kind(), error.path()), ("image-dir-read-only", image.path()));
    assert!(error.to_string().contains(&folder), "{error}");
    assert!(Command::new("umount").arg(&folder).status().unwrap().success());
    drop(dir);
    mount_tmpfs_again(base.path(), "ro");
    assert_eq!(problem(base.path()), "read-only");
}

/// Changes the options of a mounted tmpfs.
fn mount_tmpfs_again(dir: &Path, options: &str) {
    mount(&["-o", &format!("remount,{options}"), dir.to_str().unwrap()]);
}

fn mount(args: &[&str]) {
    let run = Command::new("mount").args(args).output().unwrap();
    assert!(run.status.success(), "mount {args:?}: {}", String::from_utf8_lossy(&run.stderr));
}

#[test]
fn full_at_start_and_later() {
    if !in_mount_namespace("full_at_start_and_later") {
        return;
    }
    let (_source, image) = image();
    let base = tempfile::tempdir().unwrap();
    mount_tmpfs(base.path(), "size=64k,mode=700");
    let dir = explicit(base.path()).unwrap();
    let error = dir.store("x", &image).unwrap_err();
    assert_eq!((error.kind(), error.path()), ("image-dir-full", image.path()));
    let text = error.to_string();
    assert!(text.contains(&format!("{} bytes needed", image.size())) && text.contains("65536 free"), "{text}");
    assert_eq!(entries(dir.folder().unwrap()), [".lock"], "no partial file");

    // One failure spoils nothing: with more room the same directory works.
    mount_tmpfs_again(base.path(), "size=2m");
    drop(dir.store("x", &image).unwrap());
    mount_tmpfs_again(base.path(), "size=64k");
    drop(dir);
    fs::write(base.path().join("ballast"), vec![1; 65536]).unwrap();
    assert_eq!(problem(base.path()), "full");
    assert_eq!(entries(base.path()), ["ballast"], "nothing is left");
}

/// `$CACHE_DIRECTORY`, `$TMPDIR`, `/tmp`, memory, in that order; each that fails is passed over and named. The
/// environment is that of a child process, this very test again.
#[test]
fn automatic_falls_back() {
    const EXPECT: &str = "MINI_CHAT_TEST_EXPECT";
    if let Some(expected) = std::env::var_os(EXPECT) {
        let expected = expected.into_string().unwrap();
        let (place, passed_over) = expected.split_once('|').unwrap();
        if passed_over.contains("/tmp:noexec") {
            mount_tmpfs(Path::new("/tmp"), "noexec,mode=1777");
        }
        let dir = ImageDir::open(ImageDirChoice::Automatic).unwrap();
        let base = dir.folder().map(|f| f.parent().unwrap().display().to_string());
        assert_eq!(base.as_deref().unwrap_or("memory"), place);
        let found: Vec<_> = dir.passed_over().iter().map(|(d, p)| format!("{}:{}", d.display(), p.kind())).collect();
        assert_eq!(found.join(","), passed_over);
        return;
    }
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, two) = (one.path().to_str().unwrap(), two.path().to_str().unwrap());
    let run = |command: &str, cache: Option<&str>, tmp: Option<&str>, expect: &str| {
        let program: PathBuf = std::env::current_exe().unwrap();
        let mut words = command.split_whitespace().map(PathBuf::from).chain([program]);
        let mut child = Command::new(words.next().unwrap());
        child.args(words).args(["--exact", "automatic_falls_back", "--nocapture"]);
        child.env_remove("CACHE_DIRECTORY").env_remove("TMPDIR").env(EXPECT, expect);
        child.envs(cache.map(|dir| ("CACHE_DIRECTORY", dir))).envs(tmp.map(|dir| ("TMPDIR", dir)));
        let run = child.output().unwrap();
        let out = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success() && out.contains("1 passed"), "{out}{}", String::from_utf8_lossy(&run.stderr));
    };
    run("", Some(one), Some(two), &format!("{one}|"));
    run("", Some(&format!("{one}:{two}")), None, &format!("{one}|"));
    run("", None, Some(two), &format!("{two}|"));
    run("", Some("/absent"), Some(two), &format!("{two}|/absent:missing"));
    run("", Some("/absent"), Some("/dev/null"), "/tmp|/absent:missing,/dev/null:not-a-directory");
    if Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success()) {
        run("unshare --mount", Some("/absent"), None, "memory|/absent:missing,/tmp:noexec");
    } else {
        eprintln!("NOT RUN: the fall back to memory needs `unshare --mount` for a /tmp without exec");
    }
}
