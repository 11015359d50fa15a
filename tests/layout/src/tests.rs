//! The committed texts, what a wrong edit is told, and what may be written.

use std::fs;
use std::path::{Path, PathBuf};

use crate::golden::{Golden, Refused};
use crate::text::{Kind, Layout, checksum};
use crate::{appends, current, same};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate stands in tests/").to_owned()
}

#[test]
fn the_source_is_what_is_committed() {
    if let Err(refused) = Golden::of_checkout(&top()).check(&current()) {
        panic!("{refused}");
    }
}

#[test]
fn a_text_is_read_as_it_was_written() {
    let layout = current();
    assert_eq!(Layout::parse(&layout.to_string()), Ok(layout.clone()));
    assert_eq!(layout.minor(), "1.1");
    let error = Layout::parse("abi 1.1.0\n\nnonsense").unwrap_err();
    assert_eq!(error, "line 3: expected `KIND NAME | FACTS` or an indented member, found `nonsense`");
}

/// The names that a source file gives to types that cross.
fn crossing_types(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut crosses = false;
    let mut lines = source.lines().map(str::trim);
    while let Some(line) = lines.next() {
        if line.starts_with("#[") {
            crosses |= line.contains("repr(C") || line.contains("repr(transparent") || line.contains("StableAbi");
        } else if line == "open_enum! {" {
            let name = lines.find(|line| !line.starts_with("///")).and_then(|line| line.strip_suffix(" {"));
            names.push(name.expect("the name of an enumeration").to_owned());
        } else if !line.starts_with("//") {
            let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if crosses && let Some(at) = words.iter().position(|word| ["struct", "enum", "union"].contains(word)) {
                names.push(words[at + 1].to_owned());
            }
            crosses = false;
        }
    }
    names
}

/// The module of the draft of 1.2, which this build does not have.
const DRAFT: &str = "usage_v2.rs";

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with(DRAFT) {
            found.push(path);
        }
    }
}

#[test]
fn every_type_that_crosses_has_a_section() {
    let layout = current();
    let has = |name: &str| {
        let is = |own: &str| own == name || own.strip_prefix(name).is_some_and(|rest| rest.starts_with('<'));
        layout.sections.iter().any(|section| is(&section.name))
    };
    let mut files = Vec::new();
    sources(&top().join("sdk/abi/src"), &mut files);
    let mut seen = 0;
    for file in files {
        // The macro itself, whose struct has no name yet.
        if file.ends_with("open_enum.rs") {
            continue;
        }
        for name in crossing_types(&fs::read_to_string(&file).expect("a source")) {
            let told = "is in no golden text: is it reached from the plugin's module? If it is plain C, list it in describe.rs";
            assert!(has(&name), "{}: {name} {told}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 60, "only {seen} types were found");
}

#[test]
fn every_open_enumeration_has_its_values() {
    let layout = current();
    let mut files = Vec::new();
    sources(&top().join("sdk/abi/src"), &mut files);
    for file in files.iter().filter(|file| !file.ends_with("open_enum.rs")) {
        let source = fs::read_to_string(file).expect("a source");
        let only = source.split("open_enum! {").skip(1).map(|rest| format!("open_enum! {{{rest}"));
        for name in only.map(|text| crossing_types(&text).remove(0)) {
            let has = layout.sections.iter().any(|section| section.kind == Kind::Values && section.name == name);
            assert!(has, "{}: {name} is not listed in describe.rs", file.display());
        }
    }
}

#[test]
fn abi_md_says_what_an_unknown_value_becomes() {
    let text = fs::read_to_string(top().join("sdk/abi/ABI.md")).expect("it is there");
    let (_, section) = text.split_once("## Unknown values").expect("a section");
    let (table, _) = section.split_once("\n## ").expect("another one");
    for section in current().sections.iter().filter(|section| section.kind == Kind::Values) {
        let rows = table.lines().filter(|line| line.starts_with("| `"));
        let firsts = rows.filter_map(|line| line.split('|').nth(1));
        let named = firsts.filter(|cell| cell.contains(&format!("`{}`", section.name))).count();
        assert_eq!(named, 1, "sdk/abi/ABI.md, \"Unknown values\": rows for {}", section.name);
    }
}

#[test]
fn types_are_found_in_sources() {
    let source = "#[repr(C)]\n#[derive(StableAbi)]\npub struct One<'a> {\n}\npub struct Two;\nopen_enum! {\n  /// Three.\n  \
                  Three {\n  A = 1,\n}\n}\n#[repr(C, u8)]\n#[derive(StableAbi)]\npub enum Four<T> {";
    assert_eq!(crossing_types(source), ["One", "Three", "Four"]);
}

/// The layout with one line exchanged.
fn edited(section: &str, edit: impl FnOnce(&mut crate::text::Section)) -> Layout {
    let mut layout = current();
    let found = layout.sections.iter_mut().find(|own| own.name == section && own.kind != Kind::Opaque);
    edit(found.expect("a section"));
    layout
}

fn told(golden: &Layout, found: &Layout) -> String {
    same(golden, found).iter().map(|difference| format!("{difference}\n")).collect()
}

#[test]
fn a_field_added_to_a_record() {
    let found = edited("FfiUsageEvent", |record| {
        record.facts = "size 264 align 8".to_owned();
        record.members.push("web_search_calls: u32 @256".to_owned());
    });
    let told = told(&current(), &found);
    let advice = "    to do:    a released record never changes, not even at its end: undo this, write a new record in a file of its \
                  own, and carry it by a new slot at the end of the vtable (sdk/abi/ABI.md, \"To add a field\")\n";
    let expected = format!(
        "record FfiUsageEvent\n    expected: size 256 align 8\n    found:    size 264 align 8\n{advice}\
         record FfiUsageEvent, field web_search_calls\n    expected: none of this name\n    \
         found:    web_search_calls: u32 @256\n{advice}"
    );
    assert_eq!(told, expected);
    assert!(!appends(&current(), &found).is_empty(), "nor may a later minor");
}

#[test]
fn every_kind_of_edit_is_found() {
    type Edit = fn(&mut crate::text::Section);
    let edits: [(&str, Edit, &str); 7] = [
        (
            "FfiUsageEvent",
            |s| s.members[10] = "actual_credits_micro: u64 @200".to_owned(),
            "field actual_credits_micro",
        ),
        ("FfiTime", |s| drop(s.members.pop()), "field offset_seconds"),
        ("PluginAudit", |s| s.members.swap(0, 1), "vtable PluginAudit"),
        ("PluginAudit", |s| drop(s.members.remove(1)), "slot emit_turn_retry_audit"),
        ("FfiErrorKind", |s| s.members[1] = "INTERNAL: 9".to_owned(), "value INTERNAL"),
        ("RResult<FfiUserLimits, FfiError>", |s| s.members.swap(0, 1), "enum RResult<FfiUserLimits, FfiError>"),
        ("EntryReply", |s| s.facts = "size 64 align 8".to_owned(), "c-struct EntryReply"),
    ];
    for (section, edit, place) in edits {
        let found = edited(section, edit);
        assert!(told(&current(), &found).contains(place), "{section}: {}", told(&current(), &found));
        let later: String = appends(&current(), &found).iter().map(|difference| format!("{difference}\n")).collect();
        assert!(later.contains(place), "{section}, as the next minor: {later}");
    }
}

#[test]
fn a_later_minor_appends() {
    let mut later = edited("PluginAudit", |table| table.members.push("emit_v2: extern \"C\" fn() -> () #4".to_owned()));
    later.abi = "1.2.0".to_owned();
    let values = later.sections.iter_mut().find(|own| own.kind == Kind::Values && own.name == "FfiErrorKind");
    values.expect("it is there").members.push("RATE_LIMITED: 6".to_owned());
    assert_eq!(appends(&current(), &later), []);
    assert_eq!(same(&current(), &later).len(), 2, "but it is another minor");
}

#[test]
fn what_may_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let golden = Golden::of_checkout(folder.path());
    let version = |abi: &str| Layout { abi: abi.to_owned(), ..current() };

    for candidate in [false, true] {
        // It is gone, but it is known what it said.
        let refused = golden.write(&version("1.0.0"), candidate).unwrap_err();
        assert!(matches!(refused, Refused::Released(_)), "{refused}");
    }
    let words = golden.write(&version("1.1.0"), false).expect("there was none");
    assert_eq!(words, format!("layout 1.1 {}", version("1.1.0").checksum()));
    let refused = golden.write(&version("1.1.0"), false).unwrap_err();
    assert!(matches!(refused, Refused::Candidate(_)), "{refused}");
    golden.write(&version("1.1.0"), true).expect("it is a candidate");
    assert!(matches!(golden.write(&version("1.2.0"), true).unwrap_err(), Refused::Draft(_)));
}

/// A checkout with the released texts and one of the candidate, and the lines of its changelog.
fn checkout() -> (tempfile::TempDir, Golden, [String; 2]) {
    let folder = tempfile::tempdir().expect("a folder");
    let golden = Golden::of_checkout(folder.path());
    let candidate = golden.write(&current(), false).expect("there was none");
    fs::copy(top().join(RELEASED), folder.path().join(RELEASED)).expect("it is committed");
    let released = golden.read("1.0").expect("a text");
    let lines = [format!("layout 1.0 {}", released.checksum()), candidate];
    fs::write(folder.path().join("CHANGELOG.md"), lines.join(", ")).expect("a file");
    golden.check(&current()).expect("all is as committed");
    (folder, golden, lines)
}

const RELEASED: &str = "sdk/abi/golden/1.0.txt";

#[test]
fn a_released_text_is_neither_edited_nor_taken_away() {
    let (folder, golden, _) = checkout();
    let path = folder.path().join(RELEASED);
    let edited = fs::read_to_string(&path).unwrap().replace("tenant_id: FfiUuid @0", "tenant: FfiUuid @0");
    fs::write(&path, edited).unwrap();
    // Who edits it edits what the changelog says of it.
    let words = format!("layout 1.0 {}", golden.read("1.0").unwrap().checksum());
    fs::write(folder.path().join("CHANGELOG.md"), words).unwrap();
    let refused = golden.check(&current()).unwrap_err();
    assert!(matches!(&refused, Refused::Released(which) if *which == path), "{refused}");
    fs::remove_file(&path).unwrap();
    let refused = golden.check(&current()).unwrap_err();
    assert!(matches!(&refused, Refused::Released(which) if *which == path), "{refused}");
}

#[test]
fn a_change_of_a_candidate_needs_a_line_in_the_changelog() {
    let (folder, golden, lines) = checkout();
    let changelog = folder.path().join("CHANGELOG.md");

    let changed = edited("FfiUsageEvent", |record| record.members[0] = "tenant: FfiUuid @0".to_owned());
    // A field renamed is a break of 1.0 as well, which is out.
    let refused = golden.check(&changed).unwrap_err();
    assert!(matches!(refused, Refused::Differs(..)), "the source was edited: {refused}");
    golden.write(&changed, true).expect("it is a candidate");
    let refused = golden.check(&changed).unwrap_err();
    assert!(matches!(&refused, Refused::Differs(which, _) if which == "ABI 1.1 after ABI 1.0"), "{refused}");

    let mut grown = current();
    let values = grown.sections.iter_mut().find(|own| own.kind == Kind::Values && own.name == "FfiErrorKind");
    values.expect("it is there").members.push("RATE_LIMITED: 6".to_owned());
    golden.write(&current(), true).expect("it is a candidate");
    let refused = golden.check(&grown).unwrap_err();
    assert!(matches!(refused, Refused::DiffersFromCandidate(..)), "the source was edited: {refused}");
    assert!(refused.to_string().contains("scripts/layout write --candidate"), "{refused}");
    let words = golden.write(&grown, true).expect("it is a candidate");
    let refused = golden.check(&grown).unwrap_err();
    assert!(matches!(&refused, Refused::NotInChangelog(_, missing) if *missing == words), "{refused}");
    fs::write(&changelog, format!("{}, {words}", lines[0])).unwrap();
    golden.check(&grown).expect("it is told now");
}

/// A change of the candidate goes with a new copy, comments aside; once 1.1 is released, this is no longer so and goes away.
#[test]
fn the_frozen_copy_is_the_candidate() {
    if crate::State::of("1.1") != crate::State::Candidate {
        return;
    }
    let (source, copy) = (top().join("sdk/abi/src"), top().join("tests/fixtures/abi-1.1/src"));
    let mut files = Vec::new();
    sources(&source, &mut files);
    for file in files {
        let own = copy.join(file.strip_prefix(&source).expect("it stands below"));
        let code = |path: &Path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.lines().filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect::<Vec<_>>()
        };
        let same = code(&file) == code(&own);
        assert!(same, "{}: not as in the frozen copy {}: copy it there", file.display(), own.display());
    }
}

/// Changes with each new copy while 1.1 is a candidate, and never after that.
const FROZEN: &str = "087d63ac019cbb23";

#[test]
fn the_frozen_copy_is_not_edited() {
    let copy = top().join("tests/fixtures/abi-1.1");
    let mut files = vec![copy.join("Cargo.toml")];
    sources(&copy.join("src"), &mut files);
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).expect("it is committed")).collect();
    assert_eq!(checksum(&text), FROZEN, "{}: have it as it was committed", copy.display());
}
