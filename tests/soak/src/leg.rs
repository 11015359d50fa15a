//! One leg: a process of its own with a host under load. What it found goes to a file, as JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mini_chat_plugin_loader::HostEvent;
use mini_chat_plugin_loader::config::ExecutionMode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::AnyError;
use crate::faults;
use crate::scrape::Scrapes;
use crate::site::{End, Plan, Site};
use crate::system::{Process, allow_many_files};

/// What a leg is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Swaps, and, if it is told so, everything that can go wrong.
    Swaps,
    /// Swaps until the budget of images is used up.
    Budget,
    /// The place for private copies is full.
    Disk,
}

/// A leg.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) kind: Kind,
    pub(crate) library: PathBuf,
    pub(crate) swaps: u64,
    pub(crate) seconds: f64,
    pub(crate) faults: bool,
    /// Where the plugin's calls run.
    pub(crate) mode: String,
    pub(crate) image_dir: Option<PathBuf>,
    /// Where to write what it found.
    pub(crate) result: PathBuf,
}

/// Images that a leg with a budget may have.
const BUDGET: u32 = 4;
/// Images beyond those that are counted on.
const SPARE: u64 = 32;

/// Runs a leg to its end.
pub(crate) fn run(order: &Order) -> Result<(), AnyError> {
    allow_many_files();
    let images = match order.kind {
        Kind::Budget => BUDGET,
        Kind::Disk => 64,
        Kind::Swaps => u32::try_from(order.swaps + faults::COUNT as u64 + SPARE)?,
    };
    let mode = ExecutionMode::from_name(&order.mode).ok_or("--mode inline, isolated or adaptive")?;
    let (library, image_dir) = (order.library.clone(), order.image_dir.clone());
    let plan = Plan { library, image_dir, max_images: images, mode };
    let mut site = Site::start(plan)?;
    let begin = Instant::now();
    let mut found = match order.kind {
        Kind::Swaps => swaps(&mut site, order)?,
        Kind::Budget => budget(&mut site)?,
        Kind::Disk => disk(&mut site, order.image_dir.as_deref().ok_or("no place that could be full")?)?,
    };
    found["seconds"] = json!(begin.elapsed().as_secs_f64());
    let End { seen, account, clean } = site.end()?;
    found["clean_end"] = json!(clean);
    found["audit"] = serde_json::to_value(&account)?;
    found["callers"] = json!({
        "calls": seen.calls, "turns": seen.turns, "spanning_turns": seen.spanning_turns,
        "failed_calls": seen.failed_calls, "failed_turns": seen.failed_turns,
        "failed_calls_of_builds_rolled_back": seen.failed_calls_of_bad_builds,
        "older_answers": seen.older_answers, "failures": seen.failures,
    });
    let counts = |histogram: &Histogram<u64>| -> Vec<(u64, u64)> {
        histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect()
    };
    found["histograms"] = json!({ "inside": counts(&seen.inside), "outside": counts(&seen.outside) });
    fs::write(&order.result, serde_json::to_vec(&found)?)?;
    Ok(())
}

fn swaps(site: &mut Site, order: &Order) -> Result<Value, AnyError> {
    // From here on there are always one that serves and one that stands by; and one has ended, which is in the metrics.
    site.swap()?;
    site.swap()?;
    let mut scrapes = Scrapes::begin(&site.metrics)?;
    let (before, images) = (Process::at_rest(), site.host.status().images.images_used);
    let begin = Instant::now();
    let pace = order.seconds / order.swaps.max(1) as f64;
    let faults = if order.faults { faults::COUNT } else { 0 };
    let (mut timings, mut reports, mut paused) = (Vec::new(), Vec::new(), Duration::ZERO);
    let mut half = (before.clone(), images);
    for number in 0..order.swaps {
        if number == order.swaps / 2 {
            half = (Process::now(), site.host.status().images.images_used);
        }
        // Spread over the swaps.
        while reports.len() < faults && reports.len() as u64 * order.swaps <= number * faults as u64 {
            let since = Instant::now();
            let report = faults::inject(site, reports.len())?;
            println!("  {} {}: {}", if report.ok { "ok  " } else { "FAIL" }, report.fault, summary(&report));
            reports.push(report);
            paused += since.elapsed();
        }
        timings.push(site.swap()?);
        scrapes.add(&site.metrics)?;
        let due = begin + paused + Duration::from_secs_f64(pace * (number + 1) as f64);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let (after, status) = (Process::at_rest(), site.host.status());
    site.listen()?;
    let generations = site.status().and_then(|plugin| plugin.instance).map(|instance| instance.generation);
    Ok(json!({
        "swaps": timings.len(), "faults": reports, "timings": timings, "generation": generations,
        "images": {
            "new": status.images.images_used - images,
            "later": status.images.images_used - half.1,
            "headroom": status.images,
        },
        "process": { "before": before, "half": half.0, "after": after },
        "metrics": scrapes, "metrics_wrong": scrapes.wrong(order.faults),
    }))
}

fn summary(report: &faults::FaultReport) -> String {
    let codes: Vec<&str> = report.reported.iter().map(|(code, _)| code.as_str()).collect();
    let failure = report.failure.as_deref().map(|failure| format!("; {failure}")).unwrap_or_default();
    format!("{} ({} ms){failure}", codes.join(", "), report.took_ms)
}

/// Swaps until there is no room: refused, and what serves serves on.
fn budget(site: &mut Site) -> Result<Value, AnyError> {
    let mut swaps = 0;
    while site.host.status().images.images_used < BUDGET.into() {
        site.swap()?;
        swaps += 1;
    }
    let (_, bytes) = site.builds.next("good");
    site.builds.rename_into_place(&bytes, || ())?;
    let refused = site.until("it is refused", |event| matches!(event, HostEvent::Refused { .. }))?.1;
    let HostEvent::Refused { kind, message, .. } = refused else { unreachable!("it was waited for") };
    let answers = site.answers()?;
    let ok = kind == "image-budget" && answers == site.good;
    println!("  {} image budget of {BUDGET} used up: {kind}", if ok { "ok  " } else { "FAIL" });
    let reported = [(kind.to_owned(), message)];
    Ok(json!({
        "swaps_besides": swaps,
        "faults": [{ "fault": "image budget used up", "ok": ok, "reported": reported, "answers": answers, "good": site.good }],
    }))
}

/// A disk without room for the private copy: refused, and tried again once there is room.
fn disk(site: &mut Site, place: &Path) -> Result<Value, AnyError> {
    let filler = place.join("filler");
    // Ends when the disk is full.
    let mut file = fs::File::create(&filler)?;
    let full = loop {
        if let Err(error) = std::io::Write::write_all(&mut file, &[0_u8; 4096]) {
            break error.kind();
        }
    };
    drop(file);
    let (build, bytes) = site.builds.next("good");
    site.builds.rename_into_place(&bytes, || ())?;
    let refused = site.until("it is refused", |event| matches!(event, HostEvent::Refused { .. }))?.1;
    let HostEvent::Refused { kind, message, retry_in_ms, .. } = refused else { unreachable!("it was waited for") };
    let answers = site.answers()?;
    let served_on = answers == site.good;
    fs::remove_file(&filler)?;
    // By itself, when it is tried again.
    site.until_answers(build)?;
    site.good = build;
    let ok = kind == "image-dir-full" && retry_in_ms.is_some() && served_on && site.answers()? == build;
    println!("  {} full disk ({full}): {kind}, then served", if ok { "ok  " } else { "FAIL" });
    let reported = [(kind.to_owned(), message), ("serving".to_owned(), "once there was room".to_owned())];
    Ok(json!({
        "swaps_besides": 1,
        "faults": [{ "fault": "full disk", "ok": ok, "reported": reported, "answers": answers, "good": build }],
    }))
}
