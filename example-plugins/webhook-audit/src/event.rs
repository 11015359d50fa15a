//! [`Event`]: one line of a batch, and who waits for it.

use std::fmt::{self, Display};

use mini_chat_plugin_sdk::uuid::Uuid;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::failure::Outcome;

/// An event that is to be sent.
pub(crate) struct Event {
    /// What people find it by: `TENANT:EVENT-TYPE:REQUEST`.
    pub(crate) id: String,
    /// With its line break.
    pub(crate) line: Vec<u8>,
    /// The call; none if that has been answered.
    pub(crate) waiting: Option<Waiting>,
}

/// A call that waits for its event to be accepted.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) done: oneshot::Sender<Outcome>,
    /// When it stops waiting.
    pub(crate) until: Instant,
}

/// Without what users wrote.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("id", &self.id).field("bytes", &self.line.len()).finish_non_exhaustive()
    }
}

/// One line.
#[derive(Serialize)]
struct Envelope<'a, E> {
    kind: &'a str,
    idempotency_key: &'a str,
    event: &'a E,
}

impl Event {
    /// Whether the call waited, and does not any more: its caller knows that the event was not taken.
    pub(crate) fn is_given_up(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.done.is_closed())
    }
}

/// What late hosts tell events apart by, as the loader's audit fan-out writes it into the idempotency key.
pub(crate) fn id(tenant: Uuid, event_type: impl Display, request: Uuid) -> String {
    format!("{tenant}:{event_type}:{request}")
}

/// The line of an event.
pub(crate) fn line<E: Serialize>(kind: &str, idempotency_key: &str, event: &E) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(&Envelope { kind, idempotency_key, event })?;
    line.push(b'\n');
    Ok(line)
}
