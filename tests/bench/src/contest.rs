//! A contest: the same calls made in several ways that take turns, so that whatever else the machine does meets all of them.
//!
//! Criterion warms up, says how many calls a sample has, and keeps what the last run took of the first way that is compared.
//! In each of its samples every way has its turn; the ratio to the baseline is made of two times of one sample, and what is
//! reported is the median of those ratios. Two ways that are measured one after the other, as the benchmarks of the field do,
//! may differ by a third on a machine that is shared, without any reason of their own.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use criterion::{Criterion, SamplingMode};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::heap;
use crate::lifecycle::Memory;

/// One way to make the calls.
pub struct Way<'a> {
    /// What it is called in the table.
    pub name: &'static str,
    /// Makes so many calls, and says how long they took; what is prepared for them does not count.
    pub run: Box<dyn Fn(u64) -> Duration + 'a>,
    /// Whether single calls may be told apart, and their allocations counted: not if several threads make them.
    pub singly: bool,
}

impl<'a> Way<'a> {
    /// A way of this name.
    pub fn new(name: &'static str, run: impl Fn(u64) -> Duration + 'a) -> Self {
        Self { name, run: Box::new(run), singly: true }
    }

    /// The same, of calls on several threads.
    #[must_use]
    pub fn on_threads(self) -> Self {
        Self { singly: false, ..self }
    }
}

/// What was measured of one way in one contest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The part of the run: `bare`, `as shipped`, …
    pub section: String,
    /// What is called.
    pub case: String,
    /// How.
    pub way: String,
    /// What the ratio is to; none for the baseline itself, and for what has no counterpart.
    pub baseline: Option<String>,
    /// Nanoseconds of a call: the median over the samples, of the mean of each.
    pub median_ns: f64,
    /// Nanoseconds that 99 of 100 single calls do not reach, the two readings of the clock included; not of calls on several
    /// threads.
    pub p99_ns: Option<f64>,
    /// The median over the samples of the ratio to the baseline.
    pub ratio: Option<f64>,
    /// The first and the third quartile of these ratios; without a baseline those of the nanoseconds.
    pub spread: [f64; 2],
    /// The median over the samples of the nanoseconds more than the baseline.
    pub added_ns: Option<f64>,
    /// Allocations of a call on its caller's thread; not of calls on several.
    pub allocations: Option<f64>,
    /// What it takes of memory; only where that is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
}

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Samples of each way.
    pub samples: usize,
    /// What all samples of all ways are to take together.
    pub time: Duration,
    /// Single calls for the 99th percentile.
    pub singles: u64,
    /// How often what is no call is done.
    pub rounds: usize,
}

impl Effort {
    /// To see that it runs.
    pub const SHORT: Self = Self { samples: 10, time: Duration::from_millis(5), singles: 10, rounds: 3 };
    /// For figures.
    pub const FULL: Self = Self { samples: 60, time: Duration::from_millis(1500), singles: 5_000, rounds: 20 };

    /// That of a smoke run, or of one for figures.
    #[must_use]
    pub fn of(short: bool) -> Self {
        if short { Self::SHORT } else { Self::FULL }
    }
}

/// Criterion for a run that writes to `output`, beside which it keeps what the runs took. What a smoke run took must not be what
/// the next run is compared with.
#[must_use]
pub fn criterion(output: &Path, short: bool) -> Criterion {
    let history = output.with_file_name(if short { "criterion-short" } else { "criterion" });
    Criterion::default().without_plots().output_directory(&history)
}

/// Reads the rows of another program.
///
/// # Panics
///
/// If there are none.
#[must_use]
pub fn read(path: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes rows.
///
/// # Panics
///
/// If the file cannot be written.
pub fn write(path: &Path, rows: &[Row]) {
    let text = serde_json::to_string_pretty(rows).expect("rows are JSON");
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// Lets the ways take turns. The first one is the baseline; criterion keeps the second.
pub fn contest(criterion: &mut Criterion, effort: Effort, (section, case): (&str, &str), ways: &[Way<'_>]) -> Vec<Row> {
    // By sample: nanoseconds of a call, for each way.
    let samples: Mutex<Vec<Vec<f64>>> = Mutex::default();
    let mut group = criterion.benchmark_group(format!("{section}/{case}"));
    group.sampling_mode(SamplingMode::Flat).sample_size(effort.samples).measurement_time(effort.time);
    group.warm_up_time(effort.time / 4);
    let kept = ways.len().min(2) - 1;
    group.bench_function(ways[kept].name, |bencher| {
        bencher.iter_custom(|calls| {
            let mut turn = samples.lock().expect("no sample panicked");
            let first = turn.len() / 2 % ways.len();
            let mut order: Vec<_> = (first..ways.len()).chain(0..first).collect();
            if turn.len() % 2 == 1 {
                // So that none comes after the same other one each time.
                order.reverse();
            }
            let mut times = vec![Duration::ZERO; ways.len()];
            for way in order {
                times[way] = (ways[way].run)(calls);
            }
            turn.push(times.iter().map(|time| time.as_nanos() as f64 / calls as f64).collect());
            times[kept]
        });
    });
    group.finish();
    let samples = samples.into_inner().expect("no sample panicked");
    if samples.is_empty() {
        // Passed over by the filter.
        return Vec::new();
    }
    // Before them are those of the warm-up.
    let samples = &samples[samples.len() - effort.samples..];
    (0..ways.len()).map(|way| row((section, case), ways, way, samples, effort.singles)).collect()
}

fn row((section, case): (&str, &str), ways: &[Way<'_>], way: usize, samples: &[Vec<f64>], singles: u64) -> Row {
    let Way { run, singly, .. } = &ways[way];
    let times = samples.iter().map(|sample| sample[way]);
    let ratios = samples.iter().map(|sample| sample[way] / sample[0]);
    let added = samples.iter().map(|sample| sample[way] - sample[0]);
    let compared = way > 0;
    let spread_of = sorted(if compared { ratios.clone().collect() } else { times.clone().collect() });
    Row {
        section: section.to_owned(),
        case: case.to_owned(),
        way: ways[way].name.to_owned(),
        baseline: compared.then(|| ways[0].name.to_owned()),
        median_ns: median(times.collect()),
        p99_ns: singly.then(|| p99(singles, run)),
        ratio: compared.then(|| median(ratios.collect())),
        spread: [quantile(&spread_of, 0.25), quantile(&spread_of, 0.75)],
        added_ns: compared.then(|| median(added.collect())),
        allocations: singly.then(|| heap::allocations(|| _ = run(ALLOCATING)) as f64 / ALLOCATING as f64),
        memory: None,
    }
}

/// Calls whose allocations are counted.
const ALLOCATING: u64 = 100;

/// A minute: nanoseconds.
const LONGEST: u64 = 60_000_000_000;

fn p99(singles: u64, run: &dyn Fn(u64) -> Duration) -> f64 {
    let mut histogram: Histogram<u64> = Histogram::new_with_bounds(1, LONGEST, 3).expect("they are bounds");
    for _ in 0..singles {
        histogram.saturating_record(u64::try_from(run(1).as_nanos()).unwrap_or(u64::MAX));
    }
    histogram.value_at_quantile(0.99) as f64
}

pub(crate) fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The middle one.
pub fn median(values: Vec<f64>) -> f64 {
    quantile(&sorted(values), 0.5)
}

pub(crate) fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let (below, part) = (place as usize, place.fract());
    let above = sorted[(below + 1).min(sorted.len() - 1)];
    sorted[below] + (above - sorted[below]) * part
}
