//! [`Handle`]: what can be asked of a host, for its owner, its control socket and its probes alike.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::audit::Ledger;
use crate::budget;
use crate::client::SlotClient;
use crate::error::SwapError;
use crate::events::{Events, HostEvent};
use crate::metrics::Happened;
use crate::slot::Slot;
use crate::status::{
    HostSnapshot, HostStatus, PluginStatus, Quarantined, Readiness, ShutdownReport, Swapped, Unpinned,
};
use crate::supervisor::{Command, Shared};

/// Asks a host. Cheap to clone; does not keep the host alive: once it has ended, what is asked is answered with
/// [`SwapError::ShuttingDown`]. The methods are those of [`PluginHost`](crate::PluginHost).
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    shared: Arc<Shared>,
    events: Events,
    audit: Arc<Ledger>,
}

impl Handle {
    pub(crate) fn new(commands: mpsc::UnboundedSender<Command>, shared: Arc<Shared>, events: Events) -> Self {
        Self { commands, shared, events, audit: Arc::default() }
    }

    pub(crate) fn client(&self, name: &str) -> Arc<SlotClient> {
        Arc::new(SlotClient::new(self.shared.slot(name)))
    }

    pub(crate) fn status(&self) -> HostStatus {
        let slots = self.shared.slots.read().unwrap_or_else(PoisonError::into_inner);
        HostStatus {
            host: self.shared.facts(self.readiness().ready),
            plugins: slots.values().map(|slot| PluginStatus::of(slot)).collect(),
            refused_files: self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            images: budget::headroom(self.shared.max_images),
            config_refused: self.shared.config_refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            state: self.shared.state.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let slots = self.shared.slots.read().unwrap_or_else(PoisonError::into_inner);
        let missing = slots.values().filter(|slot| slot.is_required() && slot.current().is_none());
        let missing: Vec<_> = missing.map(|slot| (slot.name().to_owned(), slot.reason().text)).collect();
        Readiness { ready: missing.is_empty(), missing }
    }

    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.shared.slots.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// What the events so far come to.
    pub(crate) fn happened(&self) -> Happened {
        self.events.happened()
    }

    /// What audit fan-outs of the host have counted.
    pub(crate) fn audit_ledger(&self) -> &Ledger {
        &self.audit
    }

    pub(crate) fn max_images(&self) -> u32 {
        self.shared.max_images
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<HostSnapshot> {
        self.shared.snapshot.subscribe()
    }

    /// Grows with each change of what serves.
    pub(crate) fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Acquire)
    }

    pub(crate) fn rescan(&self) {
        self.send(Command::Look { completed: Vec::new() });
    }

    pub(crate) async fn swap(&self, path: PathBuf) -> Result<Vec<Swapped>, SwapError> {
        self.ask(|answer| Command::Swap { path, answer }).await
    }

    pub(crate) async fn reload(&self, name: &str) -> Result<Swapped, SwapError> {
        self.ask(|answer| Command::Reload { name: name.to_owned(), answer }).await
    }

    pub(crate) async fn rollback(&self, name: &str) -> Result<Swapped, SwapError> {
        self.ask(|answer| Command::RollBack { name: name.to_owned(), answer }).await
    }

    pub(crate) async fn unpin(&self, name: &str) -> Result<Unpinned, SwapError> {
        self.ask(|answer| Command::Unpin { name: name.to_owned(), answer }).await
    }

    pub(crate) async fn unquarantine(&self, name: &str) -> Result<Vec<Quarantined>, SwapError> {
        self.ask(|answer| Command::Unquarantine { name: name.to_owned(), answer }).await
    }

    /// Ready when the supervisor has answered; false once it has ended. Never ready while it hangs.
    pub(crate) async fn is_alive(&self) -> bool {
        let (answer, alive) = oneshot::channel();
        self.send(Command::Ping { answer });
        alive.await.is_ok()
    }

    pub(crate) async fn shutdown(&self) -> ShutdownReport {
        let (answer, report) = oneshot::channel();
        self.send(Command::Shutdown { answer });
        match report.await {
            Ok(report) => report,
            // It has ended before.
            Err(_) => self.shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default(),
        }
    }

    /// Whether the host has ended: nobody answers any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.commands.is_closed()
    }

    /// Ready once the host has ended.
    pub(crate) async fn ended(&self) {
        self.commands.closed().await;
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, SwapError>>) -> Command,
    ) -> Result<T, SwapError> {
        let (answer, outcome) = oneshot::channel();
        self.send(command(answer));
        outcome.await.unwrap_or(Err(SwapError::ShuttingDown))
    }

    /// A supervisor that has ended drops the question.
    fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}
