//! [`Batch`]: events that are sent together, until something has become of them.

use std::sync::Arc;

use tokio::time::Instant;

use crate::event::Event;
use crate::failure::{Failure, Outcome};
use crate::queue::Queue;

/// Events that are sent together. Dropped without [`settle`](Self::settle), they are settled as not sent.
#[derive(Debug)]
pub(crate) struct Batch {
    queue: Arc<Queue>,
    events: Vec<Event>,
}

impl Batch {
    /// Events that have left what waits, and are still held.
    pub(crate) fn new(queue: Arc<Queue>, events: Vec<Event>) -> Self {
        Self { queue, events }
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// Its lines.
    pub(crate) fn body(&self) -> Vec<u8> {
        self.events.iter().flat_map(|event| &event.line).copied().collect()
    }

    /// When the last of its calls stops waiting; none if somebody who does not wait relies on it.
    pub(crate) fn until(&self) -> Option<Instant> {
        let later = |latest: Option<Instant>, event: &Event| Some(latest.max(Some(event.waiting.as_ref()?.until)));
        self.events.iter().try_fold(None, later).flatten()
    }

    /// Whether all of its calls were given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.events.iter().all(Event::is_given_up)
    }

    /// Answers its calls, and notes what nobody else will hear of.
    pub(crate) fn settle(mut self, outcome: &Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: &Outcome) {
        let events = std::mem::take(&mut self.events);
        // Asked before anybody is answered: the end may begin as soon as the last call is over.
        let is_end = self.queue.is_closed();
        // First, so that whoever is answered finds room.
        self.queue.release(events.len(), events.iter().map(|event| event.line.len()).sum());
        let (mut lost, mut told) = (Vec::new(), Vec::new());
        for Event { id, waiting, .. } in events {
            match waiting {
                Some(waiting) => {
                    // Nobody listens if the call was given up.
                    let _ = waiting.done.send(outcome.clone());
                    told.push(id);
                }
                None => lost.push(id),
            }
        }
        if let Err(failure) = outcome {
            self.queue.unsent.lost(&lost, failure);
            // A caller that was told, or that did not wait, will bring its event again; at the end, who knows.
            if is_end {
                self.queue.unsent.told(&told, failure);
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if !self.events.is_empty() {
            self.end(&Err(Arc::new(Failure::Ended)));
        }
    }
}
