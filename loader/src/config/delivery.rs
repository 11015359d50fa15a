//! `[plugins.NAME.audit]`: how the audit fan-out delivers to a plugin.

use std::time::Duration;

use super::section::Section;
use super::source::Report;

/// The keys of `[plugins.NAME.audit]`.
pub(crate) const KEYS: &[&str] =
    &["delivery", "max_in_flight", "failures", "permanents", "slow", "open_for", "stuck_refusals", "stuck_after"];

/// What it means for an event that a plugin did not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delivery {
    /// The event is not delivered: whoever emits it is told so and tries again, or gives it up.
    Required,
    /// Nothing: it is only counted.
    BestEffort,
}

impl Delivery {
    const NAMES: [(&'static str, Self); 2] = [("required", Self::Required), ("best_effort", Self::BestEffort)];
}

/// How the audit fan-out delivers to one plugin. `Default` gives that of an absent section.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditDelivery {
    /// Whether an event counts as delivered without it. `None`: it does not if the plugin is `required`.
    pub delivery: Option<Delivery>,
    /// Deliveries to it that may be under way at once; 64. One more is not begun.
    pub max_in_flight: u32,
    /// Failed or slow deliveries in a row after which it is left alone for a while; 5. 0: never for that.
    pub failures: u32,
    /// Permanent answers in a row after which it is left alone for a while; 20. 0: never for that.
    pub permanents: u32,
    /// A delivery that takes this long counts as a failed one there, whatever its answer; 5 s.
    pub slow: Duration,
    /// For how long it is left alone; 5 s. Twice as long each further time, up to a minute.
    pub open_for: Duration,
    /// So often it must have refused an event before that counts as stuck, and is given up for this plugin; 10.
    pub stuck_refusals: u32,
    /// And for so long; 15 min.
    pub stuck_after: Duration,
}

impl Default for AuditDelivery {
    fn default() -> Self {
        Self {
            delivery: None,
            max_in_flight: 64,
            failures: 5,
            permanents: 20,
            slow: Duration::from_secs(5),
            open_for: Duration::from_secs(5),
            stuck_refusals: 10,
            stuck_after: Duration::from_secs(15 * 60),
        }
    }
}

impl AuditDelivery {
    pub(crate) fn read(report: &mut Report<'_>, section: &Section<'_>) -> Self {
        section.refuse_unknown(report);
        let default = Self::default();
        Self {
            delivery: section.word(report, "delivery", &Delivery::NAMES),
            max_in_flight: section.number(report, "max_in_flight", 1, 65_536).unwrap_or(default.max_in_flight),
            failures: section.number(report, "failures", 0, u32::MAX).unwrap_or(default.failures),
            permanents: section.number(report, "permanents", 0, u32::MAX).unwrap_or(default.permanents),
            slow: section.duration(report, "slow").unwrap_or(default.slow),
            open_for: section.duration(report, "open_for").unwrap_or(default.open_for),
            stuck_refusals: section.number(report, "stuck_refusals", 1, u32::MAX).unwrap_or(default.stuck_refusals),
            stuck_after: section.duration(report, "stuck_after").unwrap_or(default.stuck_after),
        }
    }

    /// Whether an event counts as delivered only if a plugin with these settings has it.
    #[must_use]
    pub fn is_required(&self, plugin_is_required: bool) -> bool {
        self.delivery.map_or(plugin_is_required, |delivery| delivery == Delivery::Required)
    }
}
