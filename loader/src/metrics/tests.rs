//! Names, buckets, sampling, and what a recorder is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use ::metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::collector::{bounds, news};
use super::names::{self, ALL, DURATION_BUCKETS, Metric, MetricKind, OUTCOMES, RETIRED, TARGET, is_prefix};
use super::round::{Round, Series};
use super::tally::{BUCKETS, EXACT, Outcome, SAMPLED, Tally, Took, Totals, bucket};
use crate::method::Method;

const DOC: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md"));

#[test]
fn the_documentation_has_the_very_metrics_that_there_are() {
    let (_, table) = DOC.split_once("<!-- metrics of the loader -->").expect("a mark");
    let (table, _) = table.split_once("<!-- end of metrics of the loader -->").expect("a mark");
    let rows: Vec<Vec<String>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.replace("\\|", "/").split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect();
    let expected = |metric: &Metric| {
        let labels = if metric.labels.is_empty() { "–".to_owned() } else { metric.labels.join(", ") };
        let name = format!("`{}`", metric.full_name(names::DEFAULT_PREFIX));
        [name, metric.kind.name().to_owned(), labels, metric.unit.as_str().to_owned(), metric.help.to_owned()]
    };
    assert_eq!(rows.len(), ALL.len());
    for (row, metric) in rows.iter().zip(ALL) {
        assert_eq!(row[1..6], expected(metric));
        assert!(!row[6].is_empty(), "{}: whether to be alerted is said", metric.name);
    }
}

#[test]
fn the_documentation_has_every_outcome() {
    let (_, section) = DOC.split_once("## What `outcome` says").expect("a section");
    let (section, _) = section.split_once("\n## ").expect("another one");
    let rows: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert_eq!(rows, OUTCOMES);
}

#[test]
fn a_name_by_contract_gives_way_to_another_prefix() {
    assert_eq!(names::EMITS.full_name(names::DEFAULT_PREFIX), "mini_chat_audit_emit_total");
    assert_eq!(names::EMITS.full_name("second"), "second_audit_emit_total");
    assert_eq!(names::CALLS.full_name("second"), "second_calls_total");
}

#[test]
fn names_are_as_prometheus_wants_them() {
    let names: BTreeSet<_> = ALL.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), ALL.len());
    for metric in ALL {
        assert!(is_prefix(metric.name), "{}", metric.name);
        assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
        assert_eq!(metric.name.contains("_bytes"), metric.unit == Unit::Bytes, "{}", metric.name);
        assert!(!metric.help.is_empty() && !metric.help.ends_with('.'), "{}", metric.help);
    }
    for (prefix, good) in [("a", true), ("a_1", true), ("", false), ("1a", false), ("_a", false), ("a-b", false)] {
        assert_eq!(is_prefix(prefix), good, "{prefix}");
    }
    assert!(is_prefix(&"a".repeat(64)) && !is_prefix(&"a".repeat(65)));
}

#[test]
fn each_duration_is_counted_where_its_bounds_are() {
    assert_eq!((bucket(0), bucket(1_000), bucket(1_001)), (0, 0, 1));
    assert_eq!((bucket(30_000_000_000), bucket(30_000_000_001), bucket(u64::MAX)), (22, 23, BUCKETS - 1));
    for (place, bound) in DURATION_BUCKETS.iter().enumerate() {
        let nanos = (bound * 1e9).round() as u64;
        assert_eq!((bucket(nanos), bucket(nanos + 1)), (place, place + 1), "{bound}");
        let (least, most) = bounds(place);
        // As a recorder with the same bounds would.
        let place_of = |value: f64| DURATION_BUCKETS.partition_point(|bound| *bound < value);
        assert_eq!((place_of(least.max(1e-9)), place_of(most)), (place, place));
    }
}

fn totals(tally: &Tally) -> Totals {
    let mut totals = Totals::default();
    totals.add(tally);
    totals
}

#[test]
fn the_first_calls_are_measured_and_then_one_for_many() {
    let (tally, method) = (Tally::default(), Method::GetUserLimits);
    let at_once =
        |count| (0..count).for_each(|_| tally.count(method, Outcome::Ok, Took { began_ns: 0, at_once: true }));
    let measured = || totals(&tally).methods[method as usize].buckets.iter().map(|(count, _)| count).sum::<u64>();
    at_once(EXACT);
    assert_eq!(measured(), EXACT);
    at_once(1);
    assert_eq!(measured(), EXACT + SAMPLED, "it counts for those that are not measured");
    at_once(SAMPLED - 1);
    assert_eq!(measured(), EXACT + SAMPLED);
    at_once(9 * SAMPLED);
    assert_eq!(measured(), EXACT + 10 * SAMPLED);
    assert_eq!(totals(&tally).methods[method as usize].outcomes[Outcome::Ok as usize], EXACT + 10 * SAMPLED);
    // What waits or fails is always measured.
    tally.count(method, Outcome::Ok, Took { began_ns: 0, at_once: false });
    tally.count(method, Outcome::Panic, Took { began_ns: 0, at_once: true });
    assert_eq!(measured(), EXACT + 10 * SAMPLED + 2);
    tally.count_dropped(method);
    assert_eq!(measured(), EXACT + 10 * SAMPLED + 2);
    let counted = totals(&tally);
    let row = &counted.methods[method as usize];
    assert_eq!((row.panics(), row.outcomes[Outcome::Dropped as usize]), (1, 1));
    assert_eq!(u64::try_from(tally.calls()), Ok(EXACT + 10 * SAMPLED + 3));
    let others = counted.methods.iter().enumerate().filter(|(place, _)| *place != method as usize);
    assert!(others.into_iter().all(|(_, row)| row.outcomes.iter().all(|count| *count == 0)));
}

#[test]
fn threads_add_to_one_sum() {
    let tally = Tally::default();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            let work = || (0..50).for_each(|_| tally.count(Method::PublishUsage, Outcome::Transient, Took::default()));
            scope.spawn(work);
        }
    });
    assert_eq!(totals(&tally).methods[Method::PublishUsage as usize].outcomes[Outcome::Transient as usize], 1000);
}

#[test]
fn what_is_new_is_told_at_its_mean_within_its_bucket() {
    let (before, mut now) = ([(0, 0); BUCKETS], [(0, 0); BUCKETS]);
    now[1] = (2, 3_000);
    now[BUCKETS - 1] = (1, 60_000_000_000);
    assert_eq!(news(&before, &now), [(1.5e-6, 2), (60.0, 1)]);
    assert_eq!(news(&now, &now), []);
    // One of the two was not there yet when it was read.
    now[1] = (2, 0);
    let told = news(&before, &now)[0];
    assert!(told.0 > DURATION_BUCKETS[0] && told.0 <= DURATION_BUCKETS[1], "{told:?}");
}

/// What a recorder is told: target, and what was set or recorded last.
#[derive(Debug, Default, Clone)]
struct Told(Arc<Mutex<BTreeMap<String, (String, f64)>>>);

struct Cell(Told, String);

impl Cell {
    fn put(&self, value: f64) {
        self.0.0.lock().unwrap().get_mut(&self.1).unwrap().1 = value;
    }
}

impl ::metrics::CounterFn for Cell {
    fn increment(&self, _: u64) {}
    fn absolute(&self, value: u64) {
        self.put(value as f64);
    }
}

impl ::metrics::GaugeFn for Cell {
    fn increment(&self, _: f64) {}
    fn decrement(&self, _: f64) {}
    fn set(&self, value: f64) {
        self.put(value);
    }
}

impl HistogramFn for Cell {
    fn record(&self, value: f64) {
        self.put(value);
    }
}

impl Told {
    fn cell(&self, key: &Key, metadata: &Metadata<'_>) -> Arc<Cell> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        self.0.lock().unwrap().entry(name.clone()).or_default().0 = metadata.target().to_owned();
        Arc::new(Cell(self.clone(), name))
    }

    fn of(&self, name: &str) -> (String, f64) {
        self.0.lock().unwrap()[name].clone()
    }
}

impl Recorder for Told {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key, metadata))
    }
    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key, metadata))
    }
    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.cell(key, metadata))
    }
}

#[test]
fn a_series_that_is_not_written_again_is_retired_once() {
    let told = Told::default();
    let round = |digests: &[&str], before: &Series| {
        let mut round = Round::new("p", &told);
        for digest in digests {
            round.gauge(&names::INFO, &["a", "1", digest, "1.1"], 1);
        }
        round.counter(&names::SWAPS, &["a"], 3);
        round.histogram(&names::CALL_DURATION, &["a", "m"], vec![(0.5, 2)]);
        round.end(before)
    };
    let first = round(&["x", "y"], &Series::new());
    assert_eq!(told.of("p_info plugin=a version=1 digest=x abi=1.1"), (TARGET.to_owned(), 1.0));
    assert_eq!(told.of("p_swaps_total plugin=a"), (TARGET.to_owned(), 3.0));
    assert_eq!(told.of("p_call_duration_seconds plugin=a method=m"), (TARGET.to_owned(), 0.5));
    let second = round(&["y"], &first);
    assert_eq!(told.of("p_info plugin=a version=1 digest=x abi=1.1"), (RETIRED.to_owned(), 0.0));
    assert_eq!(told.of("p_info plugin=a version=1 digest=y abi=1.1"), (TARGET.to_owned(), 1.0));
    assert_eq!((first.len(), second.len()), (4, 3));
    assert!(Round::new("p", &told).end(&second).is_empty());
    assert_eq!(told.of("p_swaps_total plugin=a"), (RETIRED.to_owned(), 3.0), "a counter keeps its value");
}
