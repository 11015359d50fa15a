//! What a plugin costs beside its calls: loading and swapping it, by phase; memory; many of them; the start of a program.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `lifecycle/alone.rs` | the least that loading can cost: `dlopen` |
//! | `lifecycle/phases.rs` | load and swap, by phase |
//! | `lifecycle/growth.rs` | one plugin after the other in one process |
//! | `lifecycle/memory.rs` | memory of a process, and of what it has mapped |
//! | `lifecycle/startup.rs` | `mini-chat-plugins run`, until it is ready |
//!
//! Each round has one figure of every way; what is reported is the median over the rounds. The ratio is to a figure of the same
//! round: what else the machine does changes between rounds more than within one.

mod alone;
mod growth;
mod memory;
mod phases;
mod startup;

use std::path::PathBuf;

pub use growth::child;
pub use memory::Memory;

use crate::contest::{Row, median, quantile, sorted};
use crate::sections::Part;

/// Measures all of it.
///
/// # Panics
///
/// If something does not serve, or was not built.
pub fn measure(part: &mut Part<'_>) {
    phases::measure(part);
    growth::measure(part);
    startup::measure(part);
}

impl Part<'_> {
    /// Whether the filter lets a way of this case through: then all of its ways are measured.
    fn wants(&self, case: &str, ways: &[&str]) -> bool {
        let wanted =
            |way| self.filter.as_ref().is_none_or(|filter| filter.is_match(&format!("{}/{case}/{way}", self.name)));
        ways.iter().any(wanted)
    }

    /// Rows of what `round` gives: nanoseconds of each way, in their order. The first way is the baseline. A first round does
    /// not count.
    fn rounds(&mut self, case: &str, ways: &[&str], mut round: impl FnMut() -> Vec<f64>) {
        if !self.wants(case, ways) {
            return;
        }
        println!("{}/{case}: {} rounds", self.name, self.effort.rounds);
        let _ = round();
        let rounds: Vec<_> = (0..self.effort.rounds).map(|_| round()).collect();
        let of = |way: usize| rounds.iter().map(|round| round[way]).collect::<Vec<f64>>();
        let baseline = of(0);
        for (number, way) in ways.iter().enumerate() {
            let baseline = (number > 0).then_some((ways[0], &baseline[..]));
            self.rows.push(row((self.name, case), way, &of(number), baseline));
        }
    }

    /// What is built beside the measured plugin.
    fn beside(&self, name: &str) -> PathBuf {
        let path = self.library.with_file_name(name);
        assert!(path.is_file(), "{}: it is not built; ./scripts/bench does that", path.display());
        path
    }
}

/// A row of figures, one of each round; `baseline`: its name, and its figures of the same rounds.
fn row((section, case): (&str, &str), way: &str, figures: &[f64], baseline: Option<(&str, &[f64])>) -> Row {
    let with = |compare: fn(f64, f64) -> f64| {
        baseline
            .map(|(_, base)| figures.iter().zip(base).map(|(figure, base)| compare(*figure, *base)).collect::<Vec<_>>())
    };
    let (ratios, added) = (with(|figure, base| figure / base), with(|figure, base| figure - base));
    let spread_of = sorted(ratios.clone().unwrap_or_else(|| figures.to_vec()));
    Row {
        section: section.to_owned(),
        case: case.to_owned(),
        way: way.to_owned(),
        baseline: baseline.map(|(name, _)| name.to_owned()),
        median_ns: median(figures.to_vec()),
        p99_ns: None,
        ratio: ratios.map(median),
        spread: [quantile(&spread_of, 0.25), quantile(&spread_of, 0.75)],
        added_ns: added.map(median),
        allocations: None,
        memory: None,
    }
}
