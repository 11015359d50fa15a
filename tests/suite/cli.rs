//! `mini-chat-plugins` looks at files: `list`, `inspect`, the help, colour.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use mini_chat_plugin_loader::verify::Digest;
use mini_chat_plugin_tests::program::{self, run};
use mini_chat_plugin_tests::{plugins, read_fixture};
use serde_json::{Value, json};

/// A copy of `hello` in which one text of the descriptor is replaced by one of the same length.
fn altered(directory: &Path, name: &str, from: &str, to: &str) -> PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(plugins::built("hello")).unwrap();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "no {from} in hello");
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    let source = directory.join(".altered");
    fs::write(&source, bytes).unwrap();
    plugins::drop_in(directory, &source, name)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_help_explains_every_exit_code() {
    for arguments in [
        ["--help"].as_slice(),
        &["run", "--help"],
        &["list", "-h"],
        &["inspect", "-h"],
        &["call", "-h"],
        &["check", "-h"],
        &["install", "-h"],
        &["status", "-h"],
        &["swap", "-h"],
        &["reload", "-h"],
        &["rollback", "-h"],
        &["unpin", "-h"],
        &["unquarantine", "-h"],
        &["events", "-h"],
    ] {
        let ran = run(arguments);
        assert_eq!(ran.code, 0);
        let codes = ran.stdout.split("Exit codes:\n").nth(1).unwrap_or_else(|| panic!("{arguments:?}: {}", ran.stdout));
        let numbers: Vec<&str> = codes
            .lines()
            .filter_map(|line| line.get(..5)?.split_whitespace().next())
            .filter(|it| !it.is_empty())
            .collect();
        assert_eq!(numbers, ["0", "1", "2", "69", "75", "78", "130", "143"], "{codes}");
    }
    assert_eq!(run(["lists"]).code, 2);
}

#[test]
fn list_tells_good_files_from_bad_ones() {
    let directory = plugins::directory();
    let hello = plugins::drop_in(directory.path(), &plugins::built("hello"), "a-hello.so");
    let bytes = fs::read(&hello).unwrap();
    fs::write(directory.path().join("b-half.so"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(directory.path().join("c-text.so"), "not a library").unwrap();
    fs::write(directory.path().join("d-empty.so"), "").unwrap();
    symlink("nowhere", directory.path().join("e-link.so")).unwrap();
    fs::create_dir(directory.path().join("f-folder.so")).unwrap();
    fs::write(directory.path().join("passed-over.txt"), "").unwrap();

    let ran = run(["list", path(directory.path()), "--json"]);
    let listed = ran.json();
    let of = |key: &str| listed["files"].as_array().unwrap().iter().map(|file| file[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("verdict"), ["ok", "truncated", "not-elf", "empty", "dangling-link", "not-regular"]);
    assert_eq!(of("serves"), [true, false, false, false, false, false]);
    assert_eq!(ran.code, 1);
    let good = &listed["files"][0];
    assert_eq!(good["file"], path(&hello));
    assert_eq!(good["digest"], Digest::of(&bytes).to_string());
    assert_eq!((&good["id"], &good["vendor"]), (&json!("acme.audit._.hello.v1"), &json!("acme")));
    assert_eq!((&good["kinds"], &good["priority"]), (&json!(["audit"]), &json!(100)));
    assert_eq!(good["abi"]["majors"], json!([1]));
    assert_eq!(listed["files"][2]["refusals"][0]["kind"], "not-elf");

    let only_good = plugins::directory();
    plugins::drop_in(only_good.path(), &plugins::built("hello"), "libhello.so");
    assert_eq!(run(["list", path(only_good.path())]).code, 0);
}

#[test]
fn of_two_versions_the_higher_serves_and_of_one_version_twice_none() {
    let directory = plugins::directory();
    plugins::drop_in(directory.path(), &plugins::built("hello"), "a.so");
    altered(
        directory.path(),
        "b.so",
        r#""version":"0.1.0","package":"hello""#,
        r#""version":"0.2.0","package":"hello""#,
    );
    let serves = || {
        let listed = run(["list", path(directory.path()), "--json"]).json();
        let files = listed["files"].as_array().unwrap();
        files.iter().map(|file| (file["serves"] == true, file["verdict"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(serves(), [(false, json!("ok")), (true, json!("ok"))]);
    let config = directory.path().join("plugins.toml");
    fs::write(&config, "[plugins.pinned]\nlibrary = 'acme.audit._.hello.v1'\nversion = '0.1.0'\n").unwrap();
    let listed = run(["list", path(directory.path()), "--json", "--config", path(&config)]).json();
    let pinned = listed["files"].as_array().unwrap().iter().map(|file| &file["serves"]).collect::<Vec<_>>();
    assert_eq!(pinned, [true, false]);
    altered(directory.path(), "b.so", r#""vendor":"acme""#, r#""vendor":"amce""#);
    assert_eq!(serves(), [(false, json!("same-version")), (false, json!("same-version"))]);
}

#[test]
fn a_missing_directory_or_file_is_named() {
    let ran = run(["list", "/no/such/directory"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: plugin directory: /no/such/directory: "), "{}", ran.stderr);
    let ran = run(["inspect", "/no/such/file.so"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.starts_with("error: plugin file: /no/such/file.so: no such file"), "{}", ran.stderr);
}

#[test]
fn files_that_others_may_write_are_for_developers_only() {
    let directory = plugins::directory();
    let file = plugins::drop_in(directory.path(), &plugins::built("hello"), "libhello.so");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o664)).unwrap();
    let ran = run(["list", path(directory.path()), "--json"]);
    assert_eq!((ran.code, &ran.json()["files"][0]["verdict"]), (1, &json!("writable-by-others")));
    assert_eq!(run(["list", path(directory.path()), "--allow-insecure"]).code, 0);
    assert_eq!(run(["inspect", path(&file)]).code, 1);
    assert_eq!(run(["inspect", path(&file), "--allow-insecure"]).code, 0);
}

#[test]
fn columns_align_with_and_without_colour() {
    let directory = plugins::directory();
    plugins::drop_in(directory.path(), &plugins::built("hello"), "libhello.so");
    fs::write(directory.path().join("größer\u{1b}[2J.so"), "x").unwrap();
    let plain = run(["list", path(directory.path())]).stdout;
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    let mut verdicts = plain.lines().zip(["VERDICT", "not-elf", "ok"]).map(|(line, verdict)| {
        line.find(verdict).map(|at| line[..at].chars().count()).unwrap_or_else(|| panic!("{verdict}: {line}"))
    });
    let first = verdicts.next().unwrap();
    assert_eq!(verdicts.collect::<Vec<_>>(), [first, first], "{plain}");

    let colored = run(["list", path(directory.path()), "--color", "always"]).stdout;
    assert!(colored.contains("\u{1b}[32mok\u{1b}[0m"), "{colored:?}");
    assert_eq!(without_color(&colored), plain);
    let mut no_color = program::command(["list", path(directory.path())]);
    no_color.env("NO_COLOR", "1");
    assert_eq!(program::end(no_color, "").stdout, plain);
}

/// Without the sequences `ESC [ … m`.
fn without_color(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[test]
fn inspect_tells_everything() {
    let file = plugins::built("static-policy-plugin");
    let directory = plugins::directory();
    let dropped = plugins::drop_in(directory.path(), &file, "policy.so");
    let ran = run(["inspect", path(&dropped), "--json"]);
    let (found, bytes) = (ran.json(), fs::read(&file).unwrap());
    assert_eq!((ran.code, &found["verdict"], &found["refusals"]), (0, &json!("ok"), &json!([])));
    assert_eq!(found["digest"], Digest::of(&bytes).to_string());
    assert_eq!(found["size"], bytes.len());
    assert_eq!(found["kinds"], json!(["model_policy"]));
    assert_eq!(found["answered_by_default"], json!([]));
    let descriptor = &found["descriptor"];
    assert_eq!(descriptor["id"], "acme.policy._.static.v1");
    assert_eq!(descriptor["hooks"], json!(["shutdown"]));
    assert!(descriptor["compiler"].as_str().unwrap().starts_with("rustc 1."));
    assert!(descriptor["target"].as_str().unwrap().contains("-linux-"));
    assert_eq!(found["facts"]["stripped"], false);
    assert!(found["facts"]["lowest_glibc"].as_str().unwrap().starts_with("2."));
    assert!(found["facts"]["needed"].as_array().unwrap().contains(&json!("libc.so.6")));

    let text = run(["inspect", path(&dropped)]).stdout;
    for line in ["preflight            create", "answered by default  none", "verdict              ok"] {
        assert!(text.lines().any(|found| found == line), "no `{line}` in\n{text}");
    }
}

#[test]
fn inspect_names_what_is_answered_by_default() {
    let directory = plugins::directory();
    let file = altered(directory.path(), "old.so", r#""emit_turn_edit_audit""#, r#""emit_turn_exit_audit""#);
    let found = run(["inspect", path(&file), "--json"]).json();
    assert_eq!(found["answered_by_default"], json!(["emit_turn_edit_audit"]));
}

/// A library that passes every check, and creates a file as soon as it is mapped.
fn with_constructor(directory: &Path, descriptor: &Value, trace: &Path) -> PathBuf {
    let source = directory.join("constructor.c");
    let text = serde_json::to_string(&descriptor.to_string()).unwrap();
    let trace = serde_json::to_string(path(trace)).unwrap();
    let code = format!(
        "#include <fcntl.h>\n#include <unistd.h>\n\
         __attribute__((section(\".mini_chat_plugin\"), used)) static const char descriptor[] = {text};\n\
         __attribute__((constructor)) static void mapped(void) {{ close(open({trace}, O_CREAT | O_WRONLY, 0600)); }}\n\
         int mini_chat_plugin_entry(void *args, void *reply) {{ (void)args; (void)reply; return 1; }}\n"
    );
    fs::write(&source, code).unwrap();
    let library = directory.join("constructor.so");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status().expect("cc");
    assert!(status.success());
    fs::set_permissions(&library, fs::Permissions::from_mode(0o644)).unwrap();
    library
}

#[test]
fn looking_runs_no_code_of_the_file() {
    let directory = plugins::directory();
    let hello = plugins::drop_in(directory.path(), &plugins::built("hello"), "hello.so.not-a-candidate");
    let descriptor = run(["inspect", path(&hello), "--json"]).json()["descriptor"].clone();
    let trace = directory.path().join("trace");
    let library = with_constructor(directory.path(), &descriptor, &trace);

    let ran = run(["inspect", path(&library), "--json"]);
    assert_eq!((ran.code, &ran.json()["verdict"]), (0, &json!("ok")), "{ran:?}");
    assert_eq!(run(["list", path(directory.path())]).code, 0);
    assert!(!trace.exists(), "inspect or list has run the constructor");

    // The same file leaves its trace when it is mapped, so its absence above means something.
    let event = read_fixture("mini-chat/full/TurnAuditEvent.json");
    let ran = run(["call", path(&library), "emit_turn_audit", "--json", &event]);
    assert_eq!(ran.code, 69, "{ran:?}");
    assert!(trace.exists(), "{ran:?}");
}
