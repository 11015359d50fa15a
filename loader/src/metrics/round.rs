//! [`Round`]: one copy of all numbers into the recorder, and the end of the series that there are no longer.

use std::collections::BTreeMap;

use ::metrics::{Key, Label, Level, Metadata, Recorder};

use super::names::{Metric, MetricKind, RETIRED, TARGET};

const LIVE: Metadata<'static> = Metadata::new(TARGET, Level::INFO, Some(module_path!()));
const LAST: Metadata<'static> = Metadata::new(RETIRED, Level::INFO, Some(module_path!()));

/// The series of one round.
pub(super) type Series = BTreeMap<Key, MetricKind>;

/// One round.
pub(super) struct Round<'a> {
    prefix: &'a str,
    recorder: &'a dyn Recorder,
    written: Series,
}

impl<'a> Round<'a> {
    pub(super) fn new(prefix: &'a str, recorder: &'a dyn Recorder) -> Self {
        Self { prefix, recorder, written: Series::new() }
    }

    /// `values`: in the order of the metric's labels.
    fn key(&mut self, metric: &Metric, values: &[&str]) -> Key {
        debug_assert_eq!(values.len(), metric.labels.len(), "labels of {}", metric.name);
        let labels = metric.labels.iter().zip(values).map(|(label, value)| Label::new(*label, (*value).to_owned()));
        let key = Key::from_parts(metric.full_name(self.prefix), labels.collect::<Vec<_>>());
        self.written.insert(key.clone(), metric.kind);
        key
    }

    pub(super) fn counter(&mut self, metric: &Metric, values: &[&str], value: u64) {
        let key = self.key(metric, values);
        self.recorder.register_counter(&key, &LIVE).absolute(value);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; exact up to 2^53")]
    pub(super) fn gauge(&mut self, metric: &Metric, values: &[&str], value: i64) {
        let key = self.key(metric, values);
        self.recorder.register_gauge(&key, &LIVE).set(value as f64);
    }

    /// `news`: how often which value, since the last round.
    pub(super) fn histogram(&mut self, metric: &Metric, values: &[&str], news: Vec<(f64, u64)>) {
        let key = self.key(metric, values);
        let histogram = self.recorder.register_histogram(&key, &LIVE);
        for (value, count) in news {
            histogram.record_many(value, usize::try_from(count).unwrap_or(usize::MAX));
        }
    }

    /// Ends the series of the last round that this one has not written; gives those that it has.
    pub(super) fn end(self, before: &Series) -> Series {
        for (key, kind) in before.iter().filter(|(key, _)| !self.written.contains_key(key)) {
            match kind {
                MetricKind::Counter => drop(self.recorder.register_counter(key, &LAST)),
                MetricKind::Gauge => self.recorder.register_gauge(key, &LAST).set(0.0),
                MetricKind::Histogram => drop(self.recorder.register_histogram(key, &LAST)),
            }
        }
        self.written
    }
}
