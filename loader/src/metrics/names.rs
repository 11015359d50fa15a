//! Every metric of the loader, by name. `docs/metrics.md` has the same list, with what to do about each; a test compares.

use ::metrics::{KeyName, Recorder, Unit};

/// What names begin with, unless the host says otherwise; `_` follows.
pub const DEFAULT_PREFIX: &str = "mini_chat_plugin";

/// What a prefix is, for messages.
pub const PREFIX_FORM: &str = "prefix of 1 to 64 letters, digits and `_` that begins with a letter";

/// The target (`metrics::Metadata::target`) with which series are registered.
pub const TARGET: &str = "mini_chat_plugin_loader";

/// The target with which a series is registered for the last time: it is over, and a recorder may forget it.
pub const RETIRED: &str = "mini_chat_plugin_loader::retired";

/// Upper bounds of the buckets in which durations are counted, in seconds. What takes longer is counted beyond the last.
pub const DURATION_BUCKETS: [f64; 23] = [
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
];

/// The values of the label `outcome`.
pub const OUTCOMES: [&str; super::tally::OUTCOMES] = super::tally::NAMES;

/// Whether names may begin with this.
#[must_use]
pub fn is_prefix(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// How a metric is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Goes up, for as long as the host lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values by size.
    Histogram,
}

impl MetricKind {
    /// As the text format of Prometheus has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Metric {
    /// Its name without the prefix and the `_` after that.
    pub name: &'static str,
    /// Its whole name with the prefix [`DEFAULT_PREFIX`], where that is another one: a host has it by contract.
    pub contract: Option<&'static str>,
    /// Its type.
    pub kind: MetricKind,
    /// The labels of each series.
    pub labels: &'static [&'static str],
    /// What is counted.
    pub unit: Unit,
    /// What it means, in one sentence without a full stop.
    pub help: &'static str,
}

impl Metric {
    /// Its whole name.
    #[must_use]
    pub fn full_name(&self, prefix: &str) -> String {
        match self.contract {
            Some(name) if prefix == DEFAULT_PREFIX => name.to_owned(),
            _ => format!("{prefix}_{}", self.name),
        }
    }

    /// Tells a recorder of it.
    pub(super) fn describe(&self, prefix: &str, recorder: &dyn Recorder) {
        let (name, unit, help) = (KeyName::from(self.full_name(prefix)), Some(self.unit), self.help.into());
        match self.kind {
            MetricKind::Counter => recorder.describe_counter(name, unit, help),
            MetricKind::Gauge => recorder.describe_gauge(name, unit, help),
            MetricKind::Histogram => recorder.describe_histogram(name, unit, help),
        }
    }
}

macro_rules! metrics {
    (@contract) => { None };
    (@contract $contract:literal) => { Some($contract) };
    ($(
        $constant:ident = $kind:ident $name:literal $(as $contract:literal)?, [$($label:literal),*], $unit:ident,
        $help:literal;
    )*) => {
        $(pub(super) const $constant: Metric = Metric {
            name: $name,
            contract: metrics!(@contract $($contract)?),
            kind: MetricKind::$kind,
            labels: &[$($label),*],
            unit: Unit::$unit,
            help: $help,
        };)*
        /// All of them, as `docs/metrics.md` has them.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    CALLS = Counter "calls_total", ["plugin", "method", "outcome"], Count,
        "calls that have ended, by how";
    CALL_DURATION = Histogram "call_duration_seconds", ["plugin", "method"], Seconds,
        "how long calls took inside and outside of the plugin; busy methods are sampled, so that the count is an estimate";
    BY_DEFAULT = Counter "answered_by_default_total", ["plugin", "method"], Count,
        "calls of methods that are newer than the plugin: the host has answered with the default";
    IN_FLIGHT = Gauge "in_flight", ["plugin"], Count,
        "calls under way, those of replaced generations too";
    SERVING = Gauge "serving", ["plugin"], Count,
        "1 if an instance serves, else 0";
    GENERATION = Gauge "generation", ["plugin"], Count,
        "the number of the generation that serves; 0 if none does";
    INFO = Gauge "info", ["plugin", "version", "digest", "abi"], Count,
        "1 for the build that serves";
    ISOLATED = Gauge "isolated", ["plugin"], Count,
        "1 if calls run on the plugin's own threads now, else 0";
    ISOLATIONS = Counter "isolations_total", ["plugin"], Count,
        "how often the watchdog has moved calls onto the plugin's own threads";
    SWAPS = Counter "swaps_total", ["plugin"], Count,
        "builds that have replaced another one";
    REFUSALS = Counter "refusals_total", ["plugin", "kind"], Count,
        "builds that were not accepted, by why; each try counts";
    ROLLBACKS = Counter "rollbacks_total", ["plugin", "kind"], Count,
        "builds that were taken back, by themselves (probation) or by hand (rolled-back)";
    PANICS = Counter "panics_total", ["plugin"], Count,
        "panics in calls, constructors, health checks and shutdown hooks";
    EVICTED_TOKENS = Counter "evicted_tokens_total", ["plugin"], Count,
        "cancellation tokens that work left behind by calls no longer hears, because there were too many";
    LIVE_HEAP = Gauge "live_heap_bytes", ["plugin"], Bytes,
        "heap that the generation that serves holds";
    RETIRED_HEAP_GROWTH = Gauge "retired_heap_growth_bytes", ["plugin"], Bytes,
        "heap that the last generation to end still held after its end";
    ZOMBIES = Gauge "zombies", ["plugin"], Count,
        "replaced generations with calls that did not end within the drain limit";
    QUARANTINED = Gauge "quarantined", ["plugin"], Count,
        "builds that are not tried again until something changes";
    EMITS = Counter "audit_emit_total" as "mini_chat_audit_emit_total", ["result"], Count,
        "audit events given to the fan-out, by what became of them; each try of a retry counts";
    DELIVERIES = Counter "audit_deliveries_total", ["plugin", "result"], Count,
        "deliveries of audit events to one plugin by the fan-out, by what became of them";
    REDACTIONS = Counter "redactions_total", ["class"], Count,
        "secrets that the sanitiser of the fan-out has replaced, by class";
    TRUNCATIONS = Counter "truncations_total", [], Count,
        "texts of audit events that the sanitiser of the fan-out has cut, as they were too long";
    FILE_REFUSALS = Counter "file_refusals_total", ["kind"], Count,
        "files in plugin directories that were found unusable, by why";
    CONFIG_REFUSALS = Counter "config_refusals_total", [], Count,
        "times that plugins.toml or a secret was found wrong, so that what was read before stayed in force";
    READY = Gauge "ready", [], Count,
        "1 if every required plugin serves, else 0";
    IMAGES_MAPPED = Gauge "images_mapped", [], Count,
        "libraries mapped in this process, those of ended generations and of other hosts too";
    IMAGES_LIMIT = Gauge "images_limit", [], Count,
        "libraries that may be mapped in this process";
}
