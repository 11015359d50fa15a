//! Every variant of `LoadError`, `CreateError` and `PreflightError` is shown by a test of this program.
//!
//! The variants come from the text of the enums' `kind` functions; what is shown comes from the lists from which the
//! tests themselves are made, and a test fails if it produces another kind than its list says.

use std::collections::BTreeSet;

const SHOWN: &[&[&str]] = &[
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
    let shown: BTreeSet<&str> = SHOWN.iter().flat_map(|covered| covered.iter().copied()).collect();
    let missing: Vec<_> = all.difference(&shown).collect();
    assert!(missing.is_empty(), "no test produces {missing:?}: give each a fixture and a case in this program");
    let unknown: Vec<_> = shown.difference(&all).collect();
    assert!(unknown.is_empty(), "no such variant: {unknown:?}");
}
