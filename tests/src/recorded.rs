//! A recorder of metrics that a test can look into. It forgets series that the loader retires, as it may.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use mini_chat_plugin_loader::metrics::RETIRED;

/// What was recorded: of a histogram, how many values.
#[derive(Debug, Clone, Default)]
pub struct Recorded(Arc<Mutex<BTreeMap<String, f64>>>);

/// The recorder of this process, installed at the first call.
///
/// # Panics
///
/// If there is another one.
#[must_use]
pub fn install() -> Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    let recorded = RECORDED.get_or_init(|| {
        let recorded = Recorded::default();
        metrics::set_global_recorder(recorded.clone()).expect("the first recorder");
        recorded
    });
    recorded.clone()
}

impl Recorded {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of a series: `name{label=value,…}`, or the name alone if it has no labels.
    #[must_use]
    pub fn value(&self, series: &str) -> Option<f64> {
        self.lock().get(series).copied()
    }

    /// The series whose names begin so.
    #[must_use]
    pub fn series(&self, prefix: &str) -> Vec<String> {
        self.lock().keys().filter(|series| series.starts_with(prefix)).cloned().collect()
    }

    fn cell(&self, key: &Key, metadata: &Metadata<'_>) -> Option<Arc<Cell>> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let series = format!("{}{labels}", key.name());
        if metadata.target() == RETIRED {
            self.lock().remove(&series);
            return None;
        }
        self.lock().entry(series.clone()).or_default();
        Some(Arc::new(Cell { recorded: self.clone(), series }))
    }
}

struct Cell {
    recorded: Recorded,
    series: String,
}

impl Cell {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        if let Some(value) = self.recorded.lock().get_mut(&self.series) {
            *value = change(*value);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "tests count little")]
impl CounterFn for Cell {
    fn increment(&self, value: u64) {
        self.change(|before| before + value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|before| before.max(value as f64));
    }
}

impl GaugeFn for Cell {
    fn increment(&self, value: f64) {
        self.change(|before| before + value);
    }

    fn decrement(&self, value: f64) {
        self.change(|before| before - value);
    }

    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Cell {
    fn record(&self, _: f64) {
        self.change(|before| before + 1.0);
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> Counter {
        self.cell(key, metadata).map_or_else(Counter::noop, Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> Gauge {
        self.cell(key, metadata).map_or_else(Gauge::noop, Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> Histogram {
        self.cell(key, metadata).map_or_else(Histogram::noop, Histogram::from_arc)
    }
}
