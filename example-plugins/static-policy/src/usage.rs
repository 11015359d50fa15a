//! Counting of usage events.
//!
//! Deliveries are counted: an event that the host delivers twice counts twice.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mini_chat_plugin_sdk::models::UsageEvent;

/// What a number of usage events add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// Events.
    pub events: u64,
    /// Tokens read.
    pub input_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// Credits charged, in millionths; what was given back is subtracted.
    pub credits_micro: i128,
}

/// Everything counted since the plugin was created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// All events.
    pub total: UsageTotals,
    /// By model that answered, for the models of any version's catalogue.
    pub by_model: BTreeMap<String, UsageTotals>,
    /// Events of models that no catalogue has, all in one: what is kept does not grow with what is sent.
    pub unlisted: UsageTotals,
}

impl UsageTotals {
    fn add(&mut self, event: &UsageEvent) {
        self.events += 1;
        if let Some(tokens) = &event.usage {
            self.input_tokens = self.input_tokens.saturating_add(tokens.input_tokens);
            self.output_tokens = self.output_tokens.saturating_add(tokens.output_tokens);
        }
        self.credits_micro += i128::from(event.actual_credits_micro);
    }
}

impl std::fmt::Display for UsageTotals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} events, {} input tokens, {} output tokens, {} millionths of a credit",
            self.events, self.input_tokens, self.output_tokens, self.credits_micro
        )
    }
}

/// Counts; shared by all calls.
#[derive(Debug)]
pub(crate) struct Counter(Mutex<Usage>);

impl Counter {
    pub(crate) fn new<'a>(models: impl Iterator<Item = &'a str>) -> Self {
        let by_model = models.map(|model| (model.to_owned(), UsageTotals::default())).collect();
        Self(Mutex::new(Usage { by_model, ..Usage::default() }))
    }

    pub(crate) fn add(&self, event: &UsageEvent) {
        let mut usage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Usage { total, by_model, unlisted } = &mut *usage;
        total.add(event);
        by_model.get_mut(&event.effective_model).unwrap_or(unlisted).add(event);
    }

    pub(crate) fn read(&self) -> Usage {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
