//! What counts as a candidate, and in which order.

use std::fs;

use super::{Candidate, candidates};

fn names(found: &[Candidate]) -> Vec<String> {
    found.iter().map(|c| c.path().file_name().unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn only_visible_so_names_sorted() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["b.so", "a.so", ".hidden.so", ".so", "c.so.tmp", "d.tmp", "readme.md", "libe.so.1"] {
        fs::write(dir.path().join(name), b"x").unwrap();
    }
    let found = candidates(&[dir.path().into()]).unwrap();
    assert_eq!(names(&found), ["a.so", "b.so"]);
}

#[test]
fn odd_things_are_not_skipped() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("folder.so")).unwrap();
    std::os::unix::fs::symlink("nowhere", dir.path().join("dangling.so")).unwrap();
    fs::write(dir.path().join("folder.so/inner.so"), b"x").unwrap();
    let found = candidates(&[dir.path().into()]).unwrap();
    assert_eq!(names(&found), ["dangling.so", "folder.so"]);
}

#[test]
fn directories_keep_their_order_and_repeat_nothing() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(one.path().join("z.so"), b"x").unwrap();
    fs::write(two.path().join("a.so"), b"x").unwrap();
    let found = candidates(&[one.path().into(), two.path().into(), one.path().into()]).unwrap();
    assert_eq!(names(&found), ["z.so", "a.so"]);
}

#[test]
fn an_absent_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let absent = dir.path().join("absent");
    let error = candidates(&[dir.path().into(), absent.clone()]).unwrap_err();
    assert_eq!((error.kind(), error.path()), ("directory-unreadable", absent.as_path()));
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[test]
fn a_file_as_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"x").unwrap();
    assert_eq!(candidates(&[file]).unwrap_err().kind(), "directory-unreadable");
}
