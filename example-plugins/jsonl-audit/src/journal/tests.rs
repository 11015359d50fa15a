//! The journal by itself: tails, lines taken back, rotation, and files that others touch.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use mini_chat_plugin_sdk::testing::TestContext;
use tempfile::TempDir;

use super::{Journal, OpenError};
use crate::config::{Rotation, Settings, SyncWhen};

pub(crate) fn settings(path: PathBuf, sync: SyncWhen) -> Settings {
    Settings { path, sync, rotation: None }
}

struct Bench {
    dir: TempDir,
    test: TestContext,
    rotation: Option<Rotation>,
}

impl Bench {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), test: TestContext::new("audit"), rotation: None }
    }

    fn rotating(max_bytes: u64, keep: u32) -> Self {
        Self { rotation: Some(Rotation { max_bytes, keep }), ..Self::new() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("a.jsonl")
    }

    fn open(&self) -> Journal {
        let settings = Settings { rotation: self.rotation, ..settings(self.path(), SyncWhen::Always) };
        Journal::open(&settings, self.test.context()).unwrap()
    }

    /// What a file holds; `-` if it is not there.
    fn text(&self, suffix: &str) -> String {
        fs::read_to_string(format!("{}{suffix}", self.path().display())).unwrap_or_else(|_| "-".to_owned())
    }

    fn warnings(&self) -> usize {
        self.test.records().len()
    }
}

#[test]
fn half_a_line_is_set_aside() {
    let long = "x".repeat(200_000);
    for (before, whole, aside) in [
        ("one\nha".to_owned(), "one\n".to_owned(), "ha\n".to_owned()),
        ("never a line break".to_owned(), String::new(), "never a line break\n".to_owned()),
        ("one\n\0\0\0".to_owned(), "one\n".to_owned(), "\0\0\0\n".to_owned()),
        (format!("{long}\n{long}"), format!("{long}\n"), format!("{long}\n")),
    ] {
        let bench = Bench::new();
        fs::write(bench.path(), before).unwrap();
        let mut journal = bench.open();
        assert_eq!(bench.warnings(), 1);
        assert_eq!(bench.text(".torn"), aside);
        journal.append(b"next\n").unwrap();
        assert_eq!(bench.text(""), whole + "next\n");
    }
}

#[test]
fn whole_lines_are_left_alone() {
    for before in ["", "one\n", "one\ntwo\n"] {
        let bench = Bench::new();
        fs::write(bench.path(), before).unwrap();
        bench.open().append(b"next\n").unwrap();
        assert_eq!(bench.text(""), format!("{before}next\n"));
        assert_eq!((bench.text(".torn").as_str(), bench.warnings()), ("-", 0));
    }
}

#[test]
fn a_second_half_line_joins_the_first() {
    let bench = Bench::new();
    for half in ["a", "b"] {
        fs::write(bench.path(), half).unwrap();
        drop(bench.open());
    }
    assert_eq!(bench.text(".torn"), "a\nb\n");
}

#[test]
fn a_line_that_could_not_be_taken_back_is_removed_first() {
    let bench = Bench::new();
    let mut journal = bench.open();
    journal.append(b"one\n").unwrap();
    // Neither writing nor truncating works on this one.
    let good = std::mem::replace(&mut journal.file, File::open(bench.path()).unwrap());
    journal.append(b"two\n").unwrap_err();
    assert!(journal.torn);
    fs::write(bench.path(), "one\ntw").unwrap();
    journal.append(b"three\n").unwrap_err();
    journal.refresh().unwrap();
    journal.file = good;
    journal.append(b"four\n").unwrap();
    assert_eq!(bench.text(""), "one\nfour\n");
}

#[test]
fn rotation_keeps_the_newest() {
    let bench = Bench::rotating(8, 2);
    let mut journal = bench.open();
    for line in ["1st\n", "2nd\n", "3rd\n", "4th\n", "5th\n", "6th\n", "7th\n"] {
        journal.append(line.as_bytes()).unwrap();
    }
    assert_eq!(bench.text(""), "7th\n");
    assert_eq!(bench.text(".1"), "5th\n6th\n");
    assert_eq!(bench.text(".2"), "3rd\n4th\n");
    assert_eq!((bench.text(".3").as_str(), bench.warnings()), ("-", 0));
}

#[test]
fn rotation_counts_what_was_there_before() {
    let bench = Bench::rotating(8, 1);
    bench.open().append(b"before\n").unwrap();
    bench.open().append(b"after\n").unwrap();
    assert_eq!((bench.text(".1").as_str(), bench.text("").as_str()), ("before\n", "after\n"));
}

#[test]
fn a_line_over_the_limit_has_a_file_of_its_own() {
    let bench = Bench::rotating(4, 9);
    let mut journal = bench.open();
    for line in ["a\n", "much too long\n", "b\n"] {
        journal.append(line.as_bytes()).unwrap();
    }
    assert_eq!([bench.text(".2"), bench.text(".1"), bench.text("")], ["a\n", "much too long\n", "b\n"]);
}

#[test]
fn a_rotation_that_fails_costs_no_line() {
    let bench = Bench::rotating(4, 2);
    let mut journal = bench.open();
    journal.append(b"one\n").unwrap();
    // A directory is in the way.
    let in_the_way = bench.dir.path().join("a.jsonl.2");
    fs::write(bench.dir.path().join("a.jsonl.1"), "old\n").unwrap();
    fs::create_dir(&in_the_way).unwrap();
    journal.append(b"two\n").unwrap();
    journal.append(b"three\n").unwrap();
    assert_eq!((bench.text("").as_str(), bench.text(".1").as_str()), ("one\ntwo\nthree\n", "old\n"));
    assert_eq!(bench.warnings(), 1, "warned of once");
    fs::remove_dir(in_the_way).unwrap();
    journal.append(b"four\n").unwrap();
    assert_eq!([bench.text(""), bench.text(".1"), bench.text(".2")], ["four\n", "one\ntwo\nthree\n", "old\n"]);
}

#[test]
fn a_gap_ends_the_shifting() {
    let bench = Bench::rotating(4, 3);
    let mut journal = bench.open();
    journal.append(b"new\n").unwrap();
    fs::write(bench.dir.path().join("a.jsonl.2"), "two\n").unwrap();
    fs::write(bench.dir.path().join("a.jsonl.3"), "three\n").unwrap();
    journal.append(b"next\n").unwrap();
    assert_eq!([bench.text(".1"), bench.text(".2"), bench.text(".3")], ["new\n", "two\n", "three\n"]);
}

#[test]
fn a_file_that_somebody_touches_is_noticed() {
    let bench = Bench::new();
    let mut journal = bench.open();
    journal.append(b"one\n").unwrap();
    fs::rename(bench.path(), bench.dir.path().join("moved")).unwrap();
    journal.refresh().unwrap();
    journal.append(b"two\n").unwrap();
    assert_eq!(bench.text(""), "two\n");

    fs::remove_file(bench.path()).unwrap();
    journal.refresh().unwrap();
    journal.append(b"three\n").unwrap();
    assert_eq!(bench.text(""), "three\n");

    // As logrotate's copytruncate does.
    OpenOptions::new().write(true).open(bench.path()).unwrap().set_len(0).unwrap();
    journal.refresh().unwrap();
    journal.append(b"four\n").unwrap();
    assert_eq!((bench.text("").as_str(), journal.len), ("four\n", 5));
    assert_eq!(fs::read_to_string(bench.dir.path().join("moved")).unwrap(), "one\n");
}

#[test]
#[cfg(unix)]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::rotating(4, 1);
    let mut journal = bench.open();
    journal.append(b"one\n").unwrap();
    journal.append(b"two\n").unwrap();
    for suffix in ["", ".1", ".lock"] {
        let mode = fs::metadata(format!("{}{suffix}", bench.path().display())).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{suffix}");
    }
}

#[test]
#[cfg(unix)]
fn two_ways_to_one_file_meet_at_one_lock() {
    let bench = Bench::new();
    let journal = bench.open();
    let link = bench.dir.path().join("link");
    std::os::unix::fs::symlink(bench.path(), &link).unwrap();
    let second = |path: &Path| Journal::open(&settings(path.to_owned(), SyncWhen::Never), bench.test.context());
    assert!(matches!(second(&link), Err(OpenError::Held(real)) if real.ends_with("a.jsonl")));
    drop(journal);
    second(&link).unwrap();
}
