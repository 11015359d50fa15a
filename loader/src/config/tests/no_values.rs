//! No value of a file ever reaches an error text or a `Debug` text.

use proptest::prelude::*;

use super::{EXAMPLE, parse};
use crate::config::{entry, host, limits};
use crate::method::Method;

const MARK: &str = "SECRET-7f3a";
/// The same for values that are no strings.
const DIGITS: &str = "73194628";

fn assert_silent(text: &str) -> Result<(), TestCaseError> {
    let shown = match parse(text) {
        Ok(config) => format!("{:?}", config.plugins.iter().map(|plugin| &plugin.config).collect::<Vec<_>>()),
        Err(error) => format!("{error}\n{error:?}"),
    };
    // Halves too: a changed file may have broken a mark in two.
    let quoted = ["SECRET", "7f3a", "7319", "4628"].iter().any(|half| shown.contains(half));
    prop_assert!(!quoted, "a value of\n{text}\nis in\n{shown}");
    Ok(())
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(format!("'{MARK}'")),
        Just(format!("\"\"\"\n{MARK}\n\"\"\"")),
        Just(DIGITS.to_owned()),
        Just(format!("{DIGITS}99999999999999999999")),
        Just(format!("1.{DIGITS}e{DIGITS}")),
        Just(format!("2026-01-01T00:00:00.{DIGITS}Z")),
        Just(format!("{{ file = '{MARK}' }}")),
        Just(format!("{{ env = '{MARK}' }}")),
        Just(format!("{{ credential = '/{MARK}' }}")),
        Just(format!("'{MARK}\"")),
        Just(format!("2026-13-01T00:00:00.{DIGITS}")),
        Just(format!("\"{MARK} \\q\"")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(|values| format!("[{}]", values.join(", "))),
            inner.prop_map(|value| format!("{{ policy = {value}, x = {value} }}")),
        ]
    })
}

fn keys() -> Vec<String> {
    let under =
        |prefix: &'static str, keys: &[&str]| keys.iter().map(|key| format!("{prefix}{key}")).collect::<Vec<_>>();
    [
        under("host.", host::KEYS),
        under("plugins.eu.", entry::KEYS),
        under("plugins.eu.limits.", limits::KEYS),
        under("plugins.eu.limits.methods.", &Method::NAMES),
        under("plugins.eu.", &["config.a.b", "unknown"]),
        under("", &["host", "plugins", "plugins.eu", "other"]),
    ]
    .concat()
}

/// The example with a value of the wrong type under each key, and every value made of the marks.
fn marked_example() -> String {
    // The elements of `tiers` stand on lines of their own, without a key.
    let kept = |line: &&str| line.starts_with('[') || line.contains(" = ") && !line.starts_with([' ', '#']);
    let lines = EXAMPLE.lines().filter(kept).map(|line| match line.split_once(" = ") {
        Some((key, value)) if value.starts_with('"') => format!("{key} = \"{MARK}\""),
        Some((key, value)) if value.starts_with(|c: char| c.is_ascii_digit()) => {
            format!("{key} = {DIGITS}")
        }
        Some((key, value)) if value.starts_with('[') => format!("{key} = ['{MARK}', {DIGITS}]"),
        Some((key, _)) => format!("{key} = {{ a = nan, b = '{MARK}', env = '{MARK}' }}"),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_wrong_value_under_every_key_is_never_quoted() {
    let text = marked_example();
    let error = parse(&text).expect_err("must be refused");
    assert!(error.problems().len() >= 25, "{error}");
    assert!(text.matches(MARK).count() >= 20, "{text}");
    assert_silent(&text).unwrap_or_else(|quoted| panic!("{quoted}"));
}

proptest! {
    #[test]
    fn any_value_under_any_key(entries in prop::collection::vec((prop::sample::select(keys()), value()), 1..6)) {
        let text: String = entries.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        assert_silent(&text)?;
    }

    #[test]
    fn a_file_cut_anywhere(cut in any::<prop::sample::Index>()) {
        let text = marked_example();
        assert_silent(&text[..cut.index(text.len())])?;
    }

    #[test]
    fn a_file_with_one_byte_missing_or_too_many(place in any::<prop::sample::Index>(), extra in prop::option::of("[\"'\\[\\]{}=.,#\n]")) {
        let mut text = marked_example();
        let place = place.index(text.len());
        match extra {
            Some(extra) => text.insert_str(place, &extra),
            None => drop(text.remove(place)),
        }
        assert_silent(&text)?;
    }
}
