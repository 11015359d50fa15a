//! `list`: a row per file. Asks no host.

use mini_chat_plugin_loader::verify::Inspection;
use serde_json::json;

use crate::cli::ListArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inspect::{kinds, refusals, without_path};
use crate::output::{Look, Output};
use crate::survey::{Survey, Surveyed, pins, survey};
use crate::table::{Cell, Table, cell};

pub(crate) fn run(args: &ListArgs, output: &Output) -> Result<Exit, Failure> {
    let config = args.files.load()?;
    let (limits, policy) = args.files.accepted(config.as_ref());
    let found = survey(&args.directories, &limits, &policy, &pins(config.as_ref()));
    if args.json {
        output.json(&to_json(&found));
    } else {
        output.print(&table(&found).render());
        let hint = "\nThese are files. What a running host serves: mini-chat-plugins status";
        output.print(&format!("{}\n", Look::Dim.paint(hint)));
    }
    for error in &found.unreadable {
        output.error(&format!("plugin directory: {error}"));
    }
    Ok(if found.is_ok() { Exit::Ok } else { Exit::Failed })
}

fn to_json(found: &Survey) -> serde_json::Value {
    let files = found.files.iter().map(|Surveyed { inspection, serves }| {
        let descriptor = inspection.descriptor.as_ref();
        json!({
            "file": inspection.path.display().to_string(),
            "id": descriptor.map(|it| &it.id),
            "version": descriptor.map(|it| &it.version),
            "vendor": descriptor.map(|it| &it.vendor),
            "priority": descriptor.map(|it| it.priority),
            "kinds": kinds(descriptor),
            "abi": descriptor.map(|it| &it.abi),
            "digest": inspection.digest,
            "size": inspection.size,
            "serves": serves,
            "verdict": verdict(inspection),
            "refusals": refusals(&inspection.refusals),
        })
    });
    json!({ "files": files.collect::<Vec<_>>(), "unreadable_directories": refusals(&found.unreadable) })
}

fn table(found: &Survey) -> Table {
    let mut table =
        Table::new(["FILE", "ID", "VERSION", "VENDOR", "PRIORITY", "KINDS", "ABI", "DIGEST", "SERVES", "VERDICT"]);
    for Surveyed { inspection, serves } in &found.files {
        let descriptor = inspection.descriptor.as_ref();
        let text = |text: Option<&String>| cell(text.map_or("", String::as_str), Look::Plain);
        table.row([
            cell(inspection.path.display().to_string(), Look::Plain),
            text(descriptor.map(|it| &it.id)),
            text(descriptor.map(|it| &it.version)),
            text(descriptor.map(|it| &it.vendor)),
            text(descriptor.map(|it| it.priority.to_string()).as_ref()),
            cell(kinds(descriptor).join(","), Look::Plain),
            text(descriptor.map(|it| &it.abi.version)),
            cell(inspection.digest.map(|digest| digest.short()).unwrap_or_default(), Look::Dim),
            serves_cell(*serves, inspection),
            verdict_cell(inspection),
        ]);
    }
    table
}

/// `ok`, or the code of the first refusal.
fn verdict(inspection: &Inspection) -> &'static str {
    inspection.refusals.first().map_or("ok", |refusal| refusal.kind())
}

fn serves_cell(serves: bool, inspection: &Inspection) -> Cell {
    match (serves, inspection.refusals.is_empty()) {
        (true, _) => cell("yes", Look::Good),
        (false, true) => cell("no", Look::Odd),
        (false, false) => cell("", Look::Dim),
    }
}

fn verdict_cell(inspection: &Inspection) -> Cell {
    match inspection.refusals.first() {
        None => cell("ok", Look::Good),
        Some(refusal) => cell(format!("{}: {}", refusal.kind(), without_path(refusal)), Look::Bad),
    }
}
