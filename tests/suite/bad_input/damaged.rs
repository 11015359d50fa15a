//! A real plugin that was copied badly: cut, or with zeros where bytes should be.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;

use futures::executor::block_on;
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::site::{MISBEHAVING, Site, assert_good_serves};

crate::cases::cases! {
    cut => "truncated",
    the_middle_never_arrived => "holes",
    a_sparse_copy => "holes",
}

fn plugin() -> Vec<u8> {
    fs::read(plugins::built("misbehaving-plugin")).unwrap()
}

/// As it is installed: without debug information, in which a hole would harm nobody.
fn stripped() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let stripped = directory.path().join("stripped");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&stripped).arg(plugins::built("misbehaving-plugin"));
    assert!(strip.status().unwrap().success());
    fs::read(&stripped).unwrap()
}

/// At each sixteenth of its length, and by one byte.
fn cut() -> &'static str {
    let (site, bytes) = (Site::new(), plugin());
    let lengths = (1..16).map(|n| bytes.len() * n / 16).chain([bytes.len() - 1]).collect::<Vec<_>>();
    for (n, length) in lengths.iter().enumerate() {
        site.put_bytes(&bytes[..*length], &format!("cut-{n:02}.so"));
    }
    let host = site.serve(site.builder());
    let refused = host.status().refused_files;
    assert_eq!(refused.len(), lengths.len());
    for ((n, length), file) in lengths.iter().enumerate().zip(&refused) {
        let path = site.path(&format!("cut-{n:02}.so"));
        let why = format!("truncated: its headers need {} bytes, found {length}", bytes.len());
        assert_eq!(file.message, format!("{}: {why}; copy the file again, with a rename", path.display()));
        assert_eq!(file.kind, "truncated");
    }
    refused[0].kind
}

fn the_middle_never_arrived() -> &'static str {
    let (site, mut bytes) = (Site::new(), stripped());
    let third = bytes.len() / 3;
    bytes[third..2 * third].fill(0);
    let refused = site.refusal(&site.put_bytes(&bytes, "hole.so"));
    assert!(refused.message.contains(": a hole (only zeros) at byte "), "{}", refused.message);
    assert!(refused.message.ends_with("; copy the file again, with a rename"), "{}", refused.message);
    refused.kind
}

/// As a copy that wrote only the first and the last quarter leaves it: the file system holds no bytes between them.
fn a_sparse_copy() -> &'static str {
    let (site, bytes) = (Site::new(), stripped());
    let quarter = bytes.len() / 4;
    let path = site.path("sparse.so");
    let file = fs::File::create(&path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    file.write_all_at(&bytes[..quarter], 0).unwrap();
    file.write_all_at(&bytes[3 * quarter..], 3 * quarter as u64).unwrap();
    site.refusal(&path).kind
}

/// Each sixteenth of the plugin in turn is zeros. Whatever has code or a table in it must be refused. What is only
/// data, or belongs to no segment, cannot be told from zeros that belong there: such a file is not loaded here.
#[test]
fn holes_anywhere() {
    let (site, bytes) = (Site::new(), stripped());
    let mut accepted = Vec::new();
    for n in 0..16 {
        let mut holed = bytes.clone();
        holed[bytes.len() * n / 16..bytes.len() * (n + 1) / 16].fill(0);
        let path = site.put_bytes(&holed, "holed.so");
        // Its entry is disabled, so that a file that passes is not mapped.
        let mut entry = mini_chat_plugin_loader::config::PluginEntry::new(MISBEHAVING);
        entry.enabled = false;
        let host = block_on(site.builder().plugin(entry).build()).unwrap();
        assert_good_serves(&host);
        match &host.status().refused_files[..] {
            [] => accepted.push(n),
            [file] => {
                assert_eq!(file.path, path);
                let expected = ["holes", "malformed", "not-elf", "no-entry-symbol", "not-a-plugin"];
                assert!(expected.contains(&file.kind), "sixteenth {n}: {file:?}");
            }
            more => panic!("{more:?}"),
        }
    }
    println!("accepted: {accepted:?}");
    assert!(accepted.len() <= 3, "sixteenths that were accepted as zeros: {accepted:?}");
}
