//! Files that are no plugin for this host: judged by their bytes, without executing any of them.

use std::fs;
use std::path::{Path, PathBuf};

use mini_chat_plugin_tests::by_hand::{self, descriptor, descriptor_with};
use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::site::Site;
use serde_json::json;

crate::cases::cases! {
    a_script => "not-elf",
    thirty_two_bit => "not-elf64",
    big_endian => "byte-order",
    another_architecture => "machine",
    an_executable => "executable",
    an_object_file => "not-shared-object",
    malformed => "malformed",
    writable_code => "writable-code",
    text_relocations => "text-relocations",
    an_rpath => "run-path",
    an_unlisted_library => "needed-not-allowed",
    no_entry_symbol => "no-entry-symbol",
    a_library_that_is_no_plugin => "not-a-plugin",
    an_invalid_descriptor => "descriptor-invalid",
    a_version_that_is_none => "descriptor-invalid",
    a_later_descriptor => "descriptor-format",
    unknown_requires => "unknown-requires",
    panic_abort => "panic-abort",
    an_allocator_of_its_own => "foreign-heap",
    another_abi_major => "abi-major",
    another_target => "target-mismatch",
}

/// What the host says of this file, without its path, and the kind.
fn refused(site: &Site, path: &Path) -> (&'static str, String) {
    let refused = site.refusal(path);
    let text = refused.message.strip_prefix(&format!("{}: ", path.display())).expect("names the file").to_owned();
    (refused.kind, text)
}

fn expect(site: &Site, path: &Path, text: &str) -> &'static str {
    let (kind, found) = refused(site, path);
    assert_eq!(found, text);
    kind
}

fn a_script() -> &'static str {
    let site = Site::new();
    let path = site.put_bytes(b"#!/bin/sh\necho I am a plugin\n", "script.so");
    expect(&site, &path, "not an ELF file (it begins with [23, 21, 2f, 62]), expected a shared library for Linux")
}

/// A real plugin with some bytes of its ELF header changed.
fn patched(site: &Site, at: usize, with: &[u8]) -> PathBuf {
    let mut bytes = fs::read(plugins::built("misbehaving-plugin")).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    site.put_bytes(&bytes, "patched.so")
}

fn native() -> &'static str {
    std::env::consts::ARCH
}

fn thirty_two_bit() -> &'static str {
    let site = Site::new();
    let path = patched(&site, 4, &[1]);
    let (kind, text) = refused(&site, &path);
    assert!(text.starts_with("a 32-bit ELF file, expected 64-bit; build the plugin for "), "{text}");
    kind
}

fn big_endian() -> &'static str {
    let site = Site::new();
    let path = patched(&site, 5, &[2]);
    let (kind, text) = refused(&site, &path);
    assert!(text.starts_with("byte order big endian, expected little endian; build the plugin for "), "{text}");
    kind
}

fn another_architecture() -> &'static str {
    let site = Site::new();
    let (number, name) = if native() == "x86_64" { (183_u16, "aarch64") } else { (62, "x86_64") };
    let path = patched(&site, 18, &number.to_le_bytes());
    expect(&site, &path, &format!("built for {name}, this host runs on {0}; build the plugin for {0}", native()))
}

fn an_executable() -> &'static str {
    let site = Site::new();
    let path = site.put(&std::env::current_exe().unwrap(), "program.so");
    let (kind, text) = refused(&site, &path);
    assert!(text.starts_with("an executable ("), "{text}");
    assert!(text.ends_with("expected a shared library; build with crate-type cdylib"), "{text}");
    kind
}

fn an_object_file() -> &'static str {
    let site = Site::new();
    let path = site.path("object.so");
    by_hand::c(&path, "int x;", &["-c"]);
    let (kind, text) = refused(&site, &path);
    assert!(text.ends_with("expected a shared library; build with crate-type cdylib"), "{text}");
    kind
}

/// The program headers stand at the end of the number range.
fn malformed() -> &'static str {
    let site = Site::new();
    let path = patched(&site, 32, &(u64::MAX - 8).to_le_bytes());
    let (kind, text) = refused(&site, &path);
    assert!(text.starts_with("malformed ELF file: "), "{text}");
    assert!(text.ends_with("; build or copy the file again"), "{text}");
    kind
}

fn writable_code() -> &'static str {
    let site = Site::new();
    let mut bytes = fs::read(plugins::built("misbehaving-plugin")).unwrap();
    let headers = u64::from_le_bytes(bytes[32..40].try_into().unwrap()) as usize;
    // PT_LOAD, readable and executable: made writable as well.
    let code = (headers..).step_by(56).find(|&at| bytes[at..at + 8] == [1, 0, 0, 0, 5, 0, 0, 0]).unwrap();
    bytes[code + 4] = 7;
    let path = site.put_bytes(&bytes, "writable.so");
    let (kind, text) = refused(&site, &path);
    assert!(text.ends_with(" is writable and executable; link without that"), "{text}");
    kind
}

/// A good library by hand, but for its descriptor and its linker flags.
fn made(site: &Site, descriptor: &serde_json::Value, flags: &[&str]) -> PathBuf {
    let path = site.path("made.so");
    by_hand::entry(&path, "NO_MODULE", &descriptor.to_string(), flags);
    path
}

fn text_relocations() -> &'static str {
    let site = Site::new();
    let path = site.path("text.so");
    // A pointer in the code, to be patched while loading.
    let assembly = site.path("text.s");
    fs::write(&assembly, ".text\n.globl patched\npatched: .quad printf\n.section .note.GNU-stack,\"\",@progbits\n")
        .unwrap();
    let flags = [assembly.to_str().unwrap(), "-Wl,-z,notext"];
    by_hand::entry(&path, "NO_MODULE", &descriptor().to_string(), &flags);
    expect(&site, &path, "has text relocations (DT_TEXTREL); build it as position independent code")
}

fn an_rpath() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor(), &["-Wl,-rpath,$ORIGIN/lib", "-Wl,--enable-new-dtags"]);
    let expected = "has DT_RUNPATH `$ORIGIN/lib`, and what is found there is not verified; link without rpath";
    expect(&site, &path, expected)
}

fn an_unlisted_library() -> &'static str {
    let site = Site::new();
    by_hand::c(&site.path("libdep"), "int dep(void) { return 1; }", &["-shared", "-fPIC", "-Wl,-soname,libdep.so.1"]);
    let dependency = site.path("libdep");
    let path = made(&site, &descriptor(), &["-Wl,--no-as-needed", dependency.to_str().unwrap()]);
    let expected = "needs library `libdep.so.1`, which is not on the allow-list; link it statically, or add it to \
                    allow_needed if the host's system provides it";
    expect(&site, &path, expected)
}

fn no_entry_symbol() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor(), &["-Dmini_chat_plugin_entry=another_name"]);
    let expected = "not a mini-chat plugin: no function `mini_chat_plugin_entry`; use export_plugin! exactly once";
    expect(&site, &path, expected)
}

fn a_library_that_is_no_plugin() -> &'static str {
    let site = Site::new();
    let path = site.path("libm.so");
    by_hand::c(&path, "int add(int a, int b) { return a + b; }", &["-shared", "-fPIC"]);
    fs::remove_file(path.with_extension("c")).unwrap();
    let expected = "not a mini-chat plugin: no section `.mini_chat_plugin`; use export_plugin! exactly once";
    expect(&site, &path, expected)
}

fn an_invalid_descriptor() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor_with("priority", "high"), &[]);
    let (kind, text) = refused(&site, &path);
    assert!(text.starts_with("invalid plugin descriptor: priority: "), "{text}");
    assert!(text.ends_with("; build the plugin with the SDK's export_plugin!"), "{text}");
    kind
}

fn a_version_that_is_none() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor_with("version", "latest"), &[]);
    let expected = "invalid plugin descriptor: version: expected a semantic version, found `latest`; build the plugin \
                    with the SDK's export_plugin!";
    expect(&site, &path, expected)
}

fn a_later_descriptor() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor_with("format", 2), &[]);
    expect(&site, &path, "descriptor format 2, this host knows 1; update the host, or use an older SDK")
}

fn unknown_requires() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor_with("requires", json!(["teleport"])), &[]);
    expect(&site, &path, "requires [\"teleport\"], this host knows []; update the host")
}

/// Really compiled so, which the SDK's macro would not have allowed.
fn panic_abort() -> &'static str {
    let site = Site::new();
    let path = site.path("aborts.so");
    by_hand::aborts(&path, &descriptor_with("panic", "abort"));
    expect(&site, &path, "built with panic = \"abort\", expected \"unwind\"; a panic would end the host")
}

/// `export_plugin!` does not compile with panic=abort, and says why.
#[test]
fn the_sdk_refuses_panic_abort() {
    let mut cargo = plugins::cargo();
    cargo.args(["rustc", "--package", "hello", "--lib", "--", "-Cpanic=abort"]);
    let run = cargo.output().unwrap();
    let text = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success());
    assert!(text.contains("a mini-chat plugin needs `panic = \"unwind\"`"), "{text}");
}

fn an_allocator_of_its_own() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor_with("heap", "jemalloc"), &[]);
    expect(&site, &path, "heap `jemalloc`, expected `host`; remove the plugin's own global allocator")
}

fn another_abi_major() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor_with("abi", json!({ "version": "3.0.0", "majors": [2, 3] })), &[]);
    expect(&site, &path, "serves ABI majors [2, 3], this host speaks [1]; build with a matching SDK")
}

fn another_target() -> &'static str {
    let site = Site::new();
    let path = made(&site, &descriptor_with("target", "sparc64-sun-solaris"), &[]);
    let (kind, text) = refused(&site, &path);
    let native = mini_chat_plugin_loader::verify::VerifyPolicy::default().target;
    assert_eq!(text, format!("built for target sparc64-sun-solaris, expected {native}; build the plugin for {native}"));
    kind
}
