//! What became of one event: [`AuditReport`].

use std::fmt;
use std::sync::Arc;

use mini_chat_plugin_sdk::error::MiniChatAuditPluginError;

/// What became of one event at one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The plugin has taken it.
    Accepted,
    /// It had taken it at an earlier try, and was not asked again.
    AlreadyAccepted,
    /// It could not take it now, panicked, or does not serve; in its words.
    Transient(String),
    /// It will never take it; in its words.
    Permanent(String),
    /// It did not answer within its deadline.
    Timeout,
    /// It has failed too often of late, and was left alone.
    BreakerOpen {
        /// This event is tried all the same, to see whether the plugin is well again, but nobody waits for that. If the
        /// plugin takes it, a retry of the event finds [`AlreadyAccepted`](Self::AlreadyAccepted).
        probing: bool,
    },
    /// Too many deliveries to it are under way.
    BulkheadFull,
    /// It has refused this event so often and for so long that the event is given up for it.
    Stuck {
        /// How often.
        refusals: u32,
        /// What it said last.
        last: String,
    },
}

impl Outcome {
    /// All names, in the order of the variants.
    pub const NAMES: [&'static str; 8] =
        ["accepted", "already_accepted", "transient", "permanent", "timeout", "breaker_open", "bulkhead_full", "stuck"];

    /// Place of the name in [`NAMES`](Self::NAMES).
    pub(super) fn place(&self) -> usize {
        match self {
            Self::Accepted => 0,
            Self::AlreadyAccepted => 1,
            Self::Transient(_) => 2,
            Self::Permanent(_) => 3,
            Self::Timeout => 4,
            Self::BreakerOpen { .. } => 5,
            Self::BulkheadFull => 6,
            Self::Stuck { .. } => 7,
        }
    }

    /// The name used in counters and labels.
    #[must_use]
    pub fn name(&self) -> &'static str {
        Self::NAMES[self.place()]
    }

    /// Whether the plugin has the event.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted | Self::AlreadyAccepted)
    }

    /// Whether the plugin will never have it.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Permanent(_) | Self::Stuck { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Of a plugin's words.
        const SHOWN: usize = 300;
        let short = |text: &str| text.chars().take(SHOWN).collect::<String>();
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::AlreadyAccepted => f.write_str("accepted before"),
            Self::Transient(why) | Self::Permanent(why) => f.write_str(&short(why)),
            Self::Timeout => f.write_str("no answer within its deadline"),
            Self::BreakerOpen { .. } => f.write_str("left alone, as it has failed too often of late"),
            Self::BulkheadFull => f.write_str("too many deliveries to it are under way"),
            Self::Stuck { refusals, last } => {
                write!(f, "given up after {refusals} refusals, the last: {}", short(last))
            }
        }
    }
}

impl From<Result<(), MiniChatAuditPluginError>> for Outcome {
    fn from(answer: Result<(), MiniChatAuditPluginError>) -> Self {
        match answer {
            Ok(()) => Self::Accepted,
            Err(MiniChatAuditPluginError::Transient(why)) => Self::Transient(why),
            Err(MiniChatAuditPluginError::Permanent(why)) => Self::Permanent(why),
            Err(MiniChatAuditPluginError::PluginTimeout) => Self::Timeout,
        }
    }
}

/// The delivery of one event to one plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginDelivery {
    /// The name of its slot.
    pub plugin: Arc<str>,
    /// Whether the event counts as delivered only if this plugin has it.
    pub required: bool,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one event: at every audit plugin, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuditReport {
    /// One for each plugin. Empty: there is none, and the event was dropped.
    pub deliveries: Vec<PluginDelivery>,
}

impl AuditReport {
    /// Whether there was no plugin to deliver to.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.deliveries.is_empty()
    }

    /// The outcome at one plugin.
    #[must_use]
    pub fn of(&self, plugin: &str) -> Option<&Outcome> {
        self.deliveries.iter().find(|delivery| &*delivery.plugin == plugin).map(|delivery| &delivery.outcome)
    }

    /// The whole as the answer of one plugin: only required ones count.
    ///
    /// # Errors
    ///
    /// `Transient` while one of them may still take the event, else `Permanent` if one never will; each names all that do not
    /// have it.
    pub fn result(&self) -> Result<(), MiniChatAuditPluginError> {
        let missing = || self.deliveries.iter().filter(|delivery| delivery.required && !delivery.outcome.is_accepted());
        if missing().next().is_none() {
            return Ok(());
        }
        let named: Vec<_> = missing().map(|delivery| format!("{} ({})", delivery.plugin, delivery.outcome)).collect();
        let text = format!("not delivered to {}", named.join(", "));
        if missing().all(|delivery| delivery.outcome.is_permanent()) {
            Err(MiniChatAuditPluginError::Permanent(text))
        } else {
            Err(MiniChatAuditPluginError::Transient(text))
        }
    }
}
