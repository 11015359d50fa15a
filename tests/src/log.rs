//! What the host logs, as records that a test can look at, or act upon the moment they are written.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::subscriber::Subscriber;
use tracing::{Event, Level, Metadata};

/// One record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its level.
    pub level: Level,
    /// `message` first, then ` name=value` for each field.
    pub text: String,
}

/// All records so far. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Record>>>);

impl Log {
    /// The records so far whose text has `part` in it.
    #[must_use]
    pub fn with(&self, part: &str) -> Vec<Record> {
        let records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().filter(|record| record.text.contains(part)).cloned().collect()
    }

    /// A subscriber that keeps every record.
    #[must_use]
    pub fn subscriber(&self) -> impl Subscriber + use<> {
        let log = self.clone();
        on_record(move |record| log.0.lock().unwrap_or_else(PoisonError::into_inner).push(record))
    }
}

/// A subscriber that gives every record to `act`, on the thread that logs.
pub fn on_record(act: impl Fn(Record) + Send + Sync + 'static) -> impl Subscriber {
    Acting(act)
}

struct Acting<F>(F);

impl<F: Fn(Record) + 'static> Subscriber for Acting<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        (self.0)(Record { level: *event.metadata().level(), text: text.message + &text.fields });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}
