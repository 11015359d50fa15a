//! Entry and descriptor are plain C: `mini_chat_plugin.h` says what the Rust types say, and a host in C is answered.
//!
//! What a host in Rust makes of libraries in C, good and bad, is in `bad_input`.

use std::collections::BTreeMap;
use std::mem::offset_of;
use std::path::{Path, PathBuf};
use std::process::Command;

use mini_chat_plugin_abi::descriptor::{ABI_MAJOR, FORMAT, SECTION};
use mini_chat_plugin_abi::entry::{self, ENTRY_SYMBOL, EntryArgs, EntryReply, MAGIC};
use mini_chat_plugin_abi::heap::HeapTable;
use mini_chat_plugin_tests::{by_hand, fixtures, plugins};

/// A program of `tests/fixtures/c`, compiled without a word of the compiler.
fn compiled(directory: &Path, compiler: &str, language: &[&str], source: &str) -> PathBuf {
    let out = directory.join(format!("{source}-{compiler}-{}", language.concat()));
    let include = format!("-I{}", by_hand::c_headers().display());
    let mut command = Command::new(compiler);
    command.args(language).args(["-O1", "-Wall", "-Wextra", "-Werror", "-pedantic", &include]).arg("-o").arg(&out);
    let run =
        command.arg(fixtures("c").join(source)).arg("-ldl").output().unwrap_or_else(|e| panic!("{compiler}: {e}"));
    assert!(run.status.success() && run.stderr.is_empty(), "{command:?}: {}", String::from_utf8_lossy(&run.stderr));
    out
}

fn printed(command: &mut Command) -> String {
    let run = command.output().unwrap();
    assert!(run.status.success(), "{command:?}: {:?} {}", run.status, String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// Size and offsets of a struct, as `numbers.c` names them.
macro_rules! layout {
    ($all:ident, $name:literal, $type:ty, $($field:ident),+) => {
        $all.insert($name.to_owned(), size_of::<$type>().to_string());
        $($all.insert(concat!($name, ".", stringify!($field)).to_owned(), offset_of!($type, $field).to_string());)+
    };
}

/// What the header must say.
fn of_rust() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    layout!(all, "mini_chat_plugin_heap", HeapTable, size, context, alloc, alloc_zeroed, realloc, dealloc);
    layout!(
        all,
        "mini_chat_plugin_args",
        EntryArgs,
        size,
        heap,
        image,
        host_name,
        host_name_len,
        host_version,
        host_version_len
    );
    layout!(all, "mini_chat_plugin_reply", EntryReply, size, magic, status, check, message, message_len, module);
    let constants = [
        ("SECTION", SECTION.to_owned()),
        ("FORMAT", FORMAT.to_string()),
        ("ENTRY_SYMBOL", ENTRY_SYMBOL.to_owned()),
        ("MAGIC", String::from_utf8(MAGIC.to_vec()).unwrap()),
        ("MAGIC_LEN", MAGIC.len().to_string()),
        ("ABI_MAJOR", ABI_MAJOR.to_string()),
        ("STATUS_OK", entry::STATUS_OK.to_string()),
        ("STATUS_EARLY_ALLOCATION", entry::STATUS_EARLY_ALLOCATION.to_string()),
        ("STATUS_CALLED_TWICE", entry::STATUS_CALLED_TWICE.to_string()),
        ("STATUS_HOST_TOO_OLD", entry::STATUS_HOST_TOO_OLD.to_string()),
        ("STATUS_PANICKED", entry::STATUS_PANICKED.to_string()),
        ("CHECK_ABI_STABLE", entry::CHECK_ABI_STABLE.to_string()),
    ];
    all.extend(constants.map(|(name, value)| (format!("MINI_CHAT_PLUGIN_{name}"), value)));
    all
}

#[test]
fn the_header_says_what_the_rust_types_say() {
    let directory = tempfile::tempdir().unwrap();
    for (compiler, language) in [
        ("cc", &["-std=c11"][..]),
        ("cc", &["-std=c17"]),
        ("c++", &["-x", "c++", "-std=c++11"]),
        ("c++", &["-x", "c++", "-std=c++20"]),
    ] {
        let program = compiled(directory.path(), compiler, language, "numbers.c");
        let lines = printed(&mut Command::new(program));
        let of_c = lines.lines().map(|line| line.split_once(' ').expect("name and value"));
        let of_c: BTreeMap<_, _> = of_c.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(of_c, of_rust(), "{compiler} {language:?}");
    }
    // No constant of the header is left out of the comparison.
    let header = std::fs::read_to_string(by_hand::c_headers().join("mini_chat_plugin.h")).unwrap();
    for line in header.lines().filter_map(|line| line.strip_prefix("#define MINI_CHAT_PLUGIN_")) {
        let name = format!("MINI_CHAT_PLUGIN_{}", line.split(' ').next().unwrap());
        assert!(name == "MINI_CHAT_PLUGIN_H" || of_rust().contains_key(&name), "numbers.c does not print {name}");
    }
}

#[test]
fn a_plugin_answers_a_host_in_c() {
    let directory = tempfile::tempdir().unwrap();
    let host = compiled(directory.path(), "cc", &["-std=c11"], "host.c");
    let plugin = plugins::built("hello");
    let too_old = |why: &str| format!("status 3, check 1: {why}\n");
    for (case, expected) in [
        ("good", "status 0, check 1: \nmodule of major 1: there, of another: null\n".to_owned()),
        ("small-args", too_old("the host's entry arguments are smaller than this plugin needs")),
        ("no-heap", too_old("the host gives no heap table")),
        ("small-heap", too_old("the host's heap table is smaller than this plugin needs")),
        ("null-function", too_old("the host's heap table has null in it")),
        ("null-context", too_old("the host's heap table has null in it")),
        ("twice", "status 2, check 1: the entry of this image was called before\n".to_owned()),
        ("small-reply", "no magic\n".to_owned()),
    ] {
        assert_eq!(printed(Command::new(&host).arg(&plugin).arg(case)), expected, "{case}");
    }
}
