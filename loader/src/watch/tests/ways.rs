//! Directories and files that are elsewhere by now.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Cause, Duration, TIMING, Timing, Watched, place, targets};
use crate::test_support::{in_mount_namespace, mount_tmpfs};
use crate::watch::spots::Spots;

#[test]
fn a_directory_that_vanishes_and_comes_back_is_heard_again() {
    let (_directory, plugins) = place();
    let watched = Watched::inotify(&[&plugins], &[]);
    for _ in 0..3 {
        fs::remove_dir_all(&plugins).unwrap();
        watched.next();
        fs::create_dir(&plugins).unwrap();
        watched.until_heard_in(&plugins);
    }
}

#[test]
fn a_directory_that_is_renamed_away_and_back_is_heard_again() {
    let (directory, plugins) = place();
    let away = directory.path().join("away");
    let watched = Watched::inotify(&[&plugins], &[]);
    fs::rename(&plugins, &away).unwrap();
    watched.next();
    fs::rename(&away, &plugins).unwrap();
    watched.until_heard_in(&plugins);
    // Another one in its place.
    fs::rename(&plugins, &away).unwrap();
    fs::create_dir(&plugins).unwrap();
    watched.until_heard_in(&plugins);
}

#[test]
fn a_directory_may_come_late_with_all_that_is_above_it() {
    let directory = tempfile::tempdir().unwrap();
    let plugins = directory.path().join("a/b/plugins");
    let watched = Watched::inotify(&[&plugins], &[]);
    fs::create_dir_all(&plugins).unwrap();
    watched.until_heard_in(&plugins);
}

#[test]
fn a_link_that_leads_to_another_directory_is_followed() {
    let (directory, plugins) = place();
    let (other, link) = (directory.path().join("other"), directory.path().join("link"));
    fs::create_dir(&other).unwrap();
    symlink(&plugins, &link).unwrap();
    let watched = Watched::inotify(&[&link], &[]);
    watched.until_heard_in(&link);
    symlink(&other, directory.path().join("new")).unwrap();
    fs::rename(directory.path().join("new"), &link).unwrap();
    watched.until_heard_in(&link);
    assert!(other.join("probe.so").exists());
}

#[test]
fn a_configuration_file_of_kubernetes_is_followed() {
    let (_directory, config) = place();
    let file = config.join("plugins.toml");
    for folder in ["..1", "..2"] {
        fs::create_dir(config.join(folder)).unwrap();
        fs::write(config.join(folder).join("plugins.toml"), folder).unwrap();
    }
    symlink("..1", config.join("..data")).unwrap();
    symlink("..data/plugins.toml", &file).unwrap();
    let watched = Watched::inotify(&[], &[&file]);
    symlink("..2", config.join("..data_tmp")).unwrap();
    fs::rename(config.join("..data_tmp"), config.join("..data")).unwrap();
    watched.next();
    assert_eq!(fs::read_to_string(&file).unwrap(), "..2");
    fs::write(config.join("..2/plugins.toml"), "more").unwrap();
    watched.until_completed(&file);
}

#[test]
fn a_configuration_file_that_is_replaced_or_comes_late_is_heard() {
    let (_directory, config) = place();
    let file = config.join("plugins.toml");
    let watched = Watched::inotify(&[], &[&file]);
    for text in ["one", "two"] {
        fs::write(config.join(".new"), text).unwrap();
        fs::rename(config.join(".new"), &file).unwrap();
        watched.until_completed(&file);
    }
    fs::remove_file(&file).unwrap();
    assert!(watched.next().completed.is_empty());
}

#[test]
fn only_what_leads_to_a_target_concerns() {
    let (directory, plugins) = place();
    let real = directory.path().canonicalize().unwrap();
    let (file, link) = (real.join("plugins.toml"), real.join("link"));
    symlink("circle", real.join("circle")).unwrap();
    symlink("plugins", &link).unwrap();
    let spots = Spots::resolve(&targets(&[&link, &real.join("absent/plugins"), &real.join("circle")], &[&file]));
    let concerns = |name: &str| spots.concerns(&real.join(name));
    for name in ["plugins", "plugins/any", "plugins/..data", "link", "plugins.toml", "absent", "circle"] {
        assert!(concerns(name), "{name}");
    }
    for name in ["other", "plugins.toml.new", "absent/plugins", "plugins/any/deeper", "other/plugins"] {
        assert!(!concerns(name), "{name}");
    }
    assert_eq!(spots.named(&plugins.canonicalize().unwrap().join("a.so")), [link.join("a.so")]);
    assert_eq!(spots.named(&file), [file]);
    assert!(!spots.concerns(Path::new("/")) && spots.named(Path::new("/")).is_empty());
}

#[test]
fn an_unmounted_directory_is_noticed() {
    if !in_mount_namespace("watch::tests::ways::an_unmounted_directory_is_noticed") {
        return;
    }
    let (_directory, plugins) = place();
    mount_tmpfs(&plugins, "mode=755");
    let timing = Timing { rescan: Duration::from_millis(200), ..TIMING };
    let watched = Watched::new(&[&plugins], &[], timing, Box::new(crate::watch::backend::inotify));
    watched.until_heard_in(&plugins);
    let run = std::process::Command::new("umount").arg("-l").arg(&plugins).status().unwrap();
    assert!(run.success());
    // The system says nothing of it to a directory's watchers that could be relied on.
    watched.until(|wake| wake.cause == Cause::Periodic);
    watched.until_heard_in(&plugins);
}
