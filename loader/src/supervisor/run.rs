//! The loop: commands and finished jobs, one after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream};
use tokio::sync::{mpsc, oneshot};

use super::build::{Build, Key};
use super::end::Ending;
use super::outbox::Outbox;
use super::seat::Seat;
use super::wishes::{Looked, Sources};
use super::{Answer, Command, Means};
use crate::config::Origin;
use crate::error::{LoadError, PluginFailure};
use crate::housekeeping;
use crate::instance::Ended;
use crate::scan::Known;
use crate::start::{Prepared, Started};
use crate::state::{Kept, Remembered};
use crate::status::{HostSnapshot, PluginSnapshot, Swapped};
use crate::swap::{Event, Number};
use crate::watch::Watcher;

/// A job has finished.
pub(super) enum Done {
    Looked(Box<Looked>),
    /// The thread of a look was lost.
    LookLost,
    Read(Result<Known, LoadError>, Answer<Vec<Swapped>>),
    Checked(String, Build, Result<Prepared, PluginFailure>),
    Created(String, Build, Number, Result<Started, Failed>),
    Ended(String, Number, Ended),
    ProbationOver(String, Number),
    /// Files may have settled.
    Settled,
    /// A build may be tried again.
    Due(String, Key),
    /// The last good build of a slot, and why it is to serve; or why it cannot.
    Recovered(String, Result<Box<(Build, String)>, String>),
    /// What a restart must know is written, or is not.
    Kept,
    /// A shutdown has taken longer than it may.
    Late,
    /// Nothing more is to be done about it.
    Nothing,
}

/// An instance could not be created.
pub(super) struct Failed {
    pub(super) failure: PluginFailure,
    /// What served could not take back what it had given up.
    pub(super) lost: Option<PluginFailure>,
}

impl From<PluginFailure> for Failed {
    fn from(failure: PluginFailure) -> Self {
        Self { failure, lost: None }
    }
}

/// The supervisor at work.
pub(super) struct Run {
    pub(super) means: Means,
    /// What was kept of plugins that are not here now.
    pub(super) absent: BTreeMap<String, Kept>,
    /// What they are pinned to.
    pub(super) pinned: BTreeMap<String, Known>,
    /// The configuration that was last accepted.
    pub(super) accepted: Option<Arc<Origin>>,
    /// What is said once how things stand can be seen.
    pub(super) outbox: Outbox,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) seats: BTreeMap<String, Seat>,
    /// None while a look is under way.
    pub(super) sources: Option<Sources>,
    /// Something happened while a look was under way.
    pub(super) look_again: Option<Vec<PathBuf>>,
    pub(super) first_look: bool,
    pub(super) watcher: Option<Watcher>,
    /// The last complaint about the configuration, so that it is made once.
    pub(super) complained: Option<String>,
    settled: Option<oneshot::Sender<Vec<(String, String)>>>,
    pub(super) ending: Option<Ending>,
    /// Generations that are being ended.
    pub(super) ends: usize,
}

impl Run {
    pub(super) fn new(
        means: Means,
        remembered: Remembered,
        commands: mpsc::UnboundedSender<Command>,
        settled: oneshot::Sender<Vec<(String, String)>>,
    ) -> Self {
        Self {
            outbox: Outbox::new(means.starter.events.clone()),
            means,
            absent: remembered.record.plugins,
            pinned: remembered.pinned,
            accepted: None,
            commands,
            jobs: FuturesUnordered::new(),
            seats: BTreeMap::new(),
            sources: None,
            look_again: None,
            first_look: true,
            watcher: None,
            complained: None,
            settled: Some(settled),
            ending: None,
            ends: 0,
        }
    }

    pub(super) async fn run(mut self, sources: Sources, mut receiver: mpsc::UnboundedReceiver<Command>) {
        self.sources = Some(sources);
        self.look(Vec::new());
        loop {
            match next(&mut receiver, &mut self.jobs).await {
                Next::Command(Command::Abandon) => return self.abandon(),
                Next::Command(command) => self.command(command),
                Next::Done(done) => self.done(*done),
            }
            self.publish();
            self.outbox.post();
            self.settle();
            self.persist();
            if self.is_ended() {
                return self.finish();
            }
        }
    }

    pub(super) fn job(&self, job: impl Future<Output = Done> + Send + 'static) {
        self.jobs.push(Box::pin(job));
    }

    /// Gives `done` at its time.
    pub(super) fn later(&self, at: Instant, done: Done) {
        let housekeeping = self.means.starter.housekeeping.clone();
        self.job(async move {
            housekeeping.sleep_until(at).await;
            done
        });
    }

    /// Looks at files and configuration, now or when the look under way is over.
    pub(super) fn look(&mut self, completed: Vec<PathBuf>) {
        if self.ending.is_some() {
            return;
        }
        let Some(sources) = self.sources.take() else {
            self.look_again.get_or_insert_default().extend(completed);
            return;
        };
        let first = self.first_look;
        let job = housekeeping::run("mini-chat-look", move || sources.look(first, &completed));
        self.job(async move { job.await.map_or(Done::LookLost, |looked| Done::Looked(Box::new(looked))) });
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Look { completed } => self.look(completed),
            Command::Swap { path, answer } => self.swap(path, answer),
            Command::Reload { name, answer } => self.reload(&name, answer),
            Command::RollBack { name, answer } => self.roll_back(&name, answer),
            Command::Unpin { name, answer } => self.unpin(&name, answer),
            Command::Unquarantine { name, answer } => self.unquarantine(&name, answer),
            Command::Ping { answer } => drop(answer.send(())),
            Command::Tripped { name, number, why } => self.tripped(&name, number, why),
            Command::DrainLimit { name, number, calls } => self.drain_limit(&name, number, calls),
            Command::Shutdown { answer } => self.shut_down(answer),
            Command::Abandon => {}
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Looked(looked) => self.looked(*looked),
            Done::LookLost => {
                tracing::error!(
                    "the thread that reads the plugin directories was lost: files are not looked at any more"
                );
            }
            Done::Read(known, answer) => self.read(known, answer),
            Done::Checked(name, build, outcome) => self.checked(&name, build, outcome),
            Done::Created(name, build, number, outcome) => self.created(&name, build, number, outcome),
            Done::Ended(name, number, ended) => self.ended(&name, number, ended),
            Done::ProbationOver(name, number) => {
                self.tell(&name, Event::ProbationOver(number));
                self.is_good(&name, number);
            }
            Done::Settled => self.look(Vec::new()),
            Done::Due(name, key) => {
                if let Some(seat) = self.seats.get_mut(&name) {
                    seat.due(key);
                    self.look(Vec::new());
                }
            }
            Done::Recovered(name, recovered) => self.recovered(&name, recovered),
            Done::Kept => self.kept(),
            Done::Late => self.late(),
            Done::Nothing => {}
        }
    }

    /// Lets everybody see how things stand.
    fn publish(&mut self) {
        self.seats.values().for_each(Seat::publish);
        let modified = self.means.shared.snapshot.send_if_modified(|snapshot| {
            let now =
                HostSnapshot { plugins: self.seats.values().map(|seat| PluginSnapshot::of(&seat.slot)).collect() };
            let changed = *snapshot != now;
            *snapshot = now;
            changed
        });
        if modified {
            self.means.shared.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Answers whoever started the host, once there is nothing left to wait for: after the events of the start.
    fn settle(&mut self) {
        let settled = !self.first_look && self.seats.values().all(Seat::is_settled);
        if settled && let Some(answer) = self.settled.take() {
            let failed = self.seats.iter().filter(|(_, seat)| seat.is_required() && !seat.serves());
            let _ = answer.send(failed.map(|(name, seat)| (name.clone(), seat.slot.reason().text)).collect());
        }
    }
}

enum Next {
    Command(Command),
    Done(Box<Done>),
}

/// Whatever comes first. Commands go first: a rollback does not wait behind jobs.
async fn next(
    receiver: &mut mpsc::UnboundedReceiver<Command>,
    jobs: &mut FuturesUnordered<BoxFuture<'static, Done>>,
) -> Next {
    std::future::poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(command) = receiver.poll_recv(cx) {
            return Poll::Ready(Next::Command(command.unwrap_or(Command::Abandon)));
        }
        match Pin::new(&mut *jobs).poll_next(cx) {
            Poll::Ready(Some(done)) => Poll::Ready(Next::Done(Box::new(done))),
            // Without jobs, a command is what comes next.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    })
    .await
}
