//! `call`: one method of one plugin, once.

mod answer;
mod arguments;
mod target;

use std::fs;
use std::io::Read;
use std::path::Path;

use futures_executor::block_on;
use mini_chat_plugin_loader::config::{ExecutionMode, PluginEntry};
use mini_chat_plugin_loader::{PluginHost, StateDirChoice};
use serde_json::{Value, json};

use crate::cli::CallArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logs;
use crate::output::Output;
use arguments::Arguments;
use target::Target;

/// Why an empty slot is the configuration's fault.
const CONFIG_REASONS: [&str; 2] = ["config", "config-refused"];

pub(crate) fn run(args: CallArgs, output: &Output) -> Result<Exit, Failure> {
    logs::start("warn", output)?;
    let arguments = Arguments::parse(args.method, &input(&args.json, "--json")?)?;
    let mut target = Target::resolve(&args)?;
    adjust(&args, &mut target.entry)?;
    let name = target.entry.name.clone();
    let host = start(&args, target)?;

    let answered = match not_serving(&host) {
        Some(failure) => Err(failure),
        None => block_on(answer::ask(&host, &name, arguments)),
    };
    let report = block_on(host.shutdown());
    let answer = answered?;
    output.json(&match &answer {
        Ok(value) => json!({ "ok": value }),
        Err(error) => json!({ "error": { "kind": error.kind, "message": error.message } }),
    });
    for error in report.plugins.iter().filter_map(|plugin| plugin.shutdown_error.as_ref()) {
        output.error(&format!("shutdown: {error}"));
    }
    Ok(if answer.is_ok() && report.is_clean() { Exit::Ok } else { Exit::Failed })
}

/// What the command line says of the instance.
fn adjust(args: &CallArgs, entry: &mut PluginEntry) -> Result<(), Failure> {
    if let Some(text) = &args.plugin_config {
        let config = json_of(&input(text, "--plugin-config")?)
            .map_err(|error| Failure::new(Exit::BadConfig, "--plugin-config: expected JSON").because(error))?;
        *entry = entry.clone().with_config(config)?;
    }
    if let Some(timeout) = args.timeout {
        entry.mode = ExecutionMode::Isolated;
        entry.limits.methods.insert(args.method, timeout);
        entry.limits.drain = entry.limits.drain.max(timeout.saturating_add(entry.limits.grace));
        entry.limits.check().map_err(|error| Failure::new(Exit::Usage, "--timeout").because(error))?;
    }
    Ok(())
}

/// A host of this one plugin.
fn start(args: &CallArgs, target: Target) -> Result<PluginHost, Failure> {
    let Target { file, entry, config } = target;
    // It ends at once, and with it what there is to know of it.
    let mut builder = args.files.host().plugin_file(file).state_dir(StateDirChoice::Off);
    builder = match config {
        Some(mut config) => {
            config.plugins = vec![entry];
            builder.config(config)
        }
        None => builder.plugin(entry),
    };
    Ok(block_on(builder.build())?)
}

fn not_serving(host: &PluginHost) -> Option<Failure> {
    let (kind, text) = host.status().plugins.into_iter().find_map(|plugin| plugin.reason)?;
    let exit = if CONFIG_REASONS.contains(&kind) { Exit::BadConfig } else { Exit::Unavailable };
    Some(Failure::new(exit, format!("plugin does not serve: {text}")))
}

/// A text as given, of a file (`@FILE`), or of stdin (`-`).
fn input(given: &str, option: &str) -> Result<String, Failure> {
    let read = match given.strip_prefix('@') {
        Some(path) => fs::read_to_string(Path::new(path)),
        None if given == "-" => {
            let mut text = String::new();
            std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
        }
        None => return Ok(given.to_owned()),
    };
    read.map_err(|error| Failure::new(Exit::Usage, format!("{option}: cannot read {given}")).because(error))
}

fn json_of(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}
