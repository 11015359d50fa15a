//! What a host counts, given to the `metrics` facade: the program that embeds the host installs the recorder.
//!
//! Nothing of the facade is touched on the path of a call. A call adds to counters of its own thread's share
//! (`tally`); once a second, and whenever somebody asks ([`PluginHost::collect_metrics`](crate::PluginHost::collect_metrics)),
//! a collector copies them. So install the recorder before the host is built: what was copied before is not copied again
//! into histograms.
//!
//! Counters belong to a slot, not to a generation: they go on over swaps. What there is no longer (the version that was
//! replaced, a plugin that was disabled) is *retired*: the facade has no word for that, so the series is registered once
//! more with the target [`RETIRED`], and a gauge set to 0. A recorder that knows the target forgets the series; any other
//! one shows a 0 at the least.
//!
//! Two hosts of one process with plugins of the same names need two prefixes.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `names.rs` | every metric: name, type, labels, unit, meaning |
//! | `tally.rs` | what calls count |
//! | `ledger.rs` | the tallies of a slot, over its generations |
//! | `happened.rs` | what events count |
//! | `collector.rs`, `round.rs` | from there to the facade |
//! | `prometheus.rs` | a recorder for programs that have no other |

mod collector;
mod happened;
mod ledger;
mod names;
mod prometheus;
mod round;
mod tally;

#[cfg(test)]
mod tests;

pub(crate) use collector::{Collector, Metering};
pub(crate) use happened::Happened;
pub(crate) use ledger::Ledger;
pub use names::{
    ALL, DEFAULT_PREFIX, DURATION_BUCKETS, Metric, MetricKind, OUTCOMES, PREFIX_FORM, RETIRED, TARGET, is_prefix,
};
pub use prometheus::PrometheusRecorder;
pub(crate) use tally::{Outcome, Tally, Took};
