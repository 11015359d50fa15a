//! What the server saw.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::watch;

use crate::Endpoint;

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// What was asked for; none: no such path.
    pub endpoint: Option<Endpoint>,
    /// Names (in lower case) and values; a value that is no text is empty.
    pub headers: Vec<(String, String)>,
    /// When its headers had arrived.
    pub at: Instant,
    /// What became of it.
    pub outcome: Outcome,
}

impl Request {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is being answered.
    UnderWay,
    /// It was answered with this status.
    Answered(u16),
    /// The connection was closed before there was an answer; when the server noticed.
    Aborted(Instant),
}

impl Outcome {
    /// When the server noticed that the connection was closed.
    #[must_use]
    pub fn aborted(self) -> Option<Instant> {
        match self {
            Self::Aborted(at) => Some(at),
            _ => None,
        }
    }
}

#[derive(Default)]
struct Seen {
    requests: Vec<Request>,
    usage: Vec<(String, Value)>,
    batches: Vec<(String, Vec<u8>)>,
    open: usize,
    accepted: usize,
}

/// Everything seen, and who waits for more.
#[derive(Default)]
pub(crate) struct Record {
    seen: Mutex<Seen>,
    changes: watch::Sender<()>,
}

impl Record {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request; gives its place.
    pub(crate) fn arrived(&self, request: Request) -> usize {
        let place = {
            let mut seen = self.seen();
            seen.requests.push(request);
            seen.requests.len() - 1
        };
        self.changes.send_replace(());
        place
    }

    pub(crate) fn ended(&self, place: usize, outcome: Outcome) {
        self.seen().requests[place].outcome = outcome;
        self.changes.send_replace(());
    }

    /// Keeps an event unless there is one of the same key.
    pub(crate) fn event(&self, key: String, event: Value) {
        let mut seen = self.seen();
        if seen.usage.iter().all(|(known, _)| *known != key) {
            seen.usage.push((key, event));
        }
    }

    /// Keeps a batch, as it came.
    pub(crate) fn batch(&self, key: String, body: Vec<u8>) {
        self.seen().batches.push((key, body));
    }

    pub(crate) fn opened(&self) {
        let mut seen = self.seen();
        seen.open += 1;
        seen.accepted += 1;
    }

    pub(crate) fn closed(&self) {
        self.seen().open -= 1;
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.seen().requests.clone()
    }

    pub(crate) fn usage(&self) -> Vec<(String, Value)> {
        self.seen().usage.clone()
    }

    pub(crate) fn batches(&self) -> Vec<(String, Vec<u8>)> {
        self.seen().batches.clone()
    }

    /// Open now, accepted ever.
    pub(crate) fn connections(&self) -> (usize, usize) {
        let seen = self.seen();
        (seen.open, seen.accepted)
    }

    pub(crate) async fn until(&self, done: impl Fn(&[Request]) -> bool) {
        let mut changes = self.changes.subscribe();
        loop {
            changes.borrow_and_update();
            if done(&self.seen().requests) {
                return;
            }
            // The sender is `self`, which is here.
            let _ = changes.changed().await;
        }
    }
}
