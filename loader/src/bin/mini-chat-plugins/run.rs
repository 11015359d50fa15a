//! `run`: hosts plugins until a signal, and swaps what changes meanwhile.

use std::path::PathBuf;

use futures_executor::block_on;
use mini_chat_plugin_loader::{HostStatus, PluginStatus, ShutdownReport, StateDirChoice};
use serde_json::json;

use crate::cli::RunArgs;
use crate::control;
use crate::events::Events;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logs;
use crate::output::{Look, Output, plain};
use crate::probes::{self, Probes};
use crate::signals::Signals;
use crate::table::{Table, cell};

pub(crate) fn run(args: &RunArgs, output: &Output) -> Result<Exit, Failure> {
    let mut signals = Signals::register()?;
    logs::start("info", output)?;
    must_exist(&args.plugins)?;
    let probes = probes(args, output)?;
    let mut builder = args.files.host().on_failure(args.on_failure.into());
    if let Some(config) = &args.files.config {
        // By its path, so that it is read again when it changes.
        builder = builder.config_file(config);
    }
    for directory in &args.plugins {
        builder = builder.plugins(directory);
    }
    if let Some(dir) = &args.state_dir {
        builder = builder.state_dir(StateDirChoice::At(dir.clone()));
    }
    let host = block_on(builder.build())?;
    // Before the line that scripts wait for.
    let control = control::serve(&host, &args.control)?;
    // Whoever has read that it is ready finds it so.
    probes.ready(&host);
    report_start(&host.status(), args.json, output);

    // A signal that came during the start has waited here: what was started is ended in order.
    let events = Events::print(&host, args.json, *output);
    let signal = signals.wait(|| {
        tracing::info!("SIGHUP: looking at the plugin directories and the configuration");
        probes.reload(|| host.rescan());
    });
    probes.ending();
    // What the end itself brings is in its report.
    events.stop();
    if args.json {
        output.json_line(&json!({ "event": "ending", "signal": signal }));
    } else {
        output.print(&format!("ending signal={signal}\n"));
    }
    let report = block_on(host.shutdown());
    // Removes the private copies before the last line says that all is over.
    drop(host);
    // After the host: whoever follows its events is told of its end.
    drop(control);
    report_end(&report, args.json, output);
    Ok(if report.is_clean() { Exit::Ok } else { Exit::Failed })
}

/// Answers probes from now on, before there is anything that could take long.
fn probes(args: &RunArgs, output: &Output) -> Result<Probes, Failure> {
    let Some(address) = args.listen.as_deref().filter(|address| !address.is_empty()) else {
        tracing::info!("health, readiness and metrics are not served: --listen 127.0.0.1:9464 would do so");
        return Probes::start(None);
    };
    let (listener, address) = probes::bind(address)?;
    tracing::info!(%address, "health, readiness and metrics are served");
    if args.json {
        output.json_line(&json!({ "event": "listening", "addr": address.to_string() }));
    } else {
        output.print(&format!("listening addr={address}\n"));
    }
    Probes::start(Some(listener))
}

/// A host outlives a directory that vanishes; one that was not there from the start is a mistake.
fn must_exist(directories: &[PathBuf]) -> Result<(), Failure> {
    for directory in directories {
        std::fs::read_dir(directory).map_err(|error| {
            let what = format!("plugin directory: {}: expected a readable directory", directory.display());
            Failure::new(Exit::BadConfig, what).because(error)
        })?;
    }
    Ok(())
}

fn report_start(status: &HostStatus, json: bool, output: &Output) {
    let (pid, serving) = (std::process::id(), status.plugins.iter().filter(|plugin| plugin.serving).count());
    if json {
        let status = serde_json::to_value(status)
            // A path that is not UTF-8: it has started nevertheless.
            .unwrap_or_else(|error| json!({ "error": format!("not expressible as JSON: {error}") }));
        output.json_line(&json!({ "event": "ready", "pid": pid, "serving": serving, "status": status }));
        return;
    }
    let mut text = plugins(&status.plugins).render();
    if !status.refused_files.is_empty() {
        let mut table = Table::new(["REFUSED FILE", "KIND", "REASON"]);
        for file in &status.refused_files {
            let path = file.path.display().to_string();
            let reason = file.message.strip_prefix(&format!("{path}: ")).unwrap_or(&file.message);
            table.row([cell(&path, Look::Plain), cell(file.kind, Look::Bad), cell(reason, Look::Plain)]);
        }
        text.push('\n');
        text.push_str(&table.render());
    }
    if let Some(why) = &status.config_refused {
        text.push_str(&format!("\nconfiguration refused, the last good one is in force: {}\n", plain(why)));
    }
    let (not_serving, refused) = (status.plugins.len() - serving, status.refused_files.len());
    text.push_str(&format!("\nready pid={pid} serving={serving} not_serving={not_serving} refused={refused}\n"));
    output.print(&text);
}

fn plugins(plugins: &[PluginStatus]) -> Table {
    let mut table = Table::new(["NAME", "STATE", "ID", "VERSION", "KINDS", "MODE", "FILE OR REASON"]);
    for plugin in plugins {
        let name = cell(&plugin.name, Look::Plain);
        match (&plugin.instance, &plugin.reason) {
            (Some(instance), _) => table.row([
                name,
                match plugin.swap.last_good {
                    None => cell("serving", Look::Good),
                    Some(_) => cell("last good", Look::Bad),
                },
                cell(&instance.id, Look::Plain),
                cell(&instance.version, Look::Plain),
                cell(instance.kinds.join(","), Look::Plain),
                cell(instance.mode, Look::Plain),
                cell(instance.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(), Look::Plain),
            ]),
            (None, reason) => {
                let (kind, text) = reason.as_ref().map_or(("not serving", ""), |(kind, text)| (*kind, text.as_str()));
                let look = if kind == "disabled" { Look::Dim } else { Look::Bad };
                let none = || cell("", Look::Dim);
                table.row([name, cell(kind, look), none(), none(), none(), none(), cell(text, Look::Plain)]);
            }
        }
    }
    table
}

fn report_end(report: &ShutdownReport, json: bool, output: &Output) {
    let clean = report.is_clean();
    if json {
        output.json_line(&json!({ "event": "ended", "clean": clean, "plugins": report.plugins }));
        return;
    }
    let mut table = Table::new(["NAME", "END", "CALLS CUT OFF"]);
    for plugin in &report.plugins {
        let end = match &plugin.shutdown_error {
            Some(error) => cell(error, Look::Bad),
            None => cell("clean", Look::Good),
        };
        let look = if plugin.abandoned_calls == 0 { Look::Plain } else { Look::Bad };
        table.row([cell(&plugin.name, Look::Plain), end, cell(plugin.abandoned_calls.to_string(), look)]);
    }
    output.print(&format!("{}\nended clean={clean}\n", table.render()));
}
