//! A plugin whose author, or whose fork of the SDK, changed records in place: same version, other layout.

use std::fs;
use std::path::Path;

use mini_chat_plugin_tests::plugins;
use mini_chat_plugin_tests::site::{MISBEHAVING, Site};

crate::cases::cases! {
    records_edited_in_place => "layout-mismatch",
}

/// `max_tool_calls` becomes wider, and two fields of the same type change places. The compiler is told that it is meant
/// so, as somebody who edits a record in place would do.
const EDITS: &[(&str, &str, &str)] = &[
    ("sdk/abi/src/records/catalog.rs", "    pub max_tool_calls: u32,", "    pub max_tool_calls: u64,"),
    ("sdk/src/models/catalog.rs", "    pub max_tool_calls: u32,", "    pub max_tool_calls: u64,"),
    ("sdk/src/models/catalog.rs", "fn default_max_tool_calls() -> u32 {", "fn default_max_tool_calls() -> u64 {"),
    (
        "sdk/abi/src/records/limits.rs",
        "    /// Credits per day, in millionths.
    pub limit_daily_credits_micro: i64,
    /// Credits per month, in millionths.
    pub limit_monthly_credits_micro: i64,",
        "    /// Credits per month, in millionths.
    pub limit_monthly_credits_micro: i64,
    /// Credits per day, in millionths.
    pub limit_daily_credits_micro: i64,",
    ),
];

fn records_edited_in_place() -> &'static str {
    let site = Site::new();
    let path = site.put(&edited(), "edited.so");
    let (kind, text) = site.failure(site.builder(), MISBEHAVING);
    let start = "its ABI differs from this host's by more than minors may: ";
    let text = text.strip_prefix(&format!("{}: {start}", path.display())).expect(&text);
    let text = text.strip_suffix("; build it with an unmodified SDK").expect(text);
    let lines: Vec<&str> = text.split("; ").collect();
    let says = |end: &str| lines.iter().any(|line| line.ends_with(end));
    assert!(says("FfiModelCatalogEntry > max_tool_calls: u32 -- type: u32 here, u64 in the plugin"), "{lines:#?}");
    let swapped = "limit_daily_credits_micro: i64 here, limit_monthly_credits_micro: i64 in the plugin";
    assert!(says(&format!("FfiTierLimits -- field: {swapped}")), "{lines:#?}");
    assert!(lines.len() <= 13 && lines.iter().all(|line| line.len() < 300), "{lines:#?}");
    kind
}

/// The misbehaving plugin on a copy of the SDK with [`EDITS`], built with the same cargo into the same target directory,
/// where the crates of others are ready. The copy stands where the next run finds it, and is written only where it differs.
///
/// In its workspace it stands one folder deeper than in ours. Rationale: cargo names what it compiles by the path within
/// the workspace, so that the edited crates would take the place of ours.
fn edited() -> std::path::PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("edited-records");
    let plugin = "tests/fixtures/bad-plugins/misbehaving";
    for folder in ["sdk", plugin] {
        copy_folder(workspace, &copy.join("edited"), Path::new(folder));
    }
    let manifest = fs::read_to_string(workspace.join("Cargo.toml")).unwrap();
    let members = manifest.find("members = [").unwrap();
    let end = members + manifest[members..].find(']').unwrap() + 1;
    let members = format!("members = [\"edited/sdk/abi\", \"edited/sdk\", \"edited/{plugin}\"]");
    let manifest = format!("{}{members}{}", &manifest[..manifest.find("members = [").unwrap()], &manifest[end..]);
    let manifest = manifest.replace("path = \"sdk", "path = \"edited/sdk");
    // Cargo would warn of settings for packages that are not there.
    let manifest = &manifest[..manifest.find("[profile.dev.package").unwrap_or(manifest.len())];
    write_if_different(&copy.join("Cargo.toml"), manifest.as_bytes());
    write_if_different(&copy.join("Cargo.lock"), &fs::read(workspace.join("Cargo.lock")).unwrap());
    let mut cargo = plugins::cargo();
    cargo.current_dir(&copy).args(["build", "--offline", "--package", "edited-plugin"]);
    cargo.env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap());
    plugins::shared_object(cargo)
}

fn copy_folder(from: &Path, to: &Path, folder: &Path) {
    for entry in fs::read_dir(from.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if entry.file_name() != "target" {
                copy_folder(from, to, &path);
            }
            continue;
        }
        let mut content = fs::read(entry.path()).unwrap();
        for (file, before, after) in EDITS.iter().filter(|(file, ..)| path == Path::new(file)) {
            let text = String::from_utf8(content).unwrap();
            assert_eq!(text.matches(before).count(), 1, "{file} no longer has the text to edit: {before}");
            content = text.replace(before, after).into_bytes();
        }
        if path.starts_with("sdk/abi/src/records") {
            content = without_assertions(content);
        }
        if entry.file_name() == "Cargo.toml" {
            // In one target directory the two plugins need two names.
            content = String::from_utf8(content).unwrap().replace("\"misbehaving-plugin\"", "\"edited-plugin\"").into();
        }
        write_if_different(&to.join(&path), &content);
    }
}

/// The assertions of the layout would not compile, which is what they are for.
fn without_assertions(content: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(content).unwrap();
    text.replace("assert!(size_of", "let _ = (size_of")
        .replace("assert!(align_of", "let _ = (align_of")
        .replace("assert!(core::mem::offset_of", "let _ = (core::mem::offset_of")
        .into_bytes()
}

fn write_if_different(path: &Path, content: &[u8]) {
    if fs::read(path).is_ok_and(|found| found == content) {
        return;
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
