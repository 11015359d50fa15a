//! What differs between two layouts, said so that whoever edited a type knows what to do instead.

use std::fmt;

use crate::text::{Kind, Layout, Section};

/// One difference that may not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    what: String,
    expected: String,
    found: String,
    kind: Kind,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, found, kind } = self;
        writeln!(f, "{what}")?;
        writeln!(f, "    expected: {expected}")?;
        writeln!(f, "    found:    {found}")?;
        write!(f, "    to do:    {}", advice(*kind))
    }
}

fn advice(kind: Kind) -> &'static str {
    match kind {
        Kind::Record | Kind::Variants | Kind::Union | Kind::Opaque => {
            "a released record never changes, not even at its end: undo this, write a new record in a file of its own, and carry \
             it by a new slot at the end of the vtable (sdk/abi/ABI.md, \"To add a field\")"
        }
        Kind::Table => {
            "slots are never moved, removed or given another signature: undo this, and append a new slot at the end of the table \
             (sdk/abi/ABI.md, \"To add a method\")"
        }
        Kind::Values | Kind::Constants => {
            "a number never gets another meaning: undo this, and add a new value with the next free number (sdk/abi/ABI.md, \
             \"To add a value\")"
        }
        Kind::CStruct => "the entry is frozen for ever, whatever the major: undo this (sdk/abi/ABI.md, \"Rules\")",
    }
}

fn name(member: &str) -> &str {
    member.split_once(": ").map_or(member, |(name, _)| name)
}

/// `found` is to be `golden`, to the letter.
#[must_use]
pub fn same(golden: &Layout, found: &Layout) -> Vec<Difference> {
    differences(golden, found, false)
}

/// `after` is to have all that `before` has, unchanged: types, slots, numbers; what is more stands at the end.
#[must_use]
pub fn appends(before: &Layout, after: &Layout) -> Vec<Difference> {
    differences(before, after, true)
}

fn differences(expected: &Layout, found: &Layout, may_grow: bool) -> Vec<Difference> {
    let find = |layout: &Layout, section: &Section| {
        layout.sections.iter().find(|other| other.kind == section.kind && other.name == section.name).cloned()
    };
    let mut all = Vec::new();
    for section in &expected.sections {
        match find(found, section) {
            Some(own) => compare(section, &own, may_grow && section.kind.grows(), &mut all),
            None => all.push(whole(section, "it is there".to_owned(), "nothing of this name".to_owned())),
        }
    }
    for section in found.sections.iter().filter(|section| !may_grow && find(expected, section).is_none()) {
        all.push(whole(section, "nothing of this name".to_owned(), section.facts.clone()));
    }
    all
}

fn whole(section: &Section, expected: String, found: String) -> Difference {
    Difference { what: format!("{} {}", section.kind.word(), section.name), expected, found, kind: section.kind }
}

fn compare(expected: &Section, found: &Section, may_grow: bool, all: &mut Vec<Difference>) {
    if expected.facts != found.facts {
        all.push(whole(expected, expected.facts.clone(), found.facts.clone()));
    }
    let mut differs = |member: &str, wanted: Option<&str>, is: Option<&str>| {
        let what = format!("{} {}, {} {}", expected.kind.word(), expected.name, expected.kind.member(), name(member));
        let shown = |line: Option<&str>| line.map_or_else(|| "none of this name".to_owned(), str::to_owned);
        all.push(Difference { what, expected: shown(wanted), found: shown(is), kind: expected.kind });
    };
    for member in &expected.members {
        let own = found.members.iter().find(|own| name(own) == name(member));
        if own != Some(member) {
            differs(member, Some(member), own.map(String::as_str));
        }
    }
    let added = found.members.iter().filter(|own| !expected.members.iter().any(|member| name(member) == name(own)));
    for member in added.filter(|_| !may_grow) {
        differs(member, None, Some(member));
    }
    // The same lines in another order: only numbers and texts have no place of their own.
    let kept: Vec<_> = found.members.iter().take(expected.members.len()).map(|member| name(member)).collect();
    if all.is_empty() && kept != expected.members.iter().map(|member| name(member)).collect::<Vec<_>>() {
        all.push(whole(expected, expected.members.join(", "), found.members.join(", ")));
    }
}
