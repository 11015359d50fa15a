//! Builds are swapped under full load, with everything mixed in that can go wrong with a deployment. `./scripts/soak` runs
//! it; see there.
//!
//! A process can map about a thousand libraries, so swaps are spread over several processes ("legs") where there are many.

mod builds;
mod callers;
mod faults;
mod leg;
mod report;
mod scrape;
mod site;
mod system;
mod tally;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use leg::{Kind, Order};

pub(crate) type AnyError = Box<dyn std::error::Error>;

/// Swaps of one process: each image takes one of its 1024 keys for thread-local values for good.
const SWAPS_PER_LEG: u64 = 450;
/// How much longer than it should a leg may take.
const MARGIN: Duration = Duration::from_secs(400);

fn main() -> ExitCode {
    // Before everything else: this program also tries builds, in processes of their own.
    mini_chat_plugin_loader::preflight_child();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.first().map(String::as_str) {
        Some("leg") => run_leg(&arguments[1]),
        _ => soak(&arguments),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            println!("soak: FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_leg(order: &str) -> Result<bool, AnyError> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    leg::run(&serde_json::from_str(order)?)?;
    Ok(true)
}

/// What was asked for.
struct Asked {
    library: PathBuf,
    swaps: u64,
    seconds: f64,
    mode: String,
    output: PathBuf,
}

impl Asked {
    fn read(arguments: &[String]) -> Result<Self, AnyError> {
        let usage = "usage: soak --library FILE --swaps N --seconds S --mode MODE --output FILE (run ./scripts/soak)";
        let value = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)).ok_or(usage)
        };
        let seconds = value("--seconds")?.parse()?;
        if !(0.0..=1e6).contains(&seconds) {
            return Err(usage.into());
        }
        Ok(Self {
            library: value("--library")?.into(),
            swaps: value("--swaps")?.parse::<u64>()?.max(1),
            seconds,
            mode: value("--mode")?.clone(),
            output: value("--output")?.into(),
        })
    }
}

fn soak(arguments: &[String]) -> Result<bool, AnyError> {
    let Asked { library, swaps, seconds, mode, output } = Asked::read(arguments)?;
    let work = tempfile::tempdir()?;
    let log = output.with_extension("log");
    File::create(&log)?;
    let legs = swaps.div_ceil(SWAPS_PER_LEG);
    if legs > 1 {
        println!("== {legs} processes one after the other: one has room for about 1000 libraries");
    }
    let mut found = Vec::new();
    for number in 0..legs {
        let share = swaps / legs + u64::from(number < swaps % legs);
        let order = Order {
            kind: Kind::Swaps,
            library: library.clone(),
            swaps: share,
            seconds: seconds * share as f64 / swaps as f64,
            faults: number == 0,
            mode: mode.clone(),
            image_dir: None,
            result: work.path().join(format!("leg-{number}")),
        };
        let with = if order.faults { ", every fault once" } else { "" };
        println!("== {share} swaps in about {:.0} s{with}", order.seconds);
        found.push(child(&order, &log, None)?);
    }
    println!("== driven into the image budget");
    let order = Order {
        kind: Kind::Budget,
        library: library.clone(),
        swaps: 0,
        seconds: 10.0,
        faults: false,
        mode,
        image_dir: None,
        result: work.path().join("budget"),
    };
    found.push(child(&order, &log, None)?);
    println!("== a full disk");
    let place = work.path().join("disk");
    fs::create_dir(&place)?;
    let not_run = match can_mount(&place) {
        Ok(()) => {
            let order = Order {
                kind: Kind::Disk,
                image_dir: Some(place.clone()),
                result: work.path().join("disk.json"),
                ..order
            };
            // Two copies fit.
            let bytes = fs::metadata(&library)?.len() * 5 / 2;
            found.push(child(&order, &log, Some((&place, bytes)))?);
            Value::Null
        }
        Err(why) => {
            println!("  NOT RUN: {why}");
            json!([{ "fault": "full disk", "why": why }])
        }
    };
    report::report(found, not_run, (swaps, seconds), &output)
}

/// Whether this user may mount file systems where nobody else sees them.
fn can_mount(place: &Path) -> Result<(), String> {
    let output = mounted(place, 1 << 20).arg("true").output().map_err(|error| format!("no `unshare`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("a file system of its own cannot be mounted here: {}", why.trim()))
}

/// The beginning of a command that runs with a small file system of its own at `place`.
fn mounted(place: &Path, bytes: u64) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount -t tmpfs -o mode=700,size=\"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, "sh", &bytes.to_string()]).arg(place);
    command
}

/// Runs a leg in a process of its own; with a small file system at a place, if one is given.
fn child(order: &Order, log: &Path, disk: Option<(&Path, u64)>) -> Result<Value, AnyError> {
    let program = std::env::current_exe()?;
    let mut command = match disk {
        None => Command::new(program),
        Some((place, bytes)) => {
            let mut command = mounted(place, bytes);
            command.arg(program);
            command
        }
    };
    let log_file = File::options().append(true).open(log)?;
    command.arg("leg").arg(serde_json::to_string(order)?).stdin(Stdio::null()).stderr(log_file);
    let mut child = command.spawn()?;
    let limit = Instant::now() + Duration::from_secs_f64(order.seconds * 3.0) + MARGIN;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > limit {
            child.kill()?;
            child.wait()?;
            return Err(format!("a leg took longer than it may; its log: {}", log.display()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        return Err(format!("a leg ended with {status}; its log: {}", log.display()).into());
    }
    Ok(serde_json::from_slice(&fs::read(&order.result)?)?)
}
