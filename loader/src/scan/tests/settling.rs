//! When a file counts as complete.

use std::fs;
use std::io::Write;
use std::time::SystemTime;

use super::{HOUR, MS, Place, SETTLE, Written, found, is_held, kinds, other_build, plugin, set_modified};
use crate::verify::Digest;

#[test]
fn at_the_start_old_files_are_taken_at_once_and_read_once() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.write("b.so", b"no library");
    place.age(HOUR);
    for _ in 0..3 {
        let scan = place.scan();
        assert_eq!((found(&scan), kinds(&scan), scan.settle_in), (vec!["1.0.0".to_owned()], vec!["not-elf"], None));
        assert_eq!(place.scanner.reads, 2);
        place.pass(HOUR);
    }
}

#[test]
fn a_fresh_file_is_neither_offered_nor_refused_until_it_has_settled() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.write("b.so", b"no library");
    for left in [500, 300, 100, 1] {
        let scan = place.scan();
        assert_eq!((found(&scan).len(), kinds(&scan).len()), (0, 0));
        assert_eq!(scan.settle_in, Some(MS(left)));
        place.pass(MS(if left == 100 { 99 } else { left.min(200) }));
    }
    let scan = place.scan();
    assert_eq!((found(&scan), kinds(&scan), scan.settle_in), (vec!["1.0.0".to_owned()], vec!["not-elf"], None));
    assert_eq!(place.scanner.reads, 2);
}

#[test]
fn a_growing_file_is_not_even_read() {
    let mut place = Place::new();
    let bytes = plugin("1.0.0");
    let mut file = fs::File::create(place.path("a.so")).unwrap();
    for part in bytes.chunks(bytes.len() / 10) {
        file.write_all(part).unwrap();
        let scan = place.scan();
        assert_eq!((found(&scan).len(), kinds(&scan).len(), scan.settle_in), (0, 0, Some(SETTLE)));
        place.pass(SETTLE + MS(1));
    }
    assert_eq!(place.scanner.reads, 0);
    assert_eq!(found(&place.settled()), ["1.0.0"]);
    assert_eq!(place.scanner.reads, 1);
}

#[test]
fn a_file_that_grows_for_ever_is_reported() {
    let mut place = Place::new();
    let path = place.path("a.so");
    let mut seen = Vec::new();
    for grown in 1..=200 {
        fs::write(&path, vec![1; grown]).unwrap();
        seen.push(kinds(&place.scan()));
        place.pass(SETTLE);
    }
    assert!(seen[..100].iter().all(Vec::is_empty));
    assert!(seen[130..].iter().all(|kinds| kinds == &["unsettled"]));
}

#[test]
fn half_a_copy_is_refused_once_it_has_settled_and_healed_by_the_rest() {
    let mut place = Place::new();
    let bytes = plugin("1.0.0");
    place.write("a.so", &bytes[..bytes.len() / 2]);
    assert!(kinds(&place.scan()).is_empty());
    assert_eq!(kinds(&place.settled()), ["truncated"]);
    place.write("a.so", &bytes);
    let scan = place.scan();
    assert_eq!((found(&scan).len(), kinds(&scan).len()), (0, 0));
    assert_eq!(found(&place.settled()), ["1.0.0"]);
}

#[test]
fn what_the_watcher_saw_completed_is_taken_at_once() {
    let mut place = Place::new();
    let path = place.write("a.so", &plugin("1.0.0"));
    let scan = place.scanner.scan(std::slice::from_ref(&path));
    assert_eq!((found(&scan), scan.settle_in), (vec!["1.0.0".to_owned()], None));
    for version in ["1.1.0", "1.2.0"] {
        place.rename_in("a.so", &plugin(version), Written::Now);
        let scan = place.scanner.scan(std::slice::from_ref(&path));
        assert_eq!((found(&scan), scan.settle_in), (vec![version.to_owned()], None));
    }
    // Told although nothing seems to have changed: looked into.
    let reads = place.scanner.reads;
    assert_eq!(found(&place.scanner.scan(std::slice::from_ref(&path))), ["1.2.0"]);
    assert_eq!(place.scanner.reads, reads + 1);
}

#[test]
fn a_rename_that_nobody_saw_is_taken_at_once_if_the_file_was_complete_before() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.settled();
    place.rename_in("a.so", &plugin("1.1.0"), Written::LongAgo);
    let scan = place.scan();
    assert_eq!((found(&scan), scan.settle_in), (vec!["1.1.0".to_owned()], None));
    place.rename_in("a.so", &plugin("1.2.0"), Written::Now);
    let scan = place.scan();
    assert_eq!((found(&scan).len(), scan.settle_in, is_held(&scan)), (0, Some(SETTLE), true));
    assert_eq!(found(&place.settled()), ["1.2.0"]);
}

#[test]
fn a_file_overwritten_in_place_settles_whatever_its_times_say() {
    let mut place = Place::new();
    let path = place.write("a.so", &plugin("1.0.0"));
    place.write("low.so", &plugin("0.9.0"));
    place.settled();
    let (before, written) = (fs::metadata(&path).unwrap(), other_build("1.0.0").len());
    for bytes in [&other_build("1.1.0"), &other_build("1.2.0")] {
        // The same inode, an old time of writing, and the second time the same length.
        assert_eq!(bytes.len(), written);
        place.write("a.so", bytes);
        set_modified(&path, before.modified().unwrap() - HOUR);
        let scan = place.scan();
        assert_eq!((found(&scan), scan.settle_in), (vec!["0.9.0".to_owned()], Some(SETTLE)));
        assert!(is_held(&scan), "the lower version must not take over");
        let scan = place.settled();
        assert_eq!(scan.versions[super::ID].last().unwrap().digest, Digest::of(bytes));
        assert!(!is_held(&scan));
    }
}

#[test]
fn where_clocks_cannot_be_believed_bytes_are_read_twice() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.on_network();
    place.age(HOUR);
    assert_eq!((found(&place.scan()).len(), place.scanner.reads), (0, 0));
    place.pass(SETTLE);
    let scan = place.scan();
    assert_eq!((found(&scan).len(), scan.settle_in, place.scanner.reads), (0, Some(SETTLE), 1));
    place.pass(SETTLE);
    assert_eq!((found(&place.scan()), place.scanner.reads), (vec!["1.0.0".to_owned()], 2));
    place.rename_in("a.so", &plugin("1.1.0"), Written::LongAgo);
    let scan = place.scan();
    assert_eq!((found(&scan).len(), scan.settle_in), (0, Some(SETTLE)));
    assert_eq!(found(&place.settled()), ["1.1.0"]);
    assert_eq!(place.scanner.reads, 4);
}

#[test]
fn no_clock_is_wrong_by_more_than_a_day() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.on_network();
    place.age(25 * HOUR);
    assert_eq!((found(&place.scan()), place.scanner.reads), (vec!["1.0.0".to_owned()], 1));
}

#[test]
fn a_file_from_the_future_settles() {
    let mut place = Place::new();
    let path = place.write("a.so", &plugin("1.0.0"));
    set_modified(&path, SystemTime::now() + 100 * HOUR);
    assert!(found(&place.scan()).is_empty());
    assert_eq!(found(&place.settled()), ["1.0.0"]);
}

#[test]
fn a_start_does_not_wait_for_ever() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    let scan = place.scanner.first(MS(0));
    assert_eq!((found(&scan).len(), kinds(&scan), scan.settle_in), (0, vec!["unsettled"], Some(SETTLE)));
}
