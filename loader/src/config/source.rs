//! The text of a `plugins.toml`: where a byte stands, and the problems found so far.

use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use crate::error::{ConfigError, ConfigProblem, ProblemKind};

/// Line and column, both from 1; the column counts characters.
pub(crate) type Pos = (u32, u32);

/// Collects every problem of one file, so that the operator sees all of them at once.
pub(crate) struct Report<'t> {
    pub(crate) file: &'t Path,
    text: &'t str,
    line_starts: Vec<usize>,
    problems: Vec<ConfigProblem>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(file: &'t Path, text: &'t str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, line_starts, problems: Vec::new() }
    }

    /// Where the byte at `offset` stands.
    pub(crate) fn pos(&self, offset: usize) -> Pos {
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let before = &self.text.as_bytes()[self.line_starts[line - 1]..offset.min(self.text.len())];
        // Continuation bytes of UTF-8 are no characters of their own.
        let column = before.iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1;
        (to_u32(line), to_u32(column))
    }

    /// Notes a problem at the byte `offset`.
    pub(crate) fn add(&mut self, kind: ProblemKind, offset: usize, key: &str, message: String) {
        let position = Some(self.pos(offset));
        self.problems.push(ConfigProblem::new(kind, Some(self.file), position, key, message));
    }

    pub(crate) fn count(&self) -> usize {
        self.problems.len()
    }

    /// The end of reading: an error if anything was noted.
    pub(crate) fn finish(mut self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.sort_by_key(|problem| problem.position);
        Err(ConfigError::Invalid { problems: self.problems })
    }

    /// Parses the text; `None` after syntax errors, which are noted, one per line.
    ///
    /// Only `message()` of the parser's errors is used: their `Display` quotes the line, which may hold a secret.
    pub(crate) fn toml(&mut self) -> Option<Spanned<DeTable<'t>>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let mut last_line = 0;
        for error in &errors {
            let offset = error.span().map_or(0, |span| span.start);
            if std::mem::replace(&mut last_line, self.pos(offset).0) != self.pos(offset).0 {
                self.add(ProblemKind::Syntax, offset, "", format!("not valid TOML: {}", error.message()));
            }
        }
        errors.is_empty().then_some(table)
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
