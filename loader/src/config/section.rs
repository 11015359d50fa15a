//! One table of `plugins.toml` while it is read: typed access by key, where every miss becomes a problem.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::limits::MAX_LIMIT;
use super::source::Report;
use super::{key_path, names};
use crate::error::ProblemKind;

const DURATION: &str = "duration string such as \"250ms\", \"5s\" or \"2m\"";

/// A key and its value.
pub(crate) type Pair<'d> = (&'d Spanned<DeString<'d>>, &'d Spanned<DeValue<'d>>);

/// A table whose keys are all known beforehand.
pub(crate) struct Section<'d> {
    table: &'d DeTable<'d>,
    /// Byte at which the table starts: its header, or its opening brace.
    pub(crate) at: usize,
    /// Its key path.
    pub(crate) path: String,
    known: &'static [&'static str],
}

impl<'d> Section<'d> {
    pub(crate) fn new(table: &'d DeTable<'d>, at: usize, path: String, known: &'static [&'static str]) -> Self {
        Self { table, at, path, known }
    }

    /// The keys that are not known, in the order of the file.
    pub(crate) fn unknown(&self) -> Vec<Pair<'d>> {
        in_file_order(self.table).into_iter().filter(|(key, _)| !self.known.contains(&key.get_ref().as_ref())).collect()
    }

    /// Refuses every unknown key and names the nearest known one.
    pub(crate) fn refuse_unknown(&self, report: &mut Report<'_>) {
        for (key, _) in self.unknown() {
            self.refuse(report, key.get_ref(), key.span().start);
        }
    }

    pub(crate) fn refuse(&self, report: &mut Report<'_>, key: &str, at: usize) {
        let hint = match names::nearest(key, self.known) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("expected one of {}", self.known.join(", ")),
        };
        let message = format!("unknown key `{}`, {hint}", key_path::show(key));
        report.add(ProblemKind::UnknownKey, at, &self.key(key), message);
    }

    /// The key path of `key` in this table.
    pub(crate) fn key(&self, key: &str) -> String {
        key_path::join(&self.path, key)
    }

    /// The value of `key`, whatever its type.
    pub(crate) fn value(&self, key: &str) -> Option<&'d Spanned<DeValue<'d>>> {
        debug_assert!(self.known.contains(&key), "{key} is not among the known keys");
        self.table.get(key)
    }

    /// Whether `key` is given, with whatever value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Where `key` stands, if it is given.
    pub(crate) fn place(&self, key: &str) -> Option<usize> {
        self.table.get_key_value(key).map(|(key, _)| key.span().start)
    }

    /// The table under `key`.
    pub(crate) fn section(
        &self,
        report: &mut Report<'_>,
        key: &str,
        known: &'static [&'static str],
    ) -> Option<Section<'d>> {
        let value = self.value(key)?;
        as_table(report, value, &self.key(key))
            .map(|table| Section::new(table, value.span().start, self.key(key), known))
    }

    pub(crate) fn boolean(&self, report: &mut Report<'_>, key: &str) -> Option<bool> {
        let value = self.value(key)?;
        match value.get_ref() {
            DeValue::Boolean(boolean) => Some(*boolean),
            _ => wrong_type(report, value, &self.key(key), "boolean"),
        }
    }

    pub(crate) fn integer(&self, report: &mut Report<'_>, key: &str, range: RangeInclusive<i64>) -> Option<i64> {
        integer(report, self.value(key)?, &self.key(key), range)
    }

    /// An integer of a narrower type.
    pub(crate) fn number<T>(&self, report: &mut Report<'_>, key: &str, least: T, most: T) -> Option<T>
    where
        T: TryFrom<i64> + Into<i64>,
    {
        T::try_from(self.integer(report, key, least.into()..=most.into())?).ok()
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, report: &mut Report<'_>, key: &str, words: &[(&str, T)]) -> Option<T> {
        let value = self.value(key)?;
        let text = string(report, value, &self.key(key), "", |_| true)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        bad_value(report, value, &self.key(key), &format!("one of {}", words.join(", ")), "another string")
    }

    /// A string that `check` accepts; `expected` describes such a string.
    pub(crate) fn string(
        &self,
        report: &mut Report<'_>,
        key: &str,
        expected: &str,
        check: fn(&str) -> bool,
    ) -> Option<&'d str> {
        string(report, self.value(key)?, &self.key(key), expected, check)
    }

    /// A path; a relative one is relative to the directory of the file.
    pub(crate) fn path(&self, report: &mut Report<'_>, key: &str, base: &Path) -> Option<PathBuf> {
        self.string(report, key, "path", |path| !path.is_empty() && !path.contains('\0')).map(|path| base.join(path))
    }

    /// A duration above zero and of at most [`MAX_LIMIT`].
    pub(crate) fn duration(&self, report: &mut Report<'_>, key: &str) -> Option<Duration> {
        let value = self.value(key)?;
        let key = self.key(key);
        let DeValue::String(text) = value.get_ref() else {
            return wrong_type(report, value, &key, DURATION);
        };
        let found = match humantime::parse_duration(text) {
            Err(_) => "another string",
            Ok(Duration::ZERO) => "zero, which would end every call at once",
            Ok(duration) if duration > MAX_LIMIT => "a longer one",
            Ok(duration) => return Some(duration),
        };
        let expected = if found == "a longer one" { "duration of at most 24h" } else { DURATION };
        bad_value(report, value, &key, expected, found)
    }

    /// A list whose elements `read` turns into values.
    pub(crate) fn list<T>(
        &self,
        report: &mut Report<'_>,
        key: &str,
        mut read: impl FnMut(&mut Report<'_>, &'d Spanned<DeValue<'d>>, &str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.value(key)?;
        let key = self.key(key);
        let DeValue::Array(array) = value.get_ref() else {
            return wrong_type(report, value, &key, "array");
        };
        Some(
            array.iter().enumerate().filter_map(|(i, element)| read(report, element, &format!("{key}[{i}]"))).collect(),
        )
    }
}

/// The entries of a table in the order in which they were written.
pub(crate) fn in_file_order<'d>(table: &'d DeTable<'d>) -> Vec<Pair<'d>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

pub(crate) fn as_table<'d>(
    report: &mut Report<'_>,
    value: &'d Spanned<DeValue<'d>>,
    key: &str,
) -> Option<&'d DeTable<'d>> {
    match value.get_ref() {
        DeValue::Table(table) => Some(table),
        _ => wrong_type(report, value, key, "table"),
    }
}

pub(crate) fn integer(
    report: &mut Report<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    range: RangeInclusive<i64>,
) -> Option<i64> {
    let DeValue::Integer(number) = value.get_ref() else {
        return wrong_type(report, value, key, "integer");
    };
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) if range.contains(&number) => Some(number),
        _ => bad_value(
            report,
            value,
            key,
            &format!("integer from {} to {}", range.start(), range.end()),
            "another integer",
        ),
    }
}

pub(crate) fn string<'d>(
    report: &mut Report<'_>,
    value: &'d Spanned<DeValue<'d>>,
    key: &str,
    expected: &str,
    check: fn(&str) -> bool,
) -> Option<&'d str> {
    match value.get_ref() {
        DeValue::String(text) if check(text) => Some(text),
        DeValue::String(text) if text.is_empty() => bad_value(report, value, key, expected, "an empty string"),
        DeValue::String(_) => bad_value(report, value, key, expected, "another string"),
        _ => wrong_type(report, value, key, "string"),
    }
}

pub(crate) fn wrong_type<T>(
    report: &mut Report<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    expected: &str,
) -> Option<T> {
    let found = match value.get_ref() {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "float",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "datetime",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "table",
    };
    report.add(ProblemKind::WrongType, value.span().start, key, format!("expected {expected}, found {found}"));
    None
}

pub(crate) fn bad_value<T>(
    report: &mut Report<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    expected: &str,
    found: &str,
) -> Option<T> {
    report.add(ProblemKind::BadValue, value.span().start, key, format!("expected {expected}, found {found}"));
    None
}
