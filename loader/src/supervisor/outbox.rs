//! [`Outbox`]: what the supervisor says, kept back until what it speaks of can be seen.
//!
//! Who hears of an event, or gets an answer, may ask for the status at once: it must not be older than what they were told.

use std::cell::RefCell;

use tokio::sync::oneshot;

use crate::events::{Events, HostEvent};

type Letter = Box<dyn FnOnce(&Events)>;

/// In the order in which it was said. The supervisor's thread alone has it.
pub(super) struct Outbox {
    events: Events,
    letters: RefCell<Vec<Letter>>,
}

impl Outbox {
    pub(super) fn new(events: Events) -> Self {
        Self { events, letters: RefCell::default() }
    }

    /// For everybody who listens.
    pub(super) fn tell_all(&self, event: HostEvent) {
        self.letters.borrow_mut().push(Box::new(|events| events.send(event)));
    }

    /// For the one who asked, who may have gone.
    pub(super) fn answer<T: 'static>(&self, to: oneshot::Sender<T>, answer: T) {
        self.letters.borrow_mut().push(Box::new(|_| drop(to.send(answer))));
    }

    /// How things stand can be seen: sends it all.
    pub(super) fn post(&self) {
        for letter in self.letters.take() {
            letter(&self.events);
        }
    }
}
