use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::record::Tried;
use super::{Good, Keeper, Kept, Material, Record, StateDir};
use crate::error::StateDirError;
use crate::services::HostIdentity;
use crate::supervisor::Shared;
use crate::verify::Digest;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn good(bytes: &[u8]) -> Kept {
    let digest = Digest::of(bytes);
    let build =
        Tried { digest, settings: Digest::of(b"settings"), version: "1.0.0".into(), file: "/plugins/a.so".into() };
    Kept { good: Some(Good { build, config: None, kinds: vec!["audit".to_owned()] }), ..Kept::default() }
}

fn record(bytes: &[u8]) -> Record {
    Record { plugins: [("a".to_owned(), good(bytes))].into(), ..Record::default() }
}

/// A directory with a keeper that has written these bytes as good.
fn kept(bytes: &[u8]) -> (TempDir, Keeper, Arc<Shared>) {
    let place = tempfile::tempdir().unwrap();
    let dir = StateDir::open(&place.path().join("state")).expect("it can be had");
    let shared = Arc::new(Shared::new(8, HostIdentity { name: "tests".into(), version: "1".into() }));
    let mut keeper = Keeper::start(dir, Record::default(), Arc::clone(&shared)).unwrap();
    keep(&mut keeper, place.path(), bytes).expect("written");
    (place, keeper, shared)
}

fn keep(keeper: &mut Keeper, place: &Path, bytes: &[u8]) -> Result<(), String> {
    let from = place.join("from");
    fs::write(&from, bytes).unwrap();
    let material = || Material { images: vec![(Digest::of(bytes), from)], configs: Vec::new() };
    let written = keeper.keep(record(bytes), material).expect("it is new");
    futures_executor::block_on(written).map_err(|error| error.to_string())
}

#[test]
fn what_is_kept_is_found_again_and_nobody_else_may_read_it() {
    let (place, keeper, _) = kept(b"one");
    let dir = Arc::clone(keeper.dir());
    let image = dir.image(&Digest::of(b"one"));
    assert_eq!((fs::read(&image).unwrap(), mode(&image)), (b"one".to_vec(), 0o400));
    assert_eq!(mode(dir.path()), 0o700);
    assert_eq!(mode(&dir.path().join("state.json")), 0o600);
    assert_eq!(dir.read(), record(b"one"));
    drop((keeper, place));
}

#[test]
fn what_nothing_refers_to_any_more_is_removed() {
    let (place, mut keeper, _) = kept(b"one");
    keep(&mut keeper, place.path(), b"two").expect("written");
    let images = fs::read_dir(keeper.dir().images()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(images.collect::<Vec<_>>(), [Digest::of(b"two").to_string().as_str()]);
    assert!(keeper.keep(record(b"two"), Material::default).is_none(), "nothing has changed");
}

#[test]
fn what_cannot_be_written_is_said_and_leaves_what_was_there() {
    let (place, mut keeper, shared) = kept(b"one");
    // The image that is to be kept is not the bytes that were verified.
    let from = place.path().join("other");
    fs::write(&from, b"other").unwrap();
    let material = || Material { images: vec![(Digest::of(b"two"), from)], configs: Vec::new() };
    let written = keeper.keep(record(b"two"), material).expect("it is new");
    futures_executor::block_on(written).expect_err("it is not written");
    let problem = shared.state.lock().unwrap().problem.clone().expect("it is said");
    assert!(problem.contains("not the bytes that were verified"), "{problem}");
    assert_eq!(keeper.dir().read(), record(b"one"));
    keep(&mut keeper, place.path(), b"three").expect("written");
    assert_eq!(shared.state.lock().unwrap().problem, None);
}

#[test]
fn a_state_that_cannot_be_read_is_put_aside() {
    for text in ["{", "{\"format\": 2}", ""] {
        let (_place, keeper, _) = kept(b"one");
        let path = keeper.dir().path().join("state.json");
        fs::write(&path, text).unwrap();
        assert_eq!(keeper.dir().read(), Record::default(), "{text}");
        assert_eq!(fs::read_to_string(keeper.dir().path().join("state.json.unreadable")).unwrap(), text);
        assert!(!path.exists());
    }
}

#[test]
fn a_directory_that_will_not_do_is_refused_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(StateDir::open(&file), Err(StateDirError::Io { .. })));

    let open = place.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    let error = StateDir::open(&open).unwrap_err();
    assert!(matches!(error, StateDirError::Insecure { mode: 0o777, .. }), "{error}");

    let path = place.path().join("used");
    let first = StateDir::open(&path).expect("it can be had");
    assert!(matches!(StateDir::open(&path), Err(StateDirError::InUse { .. })));
    drop(first);
    // A process that another test forks at this moment has the lock too, until it runs its program.
    let limit = Instant::now() + Duration::from_secs(30);
    while let Err(error) = StateDir::open(&path) {
        assert!(Instant::now() < limit, "it is free again: {error}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
