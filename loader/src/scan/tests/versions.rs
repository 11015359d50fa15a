//! Several files with one id, and files that are loaded after they were found.

use std::fs;

use semver::Version;

use super::{HOUR, ID, Place, found, is_held, kinds, other_build, plugin};
use crate::scan::choice;
use crate::verify::{Digest, ReadLimits, VerifyPolicy};

#[test]
fn versions_ascend_and_the_same_bytes_count_once() {
    let mut place = Place::new();
    for (name, version) in [("a", "1.10.0"), ("b", "1.9.0"), ("c", "1.9.0"), ("d", "2.0.0-rc.1"), ("e", "0.1.0")] {
        place.write(&format!("{name}.so"), &plugin(version));
    }
    let scan = place.settled();
    assert_eq!(found(&scan), ["0.1.0", "1.9.0", "1.10.0", "2.0.0-rc.1"]);
    assert_eq!(scan.versions[ID][1].path, place.path("b.so"));
    assert_eq!((kinds(&scan).len(), is_held(&scan)), (0, false));
    fs::remove_file(place.path("b.so")).unwrap();
    assert_eq!(place.settled().versions[ID][1].path, place.path("c.so"));
}

#[test]
fn two_builds_of_one_version_are_both_refused_and_hold_the_id() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.write("b.so", &plugin("1.1.0"));
    place.write("c.so", &other_build("1.1.0"));
    let scan = place.settled();
    assert_eq!((found(&scan), kinds(&scan)), (vec!["1.0.0".to_owned()], vec!["same-version", "same-version"]));
    assert!(is_held(&scan));
    let messages: Vec<&str> = scan.refused.iter().map(|file| file.message.as_str()).collect();
    assert!(messages[0].contains(place.path("c.so").to_str().unwrap()), "{messages:?}");
    assert!(messages[1].contains(place.path("b.so").to_str().unwrap()), "{messages:?}");
    fs::remove_file(place.path("b.so")).unwrap();
    assert_eq!(found(&place.settled()), ["1.0.0", "1.1.0"]);
}

#[test]
fn an_unusable_file_in_the_place_of_a_usable_one_holds_the_id() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.write("b.so", &plugin("1.1.0"));
    place.settled();
    place.write("b.so", b"no library");
    let scan = place.settled();
    assert_eq!((found(&scan), kinds(&scan), is_held(&scan)), (vec!["1.0.0".to_owned()], vec!["not-elf"], true));
    place.write("b.so", &plugin("not a version"));
    let scan = place.settled();
    assert_eq!((kinds(&scan), is_held(&scan)), (vec!["descriptor-invalid"], true));
}

#[test]
fn the_highest_the_pinned_and_never_the_banned() {
    let mut place = Place::new();
    let versions = ["1.0.0", "1.1.0", "1.2.0"];
    for version in versions {
        place.write(&format!("{version}.so"), &plugin(version));
    }
    let known = place.settled().versions.remove(ID).unwrap();
    let digest = |version| Digest::of(&plugin(version));
    let chosen = |pin: Option<&str>, banned: &[Digest]| {
        let pin = pin.map(|pin| Version::parse(pin).unwrap());
        choice(&known, pin.as_ref(), |file| banned.contains(&file.digest)).map(|file| file.version.to_string())
    };
    assert_eq!(chosen(None, &[]).as_deref(), Some("1.2.0"));
    assert_eq!(chosen(None, &[digest("1.2.0")]).as_deref(), Some("1.1.0"));
    assert_eq!(chosen(None, &versions.map(digest)), None);
    assert_eq!(chosen(Some("1.0.0"), &[]).as_deref(), Some("1.0.0"));
    assert_eq!(chosen(Some("1.0.0"), &[digest("1.0.0")]), None);
    assert_eq!(chosen(Some("1.0.1"), &[]), None);
    assert_eq!(chosen(Some("1.0.0+other"), &[]), None);
    assert_eq!(choice(&[], None, |_| false).map(|file| &file.version), None);
}

#[test]
fn what_is_loaded_is_what_was_found() {
    let mut place = Place::new();
    let path = place.write("a.so", &plugin("1.0.0"));
    let known = place.settled().versions[ID][0].clone();
    let load = || known.load(&ReadLimits::default(), &VerifyPolicy::default());
    assert_eq!(load().unwrap().bytes(), plugin("1.0.0"));
    place.write("a.so", &other_build("1.0.0"));
    let error = load().unwrap_err();
    assert_eq!((error.kind(), error.path()), ("exchanged", path.as_path()));
    for digest in [Digest::of(&plugin("1.0.0")), Digest::of(&other_build("1.0.0"))] {
        assert!(error.to_string().contains(&digest.short()), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(load().unwrap_err().kind(), "missing");
}

#[test]
fn what_is_forgotten_is_read_again() {
    let mut place = Place::new();
    let path = place.write("a.so", &plugin("1.0.0"));
    place.age(HOUR);
    place.scan();
    place.scanner.forget(&path);
    assert_eq!((found(&place.scan()), place.scanner.reads), (vec!["1.0.0".to_owned()], 2));
}

#[test]
fn bytes_are_not_kept() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.write("b.so", b"no library");
    let scan = place.settled();
    let kept = format!("{:?} {scan:?}", place.scanner);
    assert!(kept.contains("Judged {") && kept.contains("not-elf"), "{kept}");
    assert!(!kept.contains("ReadImage") && !kept.contains("VerifiedImage") && kept.len() < 16 << 10, "{kept}");
}
