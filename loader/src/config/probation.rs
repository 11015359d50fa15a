//! `[plugins.NAME.probation]`: how a new build is watched after a swap, and what takes it back.

use std::time::Duration;

use super::section::Section;
use super::source::Report;

/// The keys of `[plugins.NAME.probation]`.
pub(crate) const KEYS: &[&str] = &["duration", "panics", "deadlines", "errors"];

/// When a build that has replaced another one is taken back. `Default` gives that of an absent section.
///
/// Each count is of failed calls since the swap, and trips only if their share of the calls is also more than twice that
/// of the build before (for errors: more than 5 percentage points above twice). 0 turns the count off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Probation {
    /// How long the build before stays ready to take over; 60 s.
    pub duration: Duration,
    /// Panics; 3.
    pub panics: u32,
    /// Passed deadlines; 3.
    pub deadlines: u32,
    /// `Internal` and `Permanent` answers; 20.
    pub errors: u32,
}

impl Default for Probation {
    fn default() -> Self {
        Self { duration: Duration::from_secs(60), panics: 3, deadlines: 3, errors: 20 }
    }
}

impl Probation {
    pub(crate) fn read(report: &mut Report<'_>, section: &Section<'_>) -> Self {
        section.refuse_unknown(report);
        let default = Self::default();
        Self {
            duration: section.duration(report, "duration").unwrap_or(default.duration),
            panics: section.number(report, "panics", 0, u32::MAX).unwrap_or(default.panics),
            deadlines: section.number(report, "deadlines", 0, u32::MAX).unwrap_or(default.deadlines),
            errors: section.number(report, "errors", 0, u32::MAX).unwrap_or(default.errors),
        }
    }
}
