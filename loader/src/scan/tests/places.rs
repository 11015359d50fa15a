//! Files and directories that go away and come back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{HOUR, MS, Place, SETTLE, found, is_held, kinds, plugin};

#[test]
fn a_vanished_file_is_held_for_a_moment() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    let path = place.write("b.so", &plugin("2.0.0"));
    assert_eq!(found(&place.settled()), ["1.0.0", "2.0.0"]);
    // Deleted, then copied anew: never is the lower version all there is.
    fs::remove_file(&path).unwrap();
    let scan = place.scan();
    assert_eq!((found(&scan), is_held(&scan), scan.settle_in), (vec!["1.0.0".to_owned()], true, Some(SETTLE)));
    place.pass(MS(499));
    place.write("b.so", &plugin("2.1.0"));
    let scan = place.scan();
    assert_eq!((found(&scan), is_held(&scan)), (vec!["1.0.0".to_owned()], true));
    place.pass(MS(499));
    assert!(is_held(&place.scan()));
    let scan = place.settled();
    assert_eq!((found(&scan), is_held(&scan)), (vec!["1.0.0".to_owned(), "2.1.0".to_owned()], false));
    fs::remove_file(&path).unwrap();
    assert!(is_held(&place.scan()));
    let scan = place.settled();
    assert_eq!((found(&scan), is_held(&scan)), (vec!["1.0.0".to_owned()], false));
}

#[test]
fn an_unreadable_directory_holds_what_was_in_it_and_is_not_read_anew() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.settled();
    let (here, away) = (place.path(""), place.directory.path().join("away"));
    fs::rename(&here, &away).unwrap();
    for _ in 0..3 {
        let scan = place.scan();
        assert_eq!((found(&scan).len(), kinds(&scan), is_held(&scan)), (0, vec!["directory-unreadable"], true));
        place.pass(HOUR);
    }
    fs::rename(&away, &here).unwrap();
    let scan = place.scan();
    assert_eq!((found(&scan), kinds(&scan).len(), is_held(&scan)), (vec!["1.0.0".to_owned()], 0, false));
    assert_eq!(place.scanner.reads, 1);
}

#[test]
fn a_directory_that_was_made_anew_is_looked_at_anew() {
    let mut place = Place::new();
    place.write("a.so", &plugin("1.0.0"));
    place.settled();
    fs::remove_dir_all(place.path("")).unwrap();
    place.scan();
    fs::create_dir(place.path("")).unwrap();
    place.write("a.so", &plugin("1.1.0"));
    let scan = place.scan();
    assert_eq!((found(&scan).len(), is_held(&scan)), (0, true));
    assert_eq!(found(&place.settled()), ["1.1.0"]);
}

#[test]
fn a_directory_that_lost_everything_is_reported_and_held() {
    let mut place = Place::new();
    assert!(kinds(&place.settled()).is_empty(), "one that is empty from the start is no news");
    let path = place.write("a.so", &plugin("1.0.0"));
    place.settled();
    fs::remove_file(&path).unwrap();
    let scan = place.scan();
    assert_eq!((kinds(&scan).len(), is_held(&scan), scan.settle_in), (0, true, Some(SETTLE)));
    for _ in 0..3 {
        place.pass(SETTLE);
        let scan = place.scan();
        assert_eq!((kinds(&scan), is_held(&scan), scan.settle_in), (vec!["directory-emptied"], true, None));
    }
    place.write("other.so", &plugin("1.0.0"));
    let scan = place.settled();
    assert_eq!((found(&scan), kinds(&scan).len(), is_held(&scan)), (vec!["1.0.0".to_owned()], 0, false));
}

#[test]
fn one_bad_directory_does_not_hide_another() {
    let place = Place::new();
    let directories = vec![place.directory.path().join("absent"), place.path(""), place.path("")];
    let mut place = Place::on(place.directory, directories, Vec::new());
    place.write("a.so", &plugin("1.0.0"));
    let scan = place.settled();
    assert_eq!((found(&scan), kinds(&scan)), (vec!["1.0.0".to_owned()], vec!["directory-unreadable"]));
    assert_eq!(place.scanner.reads, 1);
}

#[test]
fn links_lead_elsewhere_as_in_kubernetes() {
    let mut place = Place::new();
    for (folder, version) in [("..1", "1.0.0"), ("..2", "1.1.0")] {
        fs::create_dir(place.path(folder)).unwrap();
        place.write(&format!("{folder}/a.so"), &plugin(version));
    }
    symlink("..1", place.path("..data")).unwrap();
    symlink("..data/a.so", place.path("a.so")).unwrap();
    assert_eq!(found(&place.settled()), ["1.0.0"]);
    symlink("..2", place.path("..data_tmp")).unwrap();
    fs::rename(place.path("..data_tmp"), place.path("..data")).unwrap();
    assert_eq!(found(&place.settled()), ["1.1.0"]);
}

#[test]
fn single_files_of_any_name() {
    let place = Place::new();
    let files = vec![place.path("plugin"), place.path("absent")];
    let mut place = Place::on(place.directory, Vec::new(), files);
    place.write("plugin", &plugin("1.0.0"));
    place.write("other.so", &plugin("1.1.0"));
    let scan = place.settled();
    assert_eq!((found(&scan), kinds(&scan)), (vec!["1.0.0".to_owned()], vec!["missing"]));
    // What is missing may come.
    place.write("absent", &plugin("1.2.0"));
    assert_eq!(found(&place.settled()), ["1.0.0", "1.2.0"]);
}

#[test]
fn a_file_that_cannot_be_read_is_tried_again() {
    let mut place = Place::new();
    let path = place.write("a.so", &plugin("1.0.0"));
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(kinds(&place.settled()), ["directory-writable-by-others"]);
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::set_permissions(place.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    let scan = place.scan();
    assert_eq!((found(&scan), kinds(&scan).len()), (vec!["1.0.0".to_owned()], 0));
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
}
