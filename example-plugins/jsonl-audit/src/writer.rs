//! [`Writer`]: the thread that owns the [`Journal`], and the way to it.
//!
//! Why a thread of its own and not `spawn_blocking`: only one may write at a time anyway, so a pool's threads would queue
//! for a lock; one owner can see who else waits and share an fsync among them (group commit); and nothing depends on the
//! runtime, so that the plugin also works linked into a program without one. An emit never blocks its caller's thread:
//! it queues its line and waits for the answer as a future does.
//!
//! Cancellation: a line is queued whole or not at all, and once queued is written whether somebody still waits or not.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use mini_chat_plugin_sdk::{LogLevel, OrPluginError, PluginContext, PluginError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::config::{Settings, SyncWhen};
use crate::journal::Journal;

/// Bytes of lines that may be queued; who comes then waits. A longer line waits until the queue is empty.
const ROOM: u32 = 16 << 20;
/// Lines that share one fsync at most, so that the first of them does not wait for ever.
const BATCH: usize = 512;

/// What is answered about one line; the text is for people.
type Outcome = Result<(), String>;

/// The way to the thread. Dropped, the thread writes what is queued and ends.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Sender<Command>,
    room: Arc<Semaphore>,
}

enum Command {
    /// Write a line.
    Line(Line),
    /// Say whether lines can be written.
    Check(oneshot::Sender<Outcome>),
    /// Sync, close the file, end.
    Stop(oneshot::Sender<Outcome>),
}

struct Line {
    bytes: Vec<u8>,
    done: oneshot::Sender<Outcome>,
    /// Given back when the line is dropped.
    _room: OwnedSemaphorePermit,
}

impl Writer {
    /// Starts the thread, which opens the journal.
    pub(crate) async fn start(settings: Settings, context: PluginContext) -> Result<Self, PluginError> {
        let (queue, commands) = channel();
        let (opened, is_open) = oneshot::channel();
        std::thread::Builder::new()
            .name(context.instance_name().to_owned())
            .spawn(move || match Journal::open(&settings, context.clone()) {
                // Nobody listens if the constructor was given up: the journal is closed again.
                Ok(journal) => {
                    if opened.send(Ok(())).is_ok() {
                        Loop { journal, sync: settings.sync, context, due: None, sync_failed: false }.run(&commands);
                    }
                }
                Err(error) => {
                    let _ = opened.send(Err(error.into_plugin_error(&settings.path)));
                }
            })
            .or_retryable("start the writer's thread")?;
        is_open.await.or_retryable("the writer's thread ended while it opened the file")??;
        Ok(Self { queue, room: Arc::new(Semaphore::new(ROOM as usize)) })
    }

    /// Writes a line, which ends in a line break. Ready when it is written, and synced if it is to be.
    pub(crate) async fn write(&self, bytes: Vec<u8>) -> Outcome {
        let size = u32::try_from(bytes.len()).map_or(ROOM, |size| size.min(ROOM));
        let room = Arc::clone(&self.room).acquire_many_owned(size).await.map_err(|error| error.to_string())?;
        self.ask(|done| Command::Line(Line { bytes, done, _room: room })).await
    }

    /// Whether lines can be written.
    pub(crate) async fn check(&self) -> Outcome {
        self.ask(Command::Check).await
    }

    /// Writes what is queued, syncs, closes the file and gives the lock back.
    pub(crate) async fn stop(&self) -> Outcome {
        self.ask(Command::Stop).await
    }

    async fn ask(&self, command: impl FnOnce(oneshot::Sender<Outcome>) -> Command) -> Outcome {
        const ENDED: &str = "the writer has ended: the plugin was shut down, or its thread panicked (see the log)";
        let (done, answer) = oneshot::channel();
        self.queue.send(command(done)).map_err(|_| ENDED.to_owned())?;
        answer.await.unwrap_or_else(|_| Err(ENDED.to_owned()))
    }
}

/// The thread.
struct Loop {
    journal: Journal,
    sync: SyncWhen,
    context: PluginContext,
    /// When what was written must be synced.
    due: Option<Instant>,
    /// The last sync that nobody waited for failed, and a warning says so.
    sync_failed: bool,
}

impl Loop {
    fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let first = match self.due {
                None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) => commands.recv_timeout(due.saturating_duration_since(Instant::now())),
            };
            let mut batch = Vec::new();
            let mut stop = None;
            let mut next = match first {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                // The plugin was dropped without shutdown.
                Err(RecvTimeoutError::Disconnected) => {
                    self.background_sync();
                    break;
                }
            };
            while let Some(command) = next {
                match command {
                    Command::Line(line) => batch.push(line),
                    Command::Check(done) => {
                        let _ = done.send(self.check());
                    }
                    Command::Stop(done) => stop = Some(done),
                }
                // What is queued behind a stop is answered by being dropped.
                next = if stop.is_none() && batch.len() < BATCH { commands.try_recv().ok() } else { None };
            }
            self.write(batch);
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.background_sync();
            }
            if let Some(done) = stop {
                let outcome = self.journal.sync().map_err(|error| self.failed("fsync", &error));
                // The lock is given back before anybody is told.
                drop(self);
                let _ = done.send(outcome);
                break;
            }
        }
    }

    /// Writes a batch, syncs once if it is to be, and answers.
    fn write(&mut self, batch: Vec<Line>) {
        if batch.is_empty() {
            return;
        }
        let ready = self.journal.refresh().map_err(|error| self.failed("open", &error));
        let mut answers = Vec::with_capacity(batch.len());
        for line in batch {
            let outcome = ready.clone().and_then(|()| {
                self.journal.append(&line.bytes).map_err(|error| self.failed("append a line to", &error))
            });
            answers.push((line.done, outcome));
        }
        match self.sync {
            SyncWhen::Always => {
                if let Err(error) = self.journal.sync() {
                    let text = self.failed("fsync", &error);
                    for (_, outcome) in &mut answers {
                        if outcome.is_ok() {
                            *outcome = Err(text.clone());
                        }
                    }
                }
            }
            SyncWhen::Within(wait) if self.journal.is_dirty() => {
                self.due.get_or_insert_with(|| Instant::now() + wait);
            }
            SyncWhen::Within(_) | SyncWhen::Never => {}
        }
        for (done, outcome) in answers {
            // Nobody listens if the emit was dropped.
            let _ = done.send(outcome);
        }
    }

    /// A sync that nobody waits for: a failure is warned of, once, and tried again after the same time.
    fn background_sync(&mut self) {
        self.due = None;
        match self.journal.sync() {
            Ok(()) => self.sync_failed = false,
            Err(error) => {
                if let SyncWhen::Within(wait) = self.sync {
                    self.due = Some(Instant::now() + wait.max(Duration::from_millis(100)));
                }
                if !std::mem::replace(&mut self.sync_failed, true) {
                    self.context.log(LogLevel::Warn, &self.failed("fsync", &error));
                }
            }
        }
    }

    fn check(&mut self) -> Outcome {
        self.journal.refresh().map_err(|error| self.failed("open", &error))
    }

    fn failed(&self, doing: &str, error: &io::Error) -> String {
        format!("{doing} {}: {error}", self.journal.path().display())
    }
}

#[cfg(test)]
mod tests;
