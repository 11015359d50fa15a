//! Files that were sound once: cut, with holes in the middle, with a flipped byte.

mod support;

use std::fs;

use object::{Object, ObjectSection};
use support::{descriptor, plugin, plugin_with, verify, verify_bytes};

#[test]
fn truncated_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(plugin(dir.path())).unwrap();
    let sixteenths = (1..16).map(|n| bytes.len() * n / 16);
    for len in sixteenths.chain([1, 3, 5, 63, 64, 65, bytes.len() - 1]) {
        let error = verify_bytes(dir.path(), &bytes[..len]).expect_err("truncated");
        assert_eq!(error.kind(), "truncated", "at {len}: {error}");
        if len >= 64 {
            let text = error.to_string();
            assert!(text.contains(&format!("need {} bytes", bytes.len())), "{text}");
            assert!(text.contains(&format!("found {len}")), "{text}");
        }
    }
}

/// Zeroes one whole page of the file at a time. Pages that hold a table or code must be missed by no check; those of
/// plain data cannot be told and are not asked for.
#[test]
fn holes_in_the_middle() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(plugin(dir.path())).unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let checked = [
        ".gnu.hash",
        ".dynsym",
        ".dynstr",
        ".gnu.version_r",
        ".rela.dyn",
        ".rela.plt",
        ".text",
        ".eh_frame",
        ".dynamic",
        ".mini_chat_plugin",
    ];
    let mut pages = std::collections::BTreeSet::new();
    for name in checked {
        let (at, len) = file.section_by_name(name).unwrap_or_else(|| panic!("{name}")).file_range().unwrap();
        let (first, last) = (at.div_ceil(4096), (at + len) / 4096);
        // Pages inside the section; for a small one the page it stands in.
        pages.extend(first..last.max(first));
        if first >= last {
            pages.insert(at / 4096);
        }
    }
    assert!(pages.len() >= 12, "{} pages", pages.len());
    let mut holes = 0;
    for page in pages {
        let mut changed = bytes.clone();
        let at = page as usize * 4096;
        let end = (at + 4096).min(changed.len());
        changed[at..end].fill(0);
        let error = verify_bytes(dir.path(), &changed).expect_err(&format!("page {page}"));
        holes += usize::from(error.kind() == "holes");
        assert!(page == 0 || ["holes", "malformed"].contains(&error.kind()), "page {page}: {error}");
    }
    assert!(holes >= 10, "{holes} named as holes");

    // A large hole, as of a copy that was broken off and resumed elsewhere.
    let mut changed = bytes.clone();
    let third = bytes.len() / 3;
    changed[third..2 * third].fill(0);
    assert_eq!(verify_bytes(dir.path(), &changed).unwrap_err().kind(), "holes");
}

#[test]
fn zeros_in_data_are_no_hole() {
    let dir = tempfile::tempdir().unwrap();
    // `zeros` of the fixture is four pages of .rodata; the layout below puts them into the executable segment.
    let path = plugin_with(dir.path(), &descriptor().to_string(), &["-Wl,-z,noseparate-code"]);
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.chunks(4096).any(|page| page.len() == 4096 && page.iter().all(|&b| b == 0)));
    verify(&path).unwrap();
}

#[test]
fn no_flipped_byte_panics() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(plugin(dir.path())).unwrap();
    // Every byte of the headers, then a stride: the judge must answer, whatever it answers.
    for at in (0..704).chain((704..bytes.len()).step_by(397)) {
        let mut changed = bytes.clone();
        changed[at] ^= 0xff;
        let _ = verify_bytes(dir.path(), &changed);
    }
}
