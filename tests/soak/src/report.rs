//! What all legs found: printed, and written as JSON.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::AnyError;
use crate::callers::times;

/// Files that an image may take.
const FILES_PER_IMAGE: i64 = 2;

/// Prints and writes; whether everything is as it must be. `asked`: swaps, and seconds.
pub(crate) fn report(mut legs: Vec<Value>, not_run: Value, asked: (u64, f64), output: &Path) -> Result<bool, AnyError> {
    let sum = |legs: &[Value], path: &str| legs.iter().map(|leg| number(leg, path)).sum::<i64>();
    let latency = json!({ "inside": latency(&legs, "inside"), "outside": latency(&legs, "outside") });
    let phases: Value = ["total_us", "watch_us", "check_us", "wait_us", "create_us", "flip_ns"]
        .into_iter()
        .map(|phase| (phase.to_owned(), spread(&legs, phase)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let faults: Vec<Value> =
        legs.iter().flat_map(|leg| leg["faults"].as_array().cloned().unwrap_or_default()).collect();
    let images = sum(&legs, "/images/new");
    let grown =
        |what: &str| sum(&legs, &format!("/process/after/{what}")) - sum(&legs, &format!("/process/before/{what}"));
    let per_image = |what: &str| grown(what) as f64 / images.max(1) as f64;
    let later = sum(&legs, "/images/later");
    let later_each = |what: &str| {
        let half = sum(&legs, &format!("/process/half/{what}"));
        (sum(&legs, &format!("/process/after/{what}")) - half) as f64 / later.max(1) as f64
    };
    let swaps_asked_for = i64::try_from(asked.0)?;
    let zeros = json!({
        "failed_calls": sum(&legs, "/callers/failed_calls"),
        "failed_turns": sum(&legs, "/callers/failed_turns"),
        "audit_events_lost": sum(&legs, "/audit/lost"),
        "audit_events_duplicated": sum(&legs, "/audit/duplicated"),
        "older_answers": sum(&legs, "/callers/older_answers"),
        "legs_that_did_not_end_clean": legs.iter().filter(|leg| leg["clean_end"] != true).count(),
        "faults_not_as_they_must_be": faults.iter().filter(|fault| fault["ok"] != true).count(),
        "threads_more": legs.iter().map(|leg| {
            (number(leg, "/process/after/threads") - number(leg, "/process/before/threads")).abs()
        }).sum::<i64>(),
        "files_beyond_two_per_image": (grown("files") - images * FILES_PER_IMAGE).max(0),
        "metrics_missing_or_not_flat": sum(&legs, "/metrics_wrong"),
        "swaps_missing": (swaps_asked_for - sum(&legs, "/swaps")).max(0),
    });
    let failures: Vec<Value> =
        legs.iter().flat_map(|leg| leg["callers"]["failures"].as_array().cloned().unwrap_or_default()).collect();
    let ok = zeros.as_object().is_some_and(|zeros| zeros.values().all(|zero| *zero == 0));
    let total = json!({
        "ok": ok,
        "asked": { "swaps": asked.0, "seconds": asked.1 },
        "calls": sum(&legs, "/callers/calls"),
        "turns": sum(&legs, "/callers/turns"),
        "turns_that_span_a_flip": sum(&legs, "/callers/spanning_turns"),
        "swaps": sum(&legs, "/swaps"),
        "failed_calls_of_builds_rolled_back": sum(&legs, "/callers/failed_calls_of_builds_rolled_back"),
        "audit_events_acknowledged": sum(&legs, "/audit/acknowledged"),
        "audit_lines": sum(&legs, "/audit/lines"),
        "metrics_fetched": sum(&legs, "/metrics/fetches"),
        "series": legs[0]["metrics"]["series"].as_array().map(Vec::len),
        "zeros": zeros,
        "failures": failures,
        "latency_ns": latency,
        "from_rename_to_first_call": phases,
        "images": {
            "new": images,
            "resident_kib_each": per_image("resident_kib"),
            "anonymous_kib_each": per_image("anonymous_kib"),
            "second_half": {
                "new": later,
                "resident_kib_each": later_each("resident_kib"),
                "anonymous_kib_each": later_each("anonymous_kib"),
            },
            "files_each": per_image("files"),
            "mappings_each": per_image("mappings"),
        },
        "threads": {
            "before": number(&legs[0], "/process/before/threads"), "after": number(&legs[0], "/process/after/threads"),
        },
        "faults": faults,
        "not_run": not_run,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    });
    print(&total);
    for leg in &mut legs {
        for detail in ["histograms", "faults"] {
            leg.as_object_mut().map(|leg| leg.remove(detail));
        }
    }
    let mut whole = total;
    whole["legs"] = legs.into();
    fs::write(output, serde_json::to_vec_pretty(&whole)?)?;
    println!("\nsoak: {}; {}", if ok { "everything is as it must be" } else { "FAILED" }, output.display());
    Ok(ok)
}

fn number(value: &Value, path: &str) -> i64 {
    value.pointer(path).and_then(Value::as_i64).unwrap_or(0)
}

/// Percentiles of all calls of a kind.
fn latency(legs: &[Value], kind: &str) -> Value {
    let mut all = times();
    for pair in legs.iter().filter_map(|leg| leg["histograms"][kind].as_array()).flatten() {
        let (value, count) = (pair[0].as_u64().unwrap_or(0), pair[1].as_u64().unwrap_or(0));
        all.saturating_record_n(value, count);
    }
    json!({
        "calls": all.len(), "p50": all.value_at_quantile(0.5), "p99": all.value_at_quantile(0.99),
        "p99_9": all.value_at_quantile(0.999), "max": all.max(),
    })
}

/// Of all swaps of the legs that time them.
fn spread(legs: &[Value], phase: &str) -> Value {
    let timings = legs.iter().filter_map(|leg| leg["timings"].as_array()).flatten();
    let mut all: Vec<u64> = timings.filter_map(|timing| timing[phase].as_u64()).collect();
    all.sort_unstable();
    let at = |share: f64| all.get(((all.len() as f64 * share) as usize).min(all.len().saturating_sub(1)));
    json!({ "min": all.first(), "p50": at(0.5), "p99": at(0.99), "max": all.last() })
}

fn print(total: &Value) {
    let show = |path: &str| total.pointer(path).map(ToString::to_string).unwrap_or_default();
    println!("\n== what was seen");
    println!(
        "calls {}, turns {} ({} of them span a flip), swaps {}",
        show("/calls"),
        show("/turns"),
        show("/turns_that_span_a_flip"),
        show("/swaps")
    );
    println!(
        "audit events acknowledged {}, lines in the plugin's files {}; calls failed by builds that were rolled back {}",
        show("/audit_events_acknowledged"),
        show("/audit_lines"),
        show("/failed_calls_of_builds_rolled_back")
    );
    println!("metrics fetched {} times over HTTP: {} series each time", show("/metrics_fetched"), show("/series"));
    for (name, value) in total["zeros"].as_object().into_iter().flatten() {
        println!(
            "{:>10}  {}{}",
            value.to_string(),
            name.replace('_', " "),
            if *value == 0 { "" } else { "   <- must be 0" }
        );
    }
    for failure in total["failures"].as_array().into_iter().flatten() {
        println!("            {failure}");
    }
    println!("latency of a call in us          p50      p99    p99.9        max");
    for kind in ["outside", "inside"] {
        let of = |what: &str| total["latency_ns"][kind][what].as_f64().unwrap_or(0.0) / 1000.0;
        println!(
            "  {kind:<7} swap windows      {:>9.1}{:>9.1}{:>9.1}{:>11.1}   ({} calls)",
            of("p50"),
            of("p99"),
            of("p99_9"),
            of("max"),
            total["latency_ns"][kind]["calls"]
        );
    }
    println!("from rename to first call           min       p50       p99       max");
    for (phase, spread) in total["from_rename_to_first_call"].as_object().into_iter().flatten() {
        let of = |what: &str| spread[what].as_u64().unwrap_or(0);
        println!("  {:<28}{:>10}{:>10}{:>10}{:>10}", phase, of("min"), of("p50"), of("p99"), of("max"));
    }
    println!(
        "images {} new: each {:.0} KiB resident ({:.0} KiB of it anonymous), {:.2} files, {:.1} mappings; threads {} before, {} after",
        show("/images/new"),
        total["images"]["resident_kib_each"].as_f64().unwrap_or(0.0),
        total["images"]["anonymous_kib_each"].as_f64().unwrap_or(0.0),
        total["images"]["files_each"].as_f64().unwrap_or(0.0),
        total["images"]["mappings_each"].as_f64().unwrap_or(0.0),
        show("/threads/before"),
        show("/threads/after")
    );
    println!(
        "of them in the second half {} new: each {:.0} KiB resident ({:.0} KiB of it anonymous)",
        show("/images/second_half/new"),
        total["images"]["second_half"]["resident_kib_each"].as_f64().unwrap_or(0.0),
        total["images"]["second_half"]["anonymous_kib_each"].as_f64().unwrap_or(0.0)
    );
}
