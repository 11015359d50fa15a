//! What is heard of files, and what is made of it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notify::Event;
use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, Flag, MetadataKind, ModifyKind, RenameMode};

use super::{Cause, Watched, place, targets};
use crate::watch::Shared;
use crate::watch::backend::{Heard, translate};
use crate::watch::spots::Spots;

#[test]
fn a_file_is_completed_when_its_writer_closes_it() {
    let (_directory, plugins) = place();
    let watched = Watched::inotify(&[&plugins], &[]);
    let path = plugins.join("a.so");
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(b"half").unwrap();
    let wake = watched.next();
    assert_eq!((wake.cause, wake.completed.len()), (Cause::Events, 0));
    file.write_all(b"rest").unwrap();
    drop(file);
    watched.until_completed(&path);
}

#[test]
fn a_file_is_completed_when_it_is_renamed_into_place() {
    let (directory, plugins) = place();
    let watched = Watched::inotify(&[&plugins], &[]);
    let (partial, path) = (directory.path().join("partial"), plugins.join("a.so"));
    fs::write(&partial, b"whole").unwrap();
    fs::rename(&partial, &path).unwrap();
    watched.until_completed(&path);
}

#[test]
fn a_directory_is_spelled_as_it_was_given() {
    let (directory, plugins) = place();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("plugins", &link).unwrap();
    let roundabout = directory.path().join("plugins/../plugins");
    let watched = Watched::inotify(&[&link, &roundabout], &[]);
    fs::write(plugins.join("a.so"), b"x").unwrap();
    let wake = watched.until(|wake| !wake.completed.is_empty());
    assert_eq!(
        wake.completed.iter().collect::<std::collections::BTreeSet<_>>(),
        [&link.join("a.so"), &roundabout.join("a.so")].into()
    );
}

#[test]
fn removal_and_mode_are_heard_too() {
    let (_directory, plugins) = place();
    let path = plugins.join("a.so");
    fs::write(&path, b"x").unwrap();
    let watched = Watched::inotify(&[&plugins], &[]);
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert!(watched.next().completed.is_empty());
    fs::remove_file(&path).unwrap();
    assert!(watched.next().completed.is_empty());
}

#[test]
fn who_writes_without_end_does_not_keep_others_from_being_heard() {
    let (_directory, plugins) = place();
    let watched = Watched::inotify(&[&plugins], &[]);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::create(plugins.join("journal")).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"x").unwrap();
            }
        });
        for _ in 0..3 {
            watched.next();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn other_targets_take_the_place_of_the_first() {
    let (directory, plugins) = place();
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    let watched = Watched::inotify(&[&plugins], &[]);
    watched.watcher.set_targets(targets(&[&other], &[]));
    assert_eq!(watched.next().cause, Cause::Events);
    fs::write(plugins.join("unheard.so"), b"x").unwrap();
    fs::write(other.join("a.so"), b"x").unwrap();
    let wake = watched.until(|wake| !wake.completed.is_empty());
    assert_eq!(wake.completed, [other.join("a.so")]);
}

#[test]
fn the_same_targets_again_wake_nobody() {
    let (_directory, plugins) = place();
    let watched = Watched::inotify(&[&plugins], &[]);
    watched.watcher.set_targets(targets(&[&plugins], &[]));
    let wake = watched.wakes.recv_timeout(Duration::from_millis(200));
    assert_eq!(wake, Err(RecvTimeoutError::Timeout), "who sets them at each wake would never rest");
}

#[test]
fn what_is_written_to_again_is_not_complete() {
    let (_directory, plugins) = place();
    let plugins = plugins.canonicalize().unwrap();
    let path = |name: &str| plugins.join(name);
    let (a, b) = (path("a.so"), path("b.so"));
    let cases: [(&[Heard], &[&PathBuf]); 5] = [
        (&[Heard::Completed(a.clone()), Heard::Completed(b.clone())], &[&a, &b]),
        (&[Heard::Completed(a.clone()), Heard::Completed(b.clone()), Heard::Changed(a.clone())], &[&b]),
        (&[Heard::Completed(a.clone()), Heard::Touched(a.clone())], &[&a]),
        (&[Heard::Completed(a.clone()), Heard::Lost, Heard::Completed(b.clone())], &[&b]),
        (&[Heard::Changed(a.clone()), Heard::Completed(a.clone())], &[&a]),
    ];
    for (heard, completed) in cases {
        let shared = Shared::default();
        shared.inbox().spots = Arc::new(Spots::resolve(&targets(&[&plugins], &[])));
        heard.iter().cloned().for_each(|heard| shared.hear(heard));
        let inbox = shared.inbox();
        assert!(inbox.burst.is_some());
        assert_eq!(inbox.completed.iter().collect::<Vec<_>>(), completed, "{heard:?}");
    }
}

#[test]
fn what_concerns_nobody_wakes_nobody() {
    let (directory, plugins) = place();
    let shared = Shared::default();
    shared.inbox().spots = Arc::new(Spots::resolve(&targets(&[&plugins], &[])));
    let real = directory.path().canonicalize().unwrap();
    shared.hear(Heard::Completed(real.join("journal")));
    shared.hear(Heard::Changed(real.join("plugins.bak")));
    assert!(shared.inbox().burst.is_none());
    shared.hear(Heard::Touched(real.join("plugins")));
    assert!(shared.inbox().burst.is_some());
}

#[test]
fn looking_is_not_heard() {
    let event = |kind| Event::new(kind).add_path(PathBuf::from("/a"));
    let heard = |event: Event| {
        let all = Mutex::new(Vec::new());
        translate(event, &|heard| all.lock().unwrap().push(heard));
        all.into_inner().unwrap()
    };
    let path = PathBuf::from("/a");
    for kind in [AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read), AccessKind::Read] {
        assert_eq!(heard(event(EventKind::Access(kind))), []);
    }
    assert_eq!(heard(event(EventKind::Access(AccessKind::Close(AccessMode::Write)))), [Heard::Completed(path.clone())]);
    let name = |mode| event(EventKind::Modify(ModifyKind::Name(mode)));
    assert_eq!(heard(name(RenameMode::To)), [Heard::Completed(path.clone())]);
    assert_eq!(heard(name(RenameMode::From)), [Heard::Changed(path.clone())]);
    assert_eq!(heard(name(RenameMode::Both)), []);
    let metadata = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
    assert_eq!(heard(event(metadata)), [Heard::Touched(path.clone())]);
    assert_eq!(heard(event(EventKind::Create(CreateKind::File))), [Heard::Changed(path)]);
    assert_eq!(heard(Event::new(EventKind::Other).set_flag(Flag::Rescan)), [Heard::Lost]);
}
