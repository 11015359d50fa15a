//! [`Sender`]: the tasks that take batches out of the queue and send them, and their end.

use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_sdk::uuid::{Builder, Uuid};
use mini_chat_plugin_sdk::{LogLevel, OrPluginError, PluginContext, PluginError};
use reqwest::header::HeaderValue;
use rustls::crypto;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::batch::Batch;
use crate::client::Client;
use crate::config::Settings;
use crate::failure::{Failure, Outcome};
use crate::queue::Queue;
use crate::retry::back_off;
use crate::unsent::Unsent;

/// With less time there is no try: it would blame the endpoint.
const LEAST_TRY: Duration = Duration::from_millis(5);

/// The tasks. Dropped without [`stop`](Self::stop), they end at once, and what they had not sent is noted.
#[derive(Debug)]
pub(crate) struct Sender {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Shared {
    context: PluginContext,
    queue: Arc<Queue>,
    client: Client,
    tries: u64,
    try_timeout: Duration,
    retry_for: Duration,
    /// Begins the keys of this instance's batches.
    instance: Uuid,
    batches: AtomicU64,
    /// Nothing is tried any more.
    stop: CancellationToken,
    /// Why the last try failed; none if it did not.
    trouble: Mutex<Option<Arc<Failure>>>,
    /// The endpoint wants to be left alone until then.
    not_before: Mutex<Option<Instant>>,
    /// Tasks that have not ended.
    working: AtomicUsize,
}

impl Sender {
    /// Starts the tasks, which connect to nothing before there is an event.
    pub(crate) fn start(context: PluginContext, settings: &Settings) -> Result<Self, PluginError> {
        let mut random = [0; 16];
        let provider = crypto::ring::default_provider();
        provider.secure_random.fill(&mut random).map_err(|_| "no random numbers").or_retryable("name the instance")?;
        let shared = Arc::new(Shared {
            queue: Arc::new(Queue::new(settings.bounds, Unsent::new(context.clone()))),
            client: Client::new(settings)?,
            context,
            tries: settings.tries,
            try_timeout: settings.try_timeout,
            retry_for: settings.retry_for,
            instance: Builder::from_random_bytes(random).into_uuid(),
            batches: AtomicU64::new(0),
            stop: CancellationToken::new(),
            trouble: Mutex::default(),
            not_before: Mutex::default(),
            working: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        for _ in 0..settings.batches_in_flight {
            tasks.spawn(Working::new(&shared).run());
        }
        Ok(Self { shared, tasks: Mutex::new(tasks) })
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.shared.queue
    }

    /// Why the last try failed; none if it did not.
    pub(crate) fn trouble(&self) -> Option<Arc<Failure>> {
        self.shared.trouble().clone()
    }

    /// Whether anything sends.
    pub(crate) fn is_working(&self) -> bool {
        self.shared.working.load(Ordering::Acquire) > 0
    }

    /// Takes no more events, sends what there is until `limit`, and notes what is left then. Gives how many of the events
    /// that it found were not delivered.
    pub(crate) async fn stop(&self, limit: Instant) -> u64 {
        let before = self.queue().unsent.count();
        self.queue().close();
        let mut tasks = std::mem::take(&mut *self.tasks());
        let mut ended = std::pin::pin!(async { while tasks.join_next().await.is_some() {} });
        if timeout_at(limit, &mut ended).await.is_err() {
            self.shared.stop.cancel();
            ended.await;
        }
        self.shared.give_up_rest();
        self.queue().unsent.count() - before
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        self.queue().close();
        self.tasks().abort_all();
        self.shared.give_up_rest();
    }
}

/// One of the tasks; counted as long as it lives, however it ends.
struct Working(Arc<Shared>);

impl Working {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.working.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(shared))
    }

    async fn run(self) {
        while let Some(batch) = self.0.queue.take().await {
            let outcome = self.0.send(&batch).await;
            batch.settle(&outcome);
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        if self.0.working.fetch_sub(1, Ordering::AcqRel) == 1 {
            // The last one: what comes now would wait for nobody. Nothing is left unless it panicked.
            self.0.queue.close();
            self.0.give_up_rest();
        }
    }
}

impl Shared {
    fn trouble(&self) -> MutexGuard<'_, Option<Arc<Failure>>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Settles what nobody will send.
    fn give_up_rest(&self) {
        while let Some(batch) = self.queue.take_unsent() {
            drop(batch);
        }
    }

    /// Sends a batch, with all its tries.
    async fn send(&self, batch: &Batch) -> Outcome {
        let stopped = || Err(Arc::new(Failure::ShutDown { last: self.trouble().clone() }));
        // Only at the end there are batches that nobody waits for.
        if self.stop.is_cancelled() || batch.is_given_up() {
            return stopped();
        }
        let end = Instant::now() + self.retry_for;
        let until = batch.until().map_or(end, |until| until.min(end));
        let key = self.next_key();
        let body = batch.body();
        // Apart: a large one would hold the thread for milliseconds.
        let body = tokio::select! {
            biased;
            () = self.stop.cancelled() => return stopped(),
            body = tokio::task::spawn_blocking(move || gzip(&body)) => body.unwrap_or_else(|error| Err(error.into())),
        };
        let body = body.map_err(|error| Arc::new(Failure::NotWritable(error.to_string())))?;
        let (mut tries, mut wait, mut last) = (0, Duration::ZERO, self.trouble().clone());
        loop {
            wait = wait.max(self.pause());
            if wait + LEAST_TRY >= until.saturating_duration_since(Instant::now()) {
                return Err(Arc::new(Failure::OutOfTime { last }));
            }
            if !wait.is_zero() {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return stopped(),
                    () = sleep(wait) => {}
                }
            }
            if batch.is_given_up() {
                return Err(Arc::new(Failure::NotWanted { last }));
            }
            tries += 1;
            let time = self.try_timeout.min(until.saturating_duration_since(Instant::now()));
            let tried = tokio::select! {
                biased;
                () = self.stop.cancelled() => return stopped(),
                tried = self.client.post(&key, body.clone(), time) => tried,
            };
            let Err(failure) = tried else {
                self.works();
                return Ok(());
            };
            let failure = Arc::new(failure);
            self.fails(batch, &failure);
            if !failure.is_passing() {
                return Err(failure);
            }
            if tries >= self.tries {
                return Err(Arc::new(Failure::TooOften { tries, last: failure }));
            }
            (wait, last) = (back_off(tries), Some(failure));
        }
    }

    /// For how long the endpoint wants to be left alone.
    fn pause(&self) -> Duration {
        let not_before = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.map_or(Duration::ZERO, |moment| moment.saturating_duration_since(Instant::now()))
    }

    fn next_key(&self) -> HeaderValue {
        let number = self.batches.fetch_add(1, Ordering::Relaxed) + 1;
        HeaderValue::try_from(format!("{}-{number}", self.instance)).expect("a UUID and a number are visible ASCII")
    }

    /// A try has failed: said once, until one succeeds.
    fn fails(&self, batch: &Batch, failure: &Arc<Failure>) {
        if let Some(wait) = failure.retry_after() {
            *self.not_before.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + wait);
        }
        let is_news = self.trouble().replace(Arc::clone(failure)).is_none();
        let level = if is_news { LogLevel::Warn } else { LogLevel::Debug };
        self.context.log(level, &format!("a batch of {} audit events was not accepted: {failure}", batch.len()));
    }

    fn works(&self) {
        if self.trouble().take().is_some() {
            self.context.log(LogLevel::Info, "the audit endpoint accepts batches again");
        }
    }
}

fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body)?;
    encoder.finish()
}
