//! `check`: tries plugins, each in a process of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_executor::block_on;
use mini_chat_plugin_loader::Preflight;
use mini_chat_plugin_loader::config::{HostSection, PluginEntry, PluginsConfig};
use mini_chat_plugin_loader::error::{LoadError, PluginFailure};
use mini_chat_plugin_loader::find::Candidate;
use mini_chat_plugin_loader::method::Method;
use mini_chat_plugin_loader::preflight::{Checker, PreflightLevel, PreflightReport};
use mini_chat_plugin_loader::verify::{Inspection, ReadLimits, VerifiedImage, VerifyPolicy, inspect};
use serde_json::{Value, json};

use crate::cli::CheckArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logs;
use crate::output::{Look, Output};
use crate::survey::inspect_all;
use crate::table::{Table, cell};

/// One plugin with one configuration.
pub(crate) struct Checked {
    /// None for a plugin of plugins.toml that has no file.
    file: Option<PathBuf>,
    /// The instance's name; none for a file that was refused before.
    plugin: Option<String>,
    /// Methods that are newer than the plugin, which this version of the host answers by default.
    by_default: Vec<&'static str>,
    pub(crate) outcome: Result<PreflightReport, PluginFailure>,
}

pub(crate) fn run(args: &CheckArgs, output: &Output) -> Result<Exit, Failure> {
    logs::start("error", output)?;
    let config = args.files.load()?;
    let checker = checker(config.as_ref())?;
    let (limits, policy) = args.files.accepted(config.as_ref());
    let is_directory = args.plugin.is_dir();
    let (files, unreadable) = files(&args.plugin, is_directory, &limits, &policy);

    let mut checked: Vec<Checked> = unreadable.into_iter().map(|error| Checked::refused(None, error)).collect();
    let mut found = Vec::new();
    for file in files {
        match verified(file, &limits, &policy) {
            Ok(image) => {
                found.push(image.descriptor().id.clone());
                checked.extend(check(&checker, image, config.as_ref(), args.level.into()));
            }
            Err((path, error)) => checked.push(Checked::refused(Some(path), error)),
        }
    }
    if is_directory {
        checked.extend(config.iter().flat_map(|config| without_file(config, &found)));
    }
    if args.json {
        output.json(&json!({ "checked": checked.iter().map(Checked::to_json).collect::<Vec<_>>() }));
    } else {
        output.print(&table(&checked).render());
    }
    Ok(if checked.iter().all(|checked| checked.outcome.is_ok()) { Exit::Ok } else { Exit::Failed })
}

/// As a host with this configuration tries plugins.
pub(crate) fn checker(config: Option<&PluginsConfig>) -> Result<Checker, Failure> {
    let section = config.map_or_else(HostSection::default, |config| config.host.clone());
    let identity = (env!("CARGO_BIN_NAME"), env!("CARGO_PKG_VERSION"));
    Ok(Checker::new(identity, &section, &Preflight::Automatic)?)
}

fn files(
    path: &Path,
    is_directory: bool,
    limits: &ReadLimits,
    policy: &VerifyPolicy,
) -> (Vec<Inspection>, Vec<LoadError>) {
    if !is_directory {
        return (vec![inspect(path, limits, policy)], Vec::new());
    }
    inspect_all(&[path.to_owned()], limits, policy)
}

/// The file once more, for its bytes; refused as it was found.
pub(crate) fn verified(
    mut found: Inspection,
    limits: &ReadLimits,
    policy: &VerifyPolicy,
) -> Result<Arc<VerifiedImage>, (PathBuf, LoadError)> {
    if !found.refusals.is_empty() {
        return Err((found.path, found.refusals.remove(0)));
    }
    let read = Candidate::from_path(&found.path).read(limits).and_then(|image| image.verify(policy));
    read.map(Arc::new).map_err(|error| (found.path, error))
}

/// With each entry that names it, or as a host serves a file that none names.
pub(crate) fn check(
    checker: &Checker,
    image: Arc<VerifiedImage>,
    config: Option<&PluginsConfig>,
    level: PreflightLevel,
) -> Vec<Checked> {
    let id = &image.descriptor().id;
    let listed = config.map(|config| config.plugins.as_slice()).unwrap_or_default();
    let mut entries: Vec<PluginEntry> = listed.iter().filter(|entry| entry.library == *id).cloned().collect();
    if entries.is_empty() {
        entries.push(PluginEntry::new(id.clone()));
    }
    let by_default: Vec<_> = image.descriptor().answered_by_default().into_iter().map(Method::name).collect();
    let checked = entries.into_iter().map(|entry| Checked {
        file: Some(image.path().to_owned()),
        by_default: by_default.clone(),
        outcome: block_on(checker.check(Arc::clone(&image), &entry, level)),
        plugin: Some(entry.name),
    });
    checked.collect()
}

/// Plugins of plugins.toml that no usable file has the id of.
fn without_file(config: &PluginsConfig, found: &[String]) -> Vec<Checked> {
    let missing = config.plugins.iter().filter(|entry| entry.enabled && !found.contains(&entry.library));
    let checked = missing.map(|entry| {
        let (plugin, library) = (entry.name.clone(), entry.library.clone());
        let outcome = Err(PluginFailure::NoFile { plugin: plugin.clone(), library });
        Checked { file: None, plugin: Some(plugin), by_default: Vec::new(), outcome }
    });
    checked.collect()
}

impl Checked {
    pub(crate) fn refused(file: Option<PathBuf>, error: LoadError) -> Self {
        Self { file, plugin: None, by_default: Vec::new(), outcome: Err(error.into()) }
    }

    pub(crate) fn to_json(&self) -> Value {
        let file = self.file.as_ref().map(|file| file.display().to_string());
        match &self.outcome {
            Ok(report) => json!({
                "file": file, "plugin": self.plugin, "verdict": "ok", "level": report.level,
                "took_ms": u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
                "shutdown_error": report.shutdown_error, "by_default": self.by_default,
            }),
            Err(failure) => json!({
                "file": file, "plugin": self.plugin, "verdict": failure.kind(), "message": failure.to_string(),
                "retryable": failure.is_retryable(),
            }),
        }
    }

    /// The text of a refusal, beside which file and plugin are shown already.
    fn reason(&self, failure: &PluginFailure) -> String {
        let text = failure.to_string();
        let file = self.file.as_ref().map(|file| format!("{}: ", file.display()));
        let plugin = self.plugin.as_ref().map(|plugin| format!("plugin {plugin}: "));
        let shown =
            [file, plugin].into_iter().flatten().find_map(|prefix| Some(text.strip_prefix(&prefix)?.to_owned()));
        shown.unwrap_or(text)
    }
}

pub(crate) fn table(checked: &[Checked]) -> Table {
    let mut table = Table::new(["FILE", "PLUGIN", "LEVEL", "TIME", "VERDICT"]);
    for one in checked {
        let file = cell(one.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default(), Look::Plain);
        let plugin = cell(one.plugin.as_deref().unwrap_or_default(), Look::Plain);
        match &one.outcome {
            Ok(report) => {
                let newer = (!one.by_default.is_empty())
                    .then(|| format!("newer than it and answered by default: {}", one.by_default.join(", ")));
                let but: Vec<String> = report.shutdown_error.clone().into_iter().chain(newer).collect();
                let verdict = match but.as_slice() {
                    [] => cell("ok", Look::Good),
                    but => cell(format!("ok, but: {}", but.join("; ")), Look::Odd),
                };
                let time = cell(format!("{} ms", report.took.as_millis()), Look::Dim);
                table.row([file, plugin, cell(report.level.name(), Look::Plain), time, verdict]);
            }
            Err(failure) => {
                let none = || cell("", Look::Dim);
                let verdict = cell(format!("{}: {}", failure.kind(), one.reason(failure)), Look::Bad);
                table.row([file, plugin, none(), none(), verdict]);
            }
        }
    }
    table
}
