//! Every variant of `LoadError`, `CreateError` and `PreflightError` is shown by a test of this program.
//!
//! The variants come from the text of the enums' `kind` functions; what is shown comes from the lists from which the
//! tests themselves are made, and a test fails if it produces another kind than its list says. What each variant of
//! `LoadError` is provoked with stands in the README of the bad plugins, which says what is true.

use std::collections::{BTreeMap, BTreeSet};

use mini_chat_plugin_tests::{fixtures, read_fixture};

const SHOWN: &[&[(&str, &str)]] = &[
    crate::configuration::COVERED,
    crate::creation::COVERED,
    crate::damaged::COVERED,
    crate::entry::COVERED,
    crate::files::COVERED,
    crate::hanging::COVERED,
    crate::layout::COVERED,
    crate::place::COVERED,
    crate::room::COVERED,
    crate::structure::COVERED,
    crate::threads::COVERED,
    crate::trial::COVERED,
];

/// The codes in `Self::Variant { .. } => "code",`.
fn kinds(source: &str) -> BTreeSet<&str> {
    let function = &source[source.find("pub fn kind(&self)").expect("the function `kind`")..];
    let function = &function[..function.find("\n    }\n").expect("its end")];
    let arms = function.lines().filter_map(|line| line.trim().strip_prefix("Self::")?.split_once(" => \""));
    arms.map(|(_, rest)| rest.strip_suffix("\",").expect("a code on a line of its own")).collect()
}

#[test]
fn every_variant_is_shown_by_a_test() {
    let load = kinds(include_str!("../../../loader/src/error/load.rs"));
    let create = kinds(include_str!("../../../loader/src/error/create.rs"));
    let trial = kinds(include_str!("../../../loader/src/error/preflight.rs"));
    let understood = load.len() > 40 && create.len() > 5 && trial.len() > 5;
    assert!(understood, "the text was not understood: {load:?}, {create:?}, {trial:?}");
    let all: BTreeSet<&str> = [load, create, trial].into_iter().flatten().collect();
    let shown: BTreeSet<&str> = SHOWN.iter().flat_map(|covered| covered.iter().map(|(_, kind)| *kind)).collect();
    let missing: Vec<_> = all.difference(&shown).collect();
    assert!(missing.is_empty(), "no test produces {missing:?}: give each a fixture and a case in this program");
    let unknown: Vec<_> = shown.difference(&all).collect();
    assert!(unknown.is_empty(), "no such variant: {unknown:?}");
}

#[test]
fn every_bad_thing_is_in_the_table() {
    let text = read_fixture("bad-plugins/README.md");
    let table = text.split("| code |").nth(1).expect("the table of codes");
    let mut documented = BTreeMap::new();
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [code, what, tests] = cells[..] else { panic!("three columns: {row}") };
        assert!(!what.is_empty(), "{row}");
        for name in what.split('`').skip(1).step_by(2).filter(|name| *name != "../plugins") {
            let there = fixtures("bad-plugins").join(name).exists() || fixtures("plugins").join(name).exists();
            assert!(there, "no fixture {name}: {row}");
        }
        let tests: BTreeSet<String> = tests.split(", ").map(|test| test.trim_matches('`').to_owned()).collect();
        assert!(documented.insert(code.trim_matches('`').to_owned(), tests).is_none(), "twice: {row}");
    }
    let load = kinds(include_str!("../../../loader/src/error/load.rs"));
    let mut true_of = BTreeMap::<String, BTreeSet<String>>::new();
    for (test, kind) in SHOWN.iter().flat_map(|covered| covered.iter()).filter(|(_, kind)| load.contains(kind)) {
        let test = test.split_once("::").expect("a module of this program").1;
        true_of.entry((*kind).to_owned()).or_default().insert(test.to_owned());
    }
    assert_eq!(documented, true_of, "tests/fixtures/bad-plugins/README.md says what is not so");
}
