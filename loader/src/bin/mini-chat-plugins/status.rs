//! `status`: how a running host stands.

use mini_chat_plugin_loader::control::Request;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::StatusArgs;
use crate::control::{answer, ask};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Look, Output, plain};
use crate::table::{Table, cell};

pub(crate) fn run(args: &StatusArgs, output: &Output) -> Result<Exit, Failure> {
    let mut status = answer(&args.host, output, |socket| ask(socket, &Request::Status))?;
    if let Some(name) = &args.name {
        only(&mut status, name)?;
    }
    if args.host.json {
        output.json(if args.name.is_some() { &status["plugins"][0] } else { &status });
    } else {
        output.print(&report(&status, args.name.is_none()));
    }
    let well = match args.name {
        Some(_) => status["plugins"][0]["serving"] == true,
        None => status["host"]["ready"] == true,
    };
    Ok(if well { Exit::Ok } else { Exit::Failed })
}

/// Leaves one plugin.
fn only(status: &mut Value, name: &str) -> Result<(), Failure> {
    let plugins = status["plugins"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let names: Vec<String> = plugins.iter().map(|plugin| text(&plugin["name"])).collect();
    match plugins.into_iter().find(|plugin| plugin["name"] == name) {
        Some(plugin) => {
            status["plugins"] = Value::Array(vec![plugin]);
            Ok(())
        }
        None => {
            let known =
                if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
            Err(Failure::new(Exit::Failed, format!("no plugin is named {name}: {known}")))
        }
    }
}

fn report(status: &Value, whole: bool) -> String {
    let host = &status["host"];
    let ready = if host["ready"] == true { Look::Good.paint("ready") } else { Look::Bad.paint("not ready") };
    let (name, version, pid) = (text(&host["name"]), text(&host["version"]), &host["pid"]);
    let mut report = format!("{name} {version}, process {pid}, since {}: {ready}\n\n", when(&host["since"]));
    if let Value::String(why) = &status["config_refused"] {
        let refused = Look::Bad.paint("configuration refused, what was accepted before is in force");
        report.push_str(&format!("{refused}: {}\n\n", plain(why)));
    }
    let plugins = status["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
    report.push_str(&serving(plugins).render());
    for (heading, table) in [("Not serving", reasons(plugins)), ("Notes", notes(plugins))] {
        section(&mut report, heading, table);
    }
    section(
        &mut report,
        "Quarantine (not tried again until content or settings change, or `unquarantine`)",
        quarantine(plugins),
    );
    section(&mut report, "Retired generations", retired(plugins));
    if whole {
        section(&mut report, "Files that are not used", refused(status));
        report.push_str(&format!("\n{}\n{}\n", images(&status["images"]), state(&status["state"])));
    }
    report
}

/// A table with rows, under a heading.
fn section(report: &mut String, heading: &str, table: Option<Table>) {
    if let Some(table) = table {
        report.push_str(&format!("\n{}\n{}", Look::Strong.paint(heading), table.render()));
    }
}

fn serving(plugins: &[Value]) -> Table {
    let mut table = Table::new([
        "NAME",
        "STATE",
        "GENERATION",
        "VERSION",
        "DIGEST",
        "SINCE",
        "MODE",
        "IN FLIGHT",
        "CALLS",
        "ERRORS",
        "HEAP",
    ]);
    for plugin in plugins {
        let instance = &plugin["instance"];
        let state = text(&plugin["swap"]["state"]);
        let look = match (plugin["serving"] == true, state.as_str()) {
            (true, "serving" | "draining") => Look::Good,
            (true, _) => Look::Odd,
            (false, _) => Look::Bad,
        };
        let mode = match (text(&instance["mode"]), instance["isolated"] == true) {
            (mode, true) if mode != "isolated" => format!("{mode} (isolated)"),
            (mode, _) => mode,
        };
        let of = |key: &str| cell(text(&instance[key]), Look::Plain);
        table.row([
            cell(text(&plugin["name"]), Look::Plain),
            cell(state, look),
            of("generation"),
            of("version"),
            cell(short(&instance["digest"]), Look::Dim),
            cell(when(&instance["since"]), Look::Plain),
            cell(mode, Look::Plain),
            of("in_flight"),
            of("calls"),
            of("failures"),
            cell(bytes(&instance["live_heap_bytes"]), Look::Plain),
        ]);
    }
    table
}

fn reasons(plugins: &[Value]) -> Option<Table> {
    let mut table = Table::bare();
    let mut some = false;
    for plugin in plugins.iter().filter(|plugin| plugin["serving"] != true) {
        let (kind, why) = (text(&plugin["reason"][0]), text(&plugin["reason"][1]));
        let look = if kind == "disabled" { Look::Dim } else { Look::Bad };
        table.row([cell(text(&plugin["name"]), Look::Plain), cell(kind, look), cell(why, Look::Plain)]);
        some = true;
    }
    some.then_some(table)
}

/// What is out of the ordinary with a plugin, a row each.
fn notes(plugins: &[Value]) -> Option<Table> {
    let mut rows = Vec::new();
    for plugin in plugins {
        let swap = &plugin["swap"];
        let build = |build: &Value| format!("{} {}", text(&build["version"]), short(&build["digest"]));
        let mut note = |what: &str, text: String| rows.push((text_of_name(plugin), what.to_owned(), text));
        if let Value::String(why) = &swap["last_good"] {
            note(
                "last good",
                format!("serves out of the state directory, as what the plugin directories have cannot: {why}"),
            );
        }
        if swap["pinned"].is_object() {
            note("pinned", format!("{}, until `unpin` or something new comes", build(&swap["pinned"])));
        }
        if swap["candidate"].is_object() {
            note("under way", build(&swap["candidate"]));
        }
        if swap["orphaned"] == true {
            note("orphaned", "its file has vanished; it serves on".to_owned());
        }
        if let retry @ Value::Object(_) = &swap["retry"] {
            let (attempts, message) = (&retry["attempts"], text(&retry["message"]));
            note("tried again", format!("at {}, after {attempts} failures: {message}", when(&retry["at"])));
        }
        for zombie in swap["zombies"].as_array().into_iter().flatten() {
            let (generation, calls) = (&zombie["generation"], &zombie["in_flight"]);
            note("zombie", format!("generation {generation} has {calls} calls that do not end"));
        }
        if swap["rollback_to"].is_object() {
            note("rollback to", build(&swap["rollback_to"]));
        }
    }
    let mut table = Table::bare();
    for (name, what, text) in &rows {
        table.row([cell(name, Look::Plain), cell(what, Look::Odd), cell(text, Look::Plain)]);
    }
    (!rows.is_empty()).then_some(table)
}

fn text_of_name(plugin: &Value) -> String {
    text(&plugin["name"])
}

fn quarantine(plugins: &[Value]) -> Option<Table> {
    let mut table = Table::new(["NAME", "VERSION", "DIGEST", "KIND", "REASON"]);
    let mut some = false;
    for plugin in plugins {
        for build in plugin["swap"]["quarantine"].as_array().into_iter().flatten() {
            table.row([
                cell(text(&plugin["name"]), Look::Plain),
                cell(text(&build["version"]), Look::Plain),
                cell(short(&build["digest"]), Look::Dim),
                cell(text(&build["kind"]), Look::Bad),
                cell(text(&build["message"]), Look::Plain),
            ]);
            some = true;
        }
    }
    some.then_some(table)
}

fn retired(plugins: &[Value]) -> Option<Table> {
    let mut table = Table::new(["NAME", "GENERATION", "CALLS CUT OFF", "HEAP GROWTH", "SHUTDOWN"]);
    let mut some = false;
    for plugin in plugins {
        for ended in plugin["swap"]["retired"].as_array().into_iter().flatten() {
            let cut_off = if ended["abandoned_calls"] == 0 { Look::Plain } else { Look::Bad };
            let shutdown = match text(&ended["shutdown_error"]) {
                error if error.is_empty() => cell("clean", Look::Good),
                error => cell(error, Look::Bad),
            };
            table.row([
                cell(text(&plugin["name"]), Look::Plain),
                cell(text(&ended["generation"]), Look::Plain),
                cell(text(&ended["abandoned_calls"]), cut_off),
                cell(bytes(&ended["heap_growth_bytes"]), Look::Plain),
                shutdown,
            ]);
            some = true;
        }
    }
    some.then_some(table)
}

fn refused(status: &Value) -> Option<Table> {
    let files = status["refused_files"].as_array().filter(|files| !files.is_empty())?;
    let mut table = Table::bare();
    for file in files {
        let (path, message) = (text(&file["path"]), text(&file["message"]));
        let reason = message.strip_prefix(&format!("{path}: ")).unwrap_or(&message);
        table.row([cell(&path, Look::Plain), cell(text(&file["kind"]), Look::Bad), cell(reason, Look::Plain)]);
    }
    Some(table)
}

/// Libraries are never unmapped: what is left is what swaps are left until a restart.
fn images(images: &Value) -> String {
    let left = |key: &str| images[key].as_u64().map_or("unlimited".to_owned(), |left| left.to_string());
    let (used, limit) = (&images["images_used"], &images["images_limit"]);
    let keys = if images["keys_ok"] == true { "enough" } else { "too few" };
    format!(
        "libraries mapped: {used} of {limit}; left: {} files, {} mappings, {keys} keys for thread-local values",
        left("fds_free"),
        left("maps_free")
    )
}

/// What a restart would know.
fn state(state: &Value) -> String {
    match (&state["dir"], &state["problem"]) {
        (_, Value::String(problem)) => {
            format!("{}: {}", Look::Bad.paint("a restart would know nothing"), plain(problem))
        }
        (Value::String(dir), _) => format!("state directory: {dir}"),
        _ => "no state directory: a restart would know nothing".to_owned(),
    }
}

/// What there is nothing of is an empty text.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn short(digest: &Value) -> String {
    text(digest).chars().take(12).collect()
}

fn when(seconds: &Value) -> String {
    let time = seconds.as_i64().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "for people, with one digit")]
fn bytes(bytes: &Value) -> String {
    let Some(bytes) = bytes.as_i64() else { return String::new() };
    let (mut size, mut unit) = (bytes as f64, 0);
    while size.abs() >= 1024.0 && unit < 3 {
        (size, unit) = (size / 1024.0, unit + 1);
    }
    let unit = ["B", "KiB", "MiB", "GiB"][unit];
    if unit == "B" { format!("{bytes} B") } else { format!("{size:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn sizes_and_times_are_for_people() {
        let shown: Vec<String> = [0, 1023, 1536, -5 << 20].map(|size| super::bytes(&json!(size))).into();
        assert_eq!(shown, ["0 B", "1023 B", "1.5 KiB", "-5.0 MiB"]);
        assert_eq!(super::bytes(&json!(null)), "");
        assert_eq!(super::when(&json!(1_700_000_000)), "2023-11-14T22:13:20Z");
    }

    #[test]
    fn a_report_has_what_is_wrong() {
        let status = json!({
            "host": { "name": "h", "version": "1", "pid": 7, "since": 0, "ready": false },
            "plugins": [{
                "name": "p", "serving": false, "reason": ["no-file", "nothing there"],
                "swap": {
                    "last_good": "it is bad", "state": "empty", "orphaned": false, "pinned": { "version": "1.0.0", "digest": "abcdef0123456789" },
                    "quarantine": [{ "version": "2.0.0", "digest": "ff", "kind": "probation", "message": "20 errors" }],
                    "retired": [{ "generation": 3, "abandoned_calls": 1, "heap_growth_bytes": 2048 }],
                },
            }],
            "config_refused": "plugins.toml:1: wrong",
            "state": { "dir": "/s", "problem": null },
            "refused_files": [{ "path": "/d/x.so", "kind": "not-elf", "message": "/d/x.so: no library" }],
            "images": { "images_used": 1, "images_limit": 256, "keys_ok": true, "fds_free": 9, "maps_free": null },
        });
        let report = anstream::adapter::strip_str(&super::report(&status, true)).to_string();
        for part in [
            "process 7",
            ": not ready",
            "nothing there",
            "pinned     1.0.0 abcdef012345,",
            "probation  20 errors",
            "2.0 KiB",
            "/d/x.so  not-elf  no library",
            "1 of 256; left: 9 files, unlimited mappings",
            "last good  serves out of the state directory",
            "in force: plugins.toml:1: wrong",
            "state directory: /s",
        ] {
            assert!(report.contains(part), "{part}\n{report}");
        }
    }
}
