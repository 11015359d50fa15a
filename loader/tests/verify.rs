//! Files that are wrong in one way each, made by the real compiler, and the error each one gives.

mod support;

use std::fs;

use mini_chat_plugin_loader::find::Candidate;
use mini_chat_plugin_loader::verify::{Preflight, ReadLimits, VerifyPolicy, inspect};
use support::{compile, descriptor, plugin, plugin_bytes, plugin_with, source, verify, verify_bytes};

fn kind_of(result: Result<impl std::fmt::Debug, mini_chat_plugin_loader::error::LoadError>) -> &'static str {
    let error = result.expect_err("must be refused");
    let text = error.to_string();
    assert!(text.starts_with(&error.path().display().to_string()), "names the file first: {text}");
    assert!(!text.ends_with('.'), "no full stop: {text}");
    error.kind()
}

#[test]
fn a_good_plugin_is_verified() {
    let dir = tempfile::tempdir().unwrap();
    let path = plugin(dir.path());
    let image = verify(&path).unwrap();
    assert_eq!(image.descriptor().id, "acme.audit._.jsonl.v1");
    assert_eq!(image.descriptor().priority, 100);
    assert_eq!(image.descriptor().preflight, Preflight::Create);
    assert_eq!(image.descriptor().kinds.audit.as_deref(), Some(&["emit_turn_audit".to_owned()][..]));
    assert_eq!(image.descriptor().kinds.model_policy, None);
    assert_eq!(image.facts().needed, ["libc.so.6"]);
    assert_eq!(image.facts().machine, std::env::consts::ARCH);
    assert!(!image.facts().stripped);
    assert!(!image.facts().has_debug_info);
    let glibc = image.facts().lowest_glibc.clone().expect("printf has a version");
    assert!(glibc.starts_with("2."), "{glibc}");
    assert_eq!(image.bytes(), fs::read(&path).unwrap());

    let sum = std::process::Command::new("sha256sum").arg(&path).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    assert!(sum.starts_with(&image.digest().to_string()));
    assert!(sum.starts_with(&image.digest().short()) && image.digest().short().len() == 12);
}

#[test]
fn layouts_of_other_linkers_and_tools_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let content = descriptor().to_string();
    let variants: &[&[&str]] = &[
        &["-s"],
        &["-g"],
        &["-Wl,-z,now", "-Wl,-z,relro"],
        &["-Wl,-z,noseparate-code"],
        &["-Wl,--hash-style=both", "-Wl,-soname,libplugin.so.1"],
        &["-Wl,-z,pack-relative-relocs"],
        &["-Wl,--gc-sections", "-ffunction-sections"],
    ];
    for flags in variants {
        let path = plugin_with(dir.path(), &content, flags);
        let image = verify(&path).unwrap_or_else(|e| panic!("{flags:?}: {e}"));
        assert_eq!(image.facts().stripped, flags == &["-s"], "{flags:?}");
        assert_eq!(image.facts().has_debug_info, flags == &["-g"], "{flags:?}");
        let soname = flags.iter().any(|f| f.contains("soname")).then_some("libplugin.so.1");
        assert_eq!(image.facts().soname.as_deref(), soname);
    }
}

#[test]
fn not_elf_and_foreign_elf() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(kind_of(verify_bytes(dir.path(), b"#!/bin/sh\necho no plugin\n")), "not-elf");
    let good = fs::read(plugin(dir.path())).unwrap();
    let patched = |at: usize, with: &[u8]| {
        let mut bytes = good.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        verify_bytes(dir.path(), &bytes)
    };
    assert_eq!(kind_of(patched(4, &[1])), "not-elf64");
    assert_eq!(kind_of(patched(5, &[2])), "byte-order");
    assert_eq!(kind_of(patched(16, &[1, 0])), "not-shared-object");
    assert_eq!(kind_of(patched(16, &[4, 0])), "not-shared-object");
    let (other, name) = if cfg!(target_arch = "x86_64") { (183_u16, "aarch64") } else { (62, "x86_64") };
    let error = patched(18, &other.to_le_bytes()).unwrap_err();
    assert_eq!(error.kind(), "machine");
    assert!(error.to_string().contains(&format!("built for {name}")), "{error}");
    // Table offsets at the end of the number range.
    assert_eq!(kind_of(patched(40, &u64::MAX.to_le_bytes())), "malformed");
    assert_eq!(kind_of(patched(32, &(u64::MAX - 8).to_le_bytes())), "malformed");
    assert_eq!(kind_of(patched(56, &[0, 0])), "malformed");
}

#[test]
fn executables() {
    let dir = tempfile::tempdir().unwrap();
    let main = "int main(void) { return 0; }";
    for flags in [&["-pie", "-fPIE"][..], &["-no-pie"], &["-static-pie", "-fPIE"]] {
        let path = compile(dir.path(), "program.so", main, flags);
        assert_eq!(kind_of(verify(&path)), "executable", "{flags:?}");
    }
    let object = compile(dir.path(), "object.so", main, &["-c"]);
    assert_eq!(kind_of(verify(&object)), "not-shared-object");
}

#[test]
fn libraries_that_are_no_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let shared = ["-shared", "-fPIC"];
    let plain = compile(dir.path(), "plain.so", &source(None), &shared);
    assert_eq!(kind_of(verify(&plain)), "not-a-plugin");
    let renamed = source(Some(&descriptor().to_string())).replace("mini_chat_plugin_entry", "other_entry");
    assert_eq!(kind_of(verify(&compile(dir.path(), "renamed.so", &renamed, &shared))), "no-entry-symbol");
    let hidden = source(Some(&descriptor().to_string())).replace("int mini_chat", "static int mini_chat");
    assert_eq!(kind_of(verify(&compile(dir.path(), "hidden.so", &hidden, &shared))), "no-entry-symbol");
    let data = renamed + "int mini_chat_plugin_entry = 7;";
    assert_eq!(kind_of(verify(&compile(dir.path(), "data.so", &data, &shared))), "no-entry-symbol");
}

#[test]
fn search_paths_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let content = descriptor().to_string();
    for (flags, tag) in [("-Wl,--enable-new-dtags", "DT_RUNPATH"), ("-Wl,--disable-new-dtags", "DT_RPATH")] {
        let path = plugin_with(dir.path(), &content, &["-Wl,-rpath,$ORIGIN/lib", flags]);
        let error = verify(&path).unwrap_err();
        assert_eq!(error.kind(), "run-path");
        assert!(error.to_string().contains(&format!("{tag} `$ORIGIN/lib`")), "{error}");
    }
}

#[test]
fn needed_libraries_must_be_listed() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().to_str().unwrap();
    compile(dir.path(), "libdep.so", "int dep(void) { return 1; }", &["-shared", "-fPIC", "-Wl,-soname,libdep.so.1"]);
    let path = plugin_with(dir.path(), &descriptor().to_string(), &["-L", at, "-Wl,--no-as-needed", "-ldep"]);
    let error = verify(&path).unwrap_err();
    assert_eq!(error.kind(), "needed-not-allowed");
    assert!(error.to_string().contains("`libdep.so.1`") && error.to_string().contains("allow_needed"), "{error}");

    let policy = VerifyPolicy { allow_needed: vec!["libdep.so.1".into()], ..VerifyPolicy::default() };
    let image = Candidate::from_path(&path).read(&ReadLimits::default()).unwrap().verify(&policy).unwrap();
    assert_eq!(image.facts().needed, ["libdep.so.1", "libc.so.6"]);

    // A filter loads its library, too.
    let filter = plugin_with(dir.path(), &descriptor().to_string(), &["-Wl,-f,libfilter.so.1"]);
    assert_eq!(kind_of(verify(&filter)), "needed-not-allowed");
}

#[test]
fn writable_code_and_text_relocations() {
    let dir = tempfile::tempdir().unwrap();
    let content = descriptor().to_string();
    let mut bytes = plugin_bytes(&content);
    let headers = u64::from_le_bytes(bytes[32..40].try_into().unwrap()) as usize;
    // PT_LOAD, readable and executable: made writable as well.
    let code = (headers..).step_by(56).find(|&at| bytes[at..at + 8] == [1, 0, 0, 0, 5, 0, 0, 0]).unwrap();
    bytes[code + 4] = 7;
    assert_eq!(kind_of(verify_bytes(dir.path(), &bytes)), "writable-code");
    if cfg!(target_arch = "x86_64") {
        let source = source(Some(&content))
            + r#"__asm__(".text\n.globl patched\npatched: .quad table\n.section .note.GNU-stack,\"\",@progbits");"#;
        let path = compile(dir.path(), "text.so", &source, &["-shared", "-fPIC", "-Wl,-z,notext"]);
        let found = inspect(&path, &ReadLimits::default(), &VerifyPolicy::default());
        assert!(found.refusals.iter().any(|e| e.kind() == "text-relocations"), "{:?}", found.refusals);
    }
}

#[test]
fn descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |content: &str| verify_bytes(dir.path(), &plugin_bytes(content)).expect_err(content);
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = descriptor();
        change(&mut value);
        refused(&value.to_string())
    };
    let with = |key: &str, value: serde_json::Value| changed(&|d| d[key] = value.clone());
    let is = |error: mini_chat_plugin_loader::error::LoadError, kind: &str, says: &str| {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    };
    use serde_json::json;
    is(refused("{"), "descriptor-invalid", "not JSON");
    is(refused("[]"), "descriptor-invalid", "not a JSON object");
    is(refused("{} {}"), "descriptor-invalid", "not JSON");
    is(refused("\0\0\0\0\0\0"), "holes", ".mini_chat_plugin");
    is(with("format", json!(2)), "descriptor-format", "format 2, this host knows 1");
    is(with("format", json!("1")), "descriptor-invalid", "format");
    is(with("requires", json!(["teleport"])), "unknown-requires", "teleport");
    is(with("requires", json!("teleport")), "descriptor-invalid", "requires");
    is(with("priority", json!("high")), "descriptor-invalid", "priority: ");
    is(with("priority", json!(40000)), "descriptor-invalid", "priority: ");
    is(with("preflight", json!("never")), "descriptor-invalid", "preflight");
    is(with("kinds", json!({})), "descriptor-invalid", "kinds");
    is(with("id", json!("")), "descriptor-invalid", "id: ");
    is(with("abi", json!({ "version": "1.1.0" })), "descriptor-invalid", "missing field `majors`");
    is(with("abi", json!({ "version": "3.0.0", "majors": [2, 3] })), "abi-major", "[2, 3], this host speaks [1]");
    is(with("panic", json!("abort")), "panic-abort", "\"abort\"");
    is(with("heap", json!("jemalloc")), "foreign-heap", "`jemalloc`");
    is(with("target", json!("sparc64-sun-solaris")), "target-mismatch", "sparc64-sun-solaris");
    let mut missing = 0;
    for key in descriptor().as_object().unwrap().keys().filter(|key| *key != "a_key_of_later_days") {
        let error = changed(&|d| drop(d.as_object_mut().unwrap().remove(key)));
        is(error, "descriptor-invalid", &format!("missing field `{key}`"));
        missing += 1;
    }
    assert_eq!(missing, 19);
}

#[test]
fn trailing_zeros_and_known_requires_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let mut value = descriptor();
    value["requires"] = serde_json::json!(["teleport"]);
    let path = dir.path().join("requires.so");
    fs::write(&path, plugin_bytes(&value.to_string())).unwrap();
    let policy = VerifyPolicy { known_requires: vec!["teleport".into()], ..VerifyPolicy::default() };
    let image = Candidate::from_path(path).read(&ReadLimits::default()).unwrap().verify(&policy).unwrap();
    assert_eq!(image.descriptor().requires, ["teleport"]);
}

#[test]
fn inspect_tells_all_reasons() {
    let dir = tempfile::tempdir().unwrap();
    let mut value = descriptor();
    value["panic"] = "abort".into();
    value["heap"] = "own".into();
    let path = plugin_with(dir.path(), &value.to_string(), &["-Wl,-rpath,/opt"]);
    let found = inspect(&path, &ReadLimits::default(), &VerifyPolicy::default());
    let kinds: Vec<_> = found.refusals.iter().map(|e| e.kind()).collect();
    assert_eq!(kinds, ["run-path", "panic-abort", "foreign-heap"]);
    assert_eq!(found.descriptor.unwrap().heap, "own");
    assert_eq!(found.facts.unwrap().needed, ["libc.so.6"]);
    assert!(found.digest.is_some() && found.size == Some(fs::metadata(&path).unwrap().len()));

    let absent = inspect(dir.path().join("absent.so"), &ReadLimits::default(), &VerifyPolicy::default());
    assert_eq!(absent.refusals[0].kind(), "missing");
    assert!(absent.digest.is_none() && absent.facts.is_none());
}
