//! What the ratios are to come to: release profile, a host of one thread, one caller unless the case says otherwise.
//!
//! The one place where the targets stand. They are for a call that runs inline: in the part `bare` the way `inline`, in the part
//! `as shipped` the way `adaptive`, which is inline for a plugin that behaves.

#[cfg(test)]
mod tests;

use crate::contest::Row;

/// At most this.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// So many times what the baseline takes.
    Ratio(f64),
    /// So many nanoseconds more than the baseline.
    Added(f64),
    /// So many times the nanoseconds more that one caller pays.
    OfOneCaller(f64),
}

/// What one case is to come to.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The case.
    pub case: &'static str,
    /// In the part `bare`.
    pub bare: Limit,
    /// In the part `as shipped`.
    pub shipped: Limit,
}

const fn target(case: &'static str, bare: Limit, shipped: Limit) -> Target {
    Target { case, bare, shipped }
}

use Limit::{Added, OfOneCaller, Ratio};

/// The case whose baseline is a hop: its way is `isolated`.
const HOP: &str = "a hop to another runtime and back";

/// The case that [`Limit::OfOneCaller`] looks at, and the one that has that limit.
const CALLERS: [&str; 2] = ["get_current_policy_version, one caller", "get_current_policy_version, two callers"];

/// All of them.
pub const ALL: [Target; 10] = [
    target("get_current_policy_version", Ratio(2.3), Ratio(3.0)),
    target("get_user_limits", Ratio(2.3), Ratio(3.0)),
    target("check_user_license", Ratio(2.3), Ratio(3.0)),
    target("get_policy_snapshot, 100 models", Ratio(1.12), Ratio(1.15)),
    target("emit_turn_audit, 16 KiB", Ratio(1.15), Ratio(1.25)),
    target("publish_usage", Ratio(1.5), Ratio(1.8)),
    target("fan-out to 4, 16 KiB", Ratio(1.15), Ratio(1.25)),
    target("wakes itself once", Added(250.0), Added(300.0)),
    target(HOP, Ratio(1.2), Ratio(1.25)),
    target(CALLERS[1], OfOneCaller(1.3), OfOneCaller(1.3)),
];

/// The target of a row as a ratio to its baseline, if it has one. What is to be added at most is made one with the median of the
/// baseline, which is in `rows` like everything of this run.
#[must_use]
pub fn ratio(row: &Row, rows: &[Row]) -> Option<f64> {
    let target = ALL.iter().find(|target| target.case == row.case)?;
    let (limit, way) = match row.section.as_str() {
        "bare" => (target.bare, "inline"),
        "as shipped" => (target.shipped, "adaptive"),
        _ => return None,
    };
    let way = if target.case == HOP { "isolated" } else { way };
    if row.way != way {
        return None;
    }
    let find = |case: &str, way: &str| {
        rows.iter().find(|known| known.section == row.section && known.case == case && known.way == way)
    };
    let baseline = || Some(find(&row.case, row.baseline.as_deref()?)?.median_ns);
    match limit {
        Ratio(ratio) => Some(ratio),
        Added(nanoseconds) => Some(1.0 + nanoseconds / baseline()?),
        OfOneCaller(times) => Some(1.0 + times * find(CALLERS[0], way)?.added_ns? / baseline()?),
    }
}
