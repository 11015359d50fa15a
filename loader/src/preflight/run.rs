//! One trial from the host's side: starts the child, gives it its request, listens, and ends it. Runs on one thread that
//! may block.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::process::{End, Process};
use super::scratch::Scratch;
use super::wire::{Line, SHUTDOWN};
use crate::config;
use crate::error::PreflightStage;

/// How often the child is looked at while it says nothing.
const TICK: Duration = Duration::from_millis(20);
/// How long the child may take to get so far that it reads its request.
const START: Duration = Duration::from_secs(60);
/// How much longer than its own limit a stage may take that the child times itself.
const MARGIN: Duration = Duration::from_secs(10);

/// How long each stage may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    create: Duration,
    health: Duration,
}

impl Limits {
    pub(super) fn of(limits: &config::Limits) -> Self {
        Self { create: limits.create, health: limits.health }
    }

    pub(super) fn stage(self, stage: PreflightStage) -> Duration {
        match stage {
            PreflightStage::Start => START,
            PreflightStage::Map | PreflightStage::Entry => self.create,
            PreflightStage::Open | PreflightStage::Create => self.create.saturating_add(MARGIN),
            PreflightStage::Health => self.health.saturating_add(MARGIN),
            PreflightStage::Shutdown => SHUTDOWN.saturating_add(MARGIN),
        }
    }

    /// All stages, and what it may take to end the child.
    pub(super) fn whole(self) -> Duration {
        use PreflightStage::{Create, Entry, Health, Map, Open, Shutdown, Start};
        let stages = [Start, Map, Entry, Open, Create, Health, Shutdown].map(|stage| self.stage(stage));
        stages.into_iter().fold(MARGIN, Duration::saturating_add)
    }

    /// What a child with a thread on every processor can use until it is ended: a backstop.
    pub(super) fn processor_time(self) -> Duration {
        let processors =
            std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
        self.whole().saturating_mul(processors)
    }
}

/// What to run.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) program: PathBuf,
    pub(super) input: Zeroizing<Vec<u8>>,
    pub(super) limits: Limits,
    pub(super) memory: u64,
    pub(super) scratch: Option<PathBuf>,
}

/// How a trial ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) stage: PreflightStage,
    pub(super) how: How,
    /// The end of what it wrote to stderr.
    pub(super) said: String,
    /// It was seen near its limit of memory.
    pub(super) short_of_memory: bool,
    pub(super) took: Duration,
}

#[derive(Debug)]
pub(super) enum How {
    /// With its last line.
    Answered(Line),
    /// Without one.
    Ended(End),
    TimedOut(Duration),
    Garbled(String),
    NotStarted(String),
    /// Nobody waits for it any more.
    Cancelled,
}

/// Runs a trial to its end. No child is left when it returns.
pub(super) fn run(order: &Order, cancelled: &AtomicBool) -> Ended {
    let begin = Instant::now();
    let not_started = |what: &str, error: &std::io::Error| Ended {
        stage: PreflightStage::Start,
        how: How::NotStarted(format!("{what}: {error}")),
        said: String::new(),
        short_of_memory: false,
        took: begin.elapsed(),
    };
    // Dropped after the child: it may write there to its end.
    let _scratch = match order.scratch.as_deref().map(Scratch::create).transpose() {
        Ok(scratch) => scratch,
        Err(error) => return not_started("its scratch directory", &error),
    };
    let mut process = match Process::start(&order.program) {
        Ok(process) => process,
        Err(error) => return not_started(&order.program.display().to_string(), &error),
    };
    let mut trial = Listener {
        stage: PreflightStage::Start,
        since: begin,
        start: None,
        resident: None,
        memory: order.memory,
        short: false,
    };
    let how = trial.listen(&mut process, order, cancelled);
    trial.ended(process.reap());
    Ended { stage: trial.stage, how, said: process.said(), short_of_memory: trial.short, took: begin.elapsed() }
}

struct Listener {
    stage: PreflightStage,
    since: Instant,
    /// Private memory at its start.
    start: Option<u64>,
    /// The most memory resident by then.
    resident: Option<u64>,
    memory: u64,
    short: bool,
}

impl Listener {
    fn listen(&mut self, process: &mut Process, order: &Order, cancelled: &AtomicBool) -> How {
        let mut input = &order.input[..];
        loop {
            let written = process.turn(input, TICK);
            input = &input[written..];
            if let Some(how) = self.lines(process) {
                return how;
            }
            self.look_at_memory(process);
            if let Some(end) = process.ended() {
                // What it wrote before its end may have come after the last look.
                process.read();
                return self.lines(process).unwrap_or(How::Ended(end));
            }
            if cancelled.load(Ordering::Relaxed) {
                return How::Cancelled;
            }
            let limit = order.limits.stage(self.stage);
            if self.since.elapsed() >= limit {
                return How::TimedOut(limit);
            }
        }
    }

    /// Takes every whole line; the last one, or one that is none, ends the trial.
    fn lines(&mut self, process: &mut Process) -> Option<How> {
        while let Some(end) = process.answered.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = process.answered.drain(..=end).collect();
            match serde_json::from_slice(&line) {
                Ok(Line::Begun { data, resident }) => (self.start, self.resident) = (Some(data), Some(resident)),
                Ok(Line::Stage(stage)) => (self.stage, self.since) = (stage, Instant::now()),
                Ok(last) => return Some(How::Answered(last)),
                Err(_) => {
                    let text = String::from_utf8_lossy(&line);
                    return Some(How::Garbled(format!(
                        "expected a line of JSON, found {:?}",
                        shortened(text.trim_end())
                    )));
                }
            }
        }
        process.answers_too_much().then(|| How::Garbled("a line that does not end".to_owned()))
    }

    /// What it has now. In the end the system only tells what was resident, and that only beyond what the host had.
    fn look_at_memory(&mut self, process: &Process) {
        if let (Some(start), Some(now)) = (self.start, process.data()) {
            self.short |= self.is_short(now.saturating_sub(start));
        }
    }

    fn ended(&mut self, resident: u64) {
        if let Some(start) = self.resident {
            self.short |= self.is_short(resident.saturating_sub(start));
        }
    }

    fn is_short(&self, more: u64) -> bool {
        more >= self.memory / 4 * 3
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(80).collect()
}
