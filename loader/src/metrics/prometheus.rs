//! [`PrometheusRecorder`]: a recorder of metrics, and their text for Prometheus.
//!
//! Of our own because series must go: each swap has another digest, and the exporters there are forget a series only some
//! time after its last change, which would take rarely used counters as well. This one forgets what the loader retires.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::names::{DURATION_BUCKETS, MetricKind, RETIRED};
use ::metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, SharedString, Unit};

#[cfg(test)]
mod tests;

/// A recorder for programs that have no other: `mini-chat-plugins run` serves what it renders as `/metrics`.
///
/// Holds the metrics of the whole process, not the loader's only. Every histogram has the buckets
/// [`DURATION_BUCKETS`](super::DURATION_BUCKETS). A series that the loader retires is forgotten. Cheap to clone: clones are
/// one recorder. Any thread may call it.
///
/// ```
/// use mini_chat_plugin_loader::metrics::PrometheusRecorder;
///
/// let recorder = PrometheusRecorder::default();
/// // Before the host is built; fails if the program has a recorder already.
/// metrics::set_global_recorder(recorder.clone()).expect("the first recorder");
/// // … for each scrape, after `host.collect_metrics()`:
/// let text = recorder.render();
/// # assert_eq!(text, "");
/// ```
#[derive(Debug, Clone, Default)]
pub struct PrometheusRecorder(Arc<Mutex<BTreeMap<String, Family>>>);

/// All series of one name.
#[derive(Debug, Default)]
struct Family {
    help: String,
    /// By their labels, as they are written.
    series: BTreeMap<String, Series>,
}

#[derive(Debug, Clone)]
enum Series {
    Counter(Arc<AtomicU64>),
    /// The bits of a float.
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Buckets>),
}

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; DURATION_BUCKETS.len() + 1],
    /// The bits of a float.
    sum: AtomicU64,
}

impl HistogramFn for Buckets {
    fn record(&self, value: f64) {
        self.record_many(value, 1);
    }

    #[expect(clippy::cast_precision_loss, reason = "a sum need not be exact")]
    fn record_many(&self, value: f64, count: usize) {
        let place = DURATION_BUCKETS.partition_point(|bound| *bound < value);
        self.counts[place].fetch_add(count as u64, Ordering::Relaxed);
        let add = |sum| Some((f64::from_bits(sum) + value * count as f64).to_bits());
        let _ = self.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }
}

impl PrometheusRecorder {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Family>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn describe(&self, name: &KeyName, help: &SharedString) {
        self.lock().entry(clean(name.as_str())).or_default().help = help.to_string();
    }

    /// The series of this key, made by `new` if there is none yet; none if it is over.
    fn series(&self, key: &Key, metadata: &Metadata<'_>, new: impl FnOnce() -> Series) -> Option<Series> {
        let mut families = self.lock();
        let family = families.entry(clean(key.name())).or_default();
        let labels = labels(key);
        if metadata.target() == RETIRED {
            family.series.remove(&labels);
            return None;
        }
        Some(family.series.entry(labels).or_insert_with(new).clone())
    }

    /// Everything now, in the text format of Prometheus 0.0.4 (`text/plain; version=0.0.4; charset=utf-8`).
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.lock().iter() {
            let Some(first) = family.series.values().next() else { continue };
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", first.kind().name());
            for (labels, series) in &family.series {
                series.render(&mut text, name, labels);
            }
        }
        text
    }
}

impl Series {
    fn kind(&self) -> MetricKind {
        match self {
            Self::Counter(_) => MetricKind::Counter,
            Self::Gauge(_) => MetricKind::Gauge,
            Self::Histogram(_) => MetricKind::Histogram,
        }
    }

    // Writing to a String cannot fail.
    fn render(&self, text: &mut String, name: &str, labels: &str) {
        let in_braces = |labels: &str| if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        match self {
            Self::Counter(value) => {
                let _ = writeln!(text, "{name}{} {}", in_braces(labels), value.load(Ordering::Relaxed));
            }
            Self::Gauge(bits) => {
                let value = f64::from_bits(bits.load(Ordering::Relaxed));
                let _ = writeln!(text, "{name}{} {value}", in_braces(labels));
            }
            Self::Histogram(buckets) => {
                let comma = if labels.is_empty() { "" } else { "," };
                let bounds = DURATION_BUCKETS.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
                let mut count = 0;
                for (bound, bucket) in bounds.zip(&buckets.counts) {
                    count += bucket.load(Ordering::Relaxed);
                    let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
                }
                let (labels, sum) = (in_braces(labels), f64::from_bits(buckets.sum.load(Ordering::Relaxed)));
                let _ = writeln!(text, "{name}_sum{labels} {sum}\n{name}_count{labels} {count}");
            }
        }
    }
}

/// A name with nothing in it that Prometheus does not take.
fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

fn labels(key: &Key) -> String {
    let value = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let labels = key.labels().map(|label| format!("{}=\"{}\"", clean(label.key()), value(label.value())));
    labels.collect::<Vec<_>>().join(",")
}

impl ::metrics::Recorder for PrometheusRecorder {
    fn describe_counter(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn describe_gauge(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn describe_histogram(&self, key: KeyName, _: Option<Unit>, description: SharedString) {
        self.describe(&key, &description);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        match self.series(key, metadata, || Series::Counter(Arc::default())) {
            Some(Series::Counter(counter)) => Counter::from_arc(counter),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        match self.series(key, metadata, || Series::Gauge(Arc::default())) {
            Some(Series::Gauge(gauge)) => Gauge::from_arc(gauge),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        match self.series(key, metadata, || Series::Histogram(Arc::default())) {
            Some(Series::Histogram(buckets)) => Histogram::from_arc(buckets),
            _ => Histogram::noop(),
        }
    }
}
