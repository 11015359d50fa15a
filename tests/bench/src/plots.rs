//! The rows of a run as pictures for the documentation, one SVG each, drawn from the `bench.json` of a run.
//!
//! | picture | what is drawn |
//! | --- | --- |
//! | `bare.svg`, `as-shipped.svg` | the ratio of each case and way of that part, its quartiles, and its target |
//! | `models.svg` | the ratio by the number of models of a snapshot |
//! | `audit-event.svg` | by the KiB of text of an audit event |
//! | `fan-out.svg` | by the number of audit plugins |
//! | `alternatives.svg` | what one would otherwise pick, beside the loaded way |
//!
//! Ratios are on a logarithmic axis. The background is white and the text asks for any sans-serif font, so that a picture can be
//! read on a dark page too. The same rows give the same bytes.

mod by_case;
mod by_size;
mod canvas;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::contest::Row;
use crate::targets;
use canvas::Fault;

/// Why there are no pictures.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// The rows cannot be read.
    #[error("{}: no rows to draw: {source}; run ./scripts/bench, which writes them, or name its bench.json", file.display())]
    Missing {
        /// What should be there.
        file: PathBuf,
        /// Why it cannot be read.
        source: std::io::Error,
    },
    /// The file has something else in it.
    #[error("{}: expected the rows that ./scripts/bench writes, found {source}; name its bench.json", file.display())]
    NotRows {
        /// The file.
        file: PathBuf,
        /// What was found, and where.
        source: serde_json::Error,
    },
    /// A ratio of a row is not one.
    #[error("{}: {case}, {way}: expected ratios above 0, found {ratio} ({}–{}); run ./scripts/bench again", file.display(),
        spread[0], spread[1])]
    NoRatio {
        /// The file.
        file: PathBuf,
        /// The row's case.
        case: String,
        /// Its way.
        way: String,
        /// Its ratio.
        ratio: f64,
        /// Its quartiles.
        spread: [f64; 2],
    },
    /// None of the rows is drawn.
    #[error("{}: none of its {rows} rows is of a case that is drawn; run ./scripts/bench without FILTER", file.display())]
    NothingToDraw {
        /// The file.
        file: PathBuf,
        /// How many rows it has.
        rows: usize,
    },
    /// A picture could not be made.
    #[error("{picture}: not drawn: {reason}")]
    NotDrawn {
        /// The picture's name.
        picture: &'static str,
        /// What the plotting library says.
        reason: String,
    },
    /// A picture could not be written.
    #[error("{}: not written: {source}; name a directory that can be written to", file.display())]
    NotWritten {
        /// The picture, or its directory.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

/// A ratio that is drawn.
#[derive(Debug, Clone)]
struct Point {
    way: String,
    ratio: f64,
    quartiles: [f64; 2],
    target: Option<f64>,
}

/// What a picture shows.
enum Subject {
    /// All cases of a part.
    Part(&'static str),
    /// One case at several sizes: what is before the number in its name, and what is after it.
    Sizes(&'static str, &'static str),
}

/// A picture.
struct Picture {
    name: &'static str,
    title: &'static str,
    subject: Subject,
    /// What the horizontal axis shows; its unit.
    axis: &'static str,
}

const RATIO: &str =
    "time of a call / time of the same call linked statically (logarithmic); median and quartiles of one run";

const PICTURES: [Picture; 6] = [
    Picture { name: "bare.svg", title: "A host with nothing else in it", subject: Subject::Part("bare"), axis: RATIO },
    Picture {
        name: "as-shipped.svg",
        title: "With metrics and a tracing subscriber, as shipped",
        subject: Subject::Part("as shipped"),
        axis: RATIO,
    },
    Picture {
        name: "models.svg",
        title: "A snapshot, by its models",
        subject: Subject::Sizes("get_policy_snapshot, ", " models"),
        axis: "models of the snapshot",
    },
    Picture {
        name: "audit-event.svg",
        title: "An audit event, by its text",
        subject: Subject::Sizes("emit_turn_audit, ", " KiB"),
        axis: "text of the event, KiB",
    },
    Picture {
        name: "fan-out.svg",
        title: "A fan-out of an event of 16 KiB, by the plugins that are given it",
        subject: Subject::Sizes("fan-out to ", ", 16 KiB"),
        axis: "audit plugins; linked: one after the other",
    },
    Picture {
        name: "alternatives.svg",
        title: "What one would otherwise pick",
        subject: Subject::Part("alternatives"),
        axis: RATIO,
    },
];

/// What was done about a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is in this file.
    Drawn(PathBuf),
    /// The run has no rows of this picture: it was given a filter.
    NoRows(&'static str),
}

/// Draws the rows of `file`, which `./scripts/bench` has written, into `folder`, which is made if it is not there. Pictures of an
/// earlier run are replaced; one that the run has no rows of is left as it is.
///
/// # Errors
///
/// [`PlotError`]; pictures before the one that failed are written.
pub fn draw(file: &Path, folder: &Path) -> Result<Vec<Outcome>, PlotError> {
    let rows = read(file)?;
    let not_written = |file: &Path| {
        let file = file.to_owned();
        move |source| PlotError::NotWritten { file, source }
    };
    std::fs::create_dir_all(folder).map_err(not_written(folder))?;
    let mut outcomes = Vec::new();
    for picture in &PICTURES {
        let drawn = picture.svg(&rows);
        let drawn = drawn.map_err(|fault| PlotError::NotDrawn { picture: picture.name, reason: fault.to_string() })?;
        outcomes.push(match drawn {
            None => Outcome::NoRows(picture.name),
            Some(svg) => {
                let target = folder.join(picture.name);
                std::fs::write(&target, svg).map_err(not_written(&target))?;
                Outcome::Drawn(target)
            }
        });
    }
    if outcomes.iter().all(|outcome| matches!(outcome, Outcome::NoRows(_))) {
        return Err(PlotError::NothingToDraw { file: file.to_owned(), rows: rows.len() });
    }
    Ok(outcomes)
}

/// The rows of a run; each ratio of a part that is drawn can stand on a logarithmic axis.
fn read(file: &Path) -> Result<Vec<Row>, PlotError> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|source| PlotError::Missing { file: file.to_owned(), source })?;
    let rows: Result<Vec<Row>, _> = serde_json::from_str(&text);
    let rows = rows.map_err(|source| PlotError::NotRows { file: file.to_owned(), source })?;
    // Of what is done once, a phase may take no time at all.
    let drawn = |row: &&Row| {
        PICTURES.iter().any(|picture| matches!(picture.subject, Subject::Part(part) if part == row.section))
    };
    for row in rows.iter().filter(drawn) {
        let Some(ratio) = row.ratio else { continue };
        if [ratio, row.spread[0], row.spread[1]].iter().any(|value| !(value.is_finite() && *value > 0.0)) {
            let (case, way) = (row.case.clone(), row.way.clone());
            return Err(PlotError::NoRatio { file: file.to_owned(), case, way, ratio, spread: row.spread });
        }
    }
    Ok(rows)
}

impl Picture {
    /// The picture; none if there are no rows of it.
    fn svg(&self, rows: &[Row]) -> Result<Option<String>, Fault> {
        match self.subject {
            Subject::Part(part) => {
                let lines = by_case::lines(rows, part);
                if lines.is_empty() { Ok(None) } else { by_case::draw(self.title, self.axis, &lines).map(Some) }
            }
            Subject::Sizes(before, after) => {
                let series = by_size::series(rows, before, after);
                if series.is_empty() { Ok(None) } else { by_size::draw(self.title, self.axis, &series).map(Some) }
            }
        }
    }
}

impl Point {
    /// What is drawn of a row: nothing of a baseline.
    fn of(row: &Row, rows: &[Row]) -> Option<Self> {
        let (ratio, target) = (row.ratio?, targets::ratio(row, rows));
        Some(Self { way: row.way.clone(), ratio, quartiles: row.spread, target })
    }

    /// All that has to be on the axis.
    fn extent(&self) -> impl Iterator<Item = f64> {
        [self.ratio, self.quartiles[0], self.quartiles[1]].into_iter().chain(self.target)
    }
}

/// The name of the case without that of a contest that stands apart: its ways are drawn with the others.
fn label(case: &str) -> &str {
    case.strip_suffix(", isolated").unwrap_or(case)
}
