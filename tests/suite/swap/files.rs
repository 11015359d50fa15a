//! What happens to the files that serve.

use std::fs;

use mini_chat_plugin_loader::HostEvent;
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::stamped::{bad, good};

use crate::world::{FILE, World};

#[test]
fn a_plugin_whose_file_vanishes_serves_on() {
    let mut world = World::new(good(1));
    // Not the last file of the directory: that would be one that may have been unmounted.
    let echo = mini_chat_plugin_tests::plugins::built("echo-plugin");
    mini_chat_plugin_tests::plugins::drop_in(world.directory.path(), &echo, "echo.so");
    fs::remove_file(world.directory.path().join(FILE)).unwrap();
    world.until("it is an orphan", |event| matches!(event, HostEvent::Orphaned { .. }));
    assert!(world.status().swap.orphaned);
    assert_eq!(world.build(), Ok(1));
    world.drop_in(good(2));
    world.until_serves(2);
    assert!(!world.status().swap.orphaned);
    world.end();
}

#[test]
fn deleted_then_copied_is_a_swap() {
    let world = World::new(good(1));
    let path = world.directory.path().join(FILE);
    fs::remove_file(&path).unwrap();
    fs::write(&path, good(2).bytes()).unwrap();
    world.until_serves(2);
    world.end();
}

#[test]
fn a_directory_that_is_away_for_a_while_retires_nothing() {
    let mut world = World::new(good(1));
    let (there, away) = (world.directory.path().to_owned(), world.directory.path().with_extension("away"));
    fs::rename(&there, &away).unwrap();
    world.host.rescan();
    world.until("it is said", |event| matches!(event, HostEvent::FileRefused { kind: "directory-unreadable", .. }));
    assert_eq!(world.build(), Ok(1));
    fs::rename(&away, &there).unwrap();
    world.drop_in(good(2));
    world.until_serves(2);
    world.end();
}

#[test]
fn a_half_copied_file_is_nothing_until_it_is_whole() {
    let mut world = World::new(good(1));
    let (bytes, path) = (good(2).bytes(), world.directory.path().join(FILE));
    fs::remove_file(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    world.until("once it has settled, it is said", |event| {
        matches!(event, HostEvent::FileRefused { kind: "truncated", .. })
    });
    assert_eq!(world.build(), Ok(1));
    fs::write(&path, &bytes).unwrap();
    world.until_serves(2);
    world.end();
}

#[test]
fn of_several_versions_the_highest_serves_that_is_any_good() {
    let mut world = World::new(good(1));
    good(2).major(100_002).drop_in(world.directory.path(), "two.so");
    world.until_serves(2);
    bad(3, "create-permanent").major(100_003).drop_in(world.directory.path(), "three.so");
    world.until_refused("create-failed");
    assert_eq!(world.build(), Ok(2));
    good(4).major(100_001).drop_in(world.directory.path(), "between.so");
    world.host.rescan();
    assert_eq!(world.build(), Ok(2), "a lower version is none of its business");
    world.end();
}

#[test]
fn a_pinned_version_serves_even_if_it_is_lower() {
    let world = World::with(good(1), |entry| entry.version = Some("100000.0.0".parse().unwrap()), |host| host);
    good(2).major(100_002).drop_in(world.directory.path(), "two.so");
    world.host.rescan();
    world.drop_in(good(3));
    world.until_serves(3);
    assert_eq!(world.status().instance.unwrap().version, "100000.0.0");
    world.end();
}

#[test]
fn a_new_plugin_in_the_directory_is_served_under_its_id() {
    let mut world = World::new(good(1));
    let echo = mini_chat_plugin_tests::plugins::built("echo-plugin");
    mini_chat_plugin_tests::plugins::drop_in(world.directory.path(), &echo, "echo.so");
    let serves = |name: &str| world.host.status().plugins.iter().any(|plugin| plugin.name == name && plugin.serving);
    eventually("it serves", || serves("tests.echo._.both.v1"));
    // A bad file in its place is not a file that has vanished.
    let half = tempfile::NamedTempFile::new().unwrap();
    let bytes = fs::read(&echo).unwrap();
    fs::write(half.path(), &bytes[..bytes.len() / 2]).unwrap();
    mini_chat_plugin_tests::plugins::drop_in(world.directory.path(), half.path(), "echo.so");
    world.until("it is refused", |event| matches!(event, HostEvent::FileRefused { kind: "truncated", .. }));
    world.drop_in(good(2));
    world.until_serves(2);
    assert!(!world.happened().iter().any(|event| matches!(event, HostEvent::Orphaned { .. })));
    world.end();
}
