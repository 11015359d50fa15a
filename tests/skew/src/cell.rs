//! One cell of the matrix: this host, one plugin file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use echo::answers;
use echo::nine::{Found, all_nine};
use futures_executor::block_on;
use mini_chat_plugin_loader::verify::{self, ReadLimits, VerifyPolicy};
use mini_chat_plugin_loader::{PluginHost, Preflight};
use serde_json::json;

/// The id of the fixture.
const NAME: &str = "tests.echo._.both.v1";

/// Calls per method.
const CALLS: u8 = 16;

/// How to go about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Way {
    /// Expect other values than the plugin's.
    pub(crate) planted: bool,
    /// Try the plugin in a process of its own first.
    pub(crate) trial: bool,
}

/// Says in one line of JSON on stdout what came of it.
///
/// `names` are those of host, plugin, profile and dependencies, as the script calls them.
pub(crate) fn report(names: [&str; 4], file: &Path, way: Way) -> ExitCode {
    let [host, plugin, profile, dependencies] = names;
    let mut line = json!({
        "host": host, "plugin": plugin, "profile": profile, "dependencies": dependencies,
        "host_compiler": env!("SKEW_COMPILER"),
    });
    let outcome = of([plugin, profile], file, way, &mut line);
    line["outcome"] = outcome.clone().map_or_else(|wrong| json!(wrong), |()| json!("equal"));
    println!("{line}");
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Loads the file, calls, compares. The error is for people.
fn of(names: [&str; 2], file: &Path, way: Way, line: &mut serde_json::Value) -> Result<(), String> {
    let [plugin, profile] = names;
    is_what_it_is_said_to_be(plugin, profile, file, line)?;

    let directory = tempfile::tempdir().map_err(|error| format!("a temporary directory: {error}"))?;
    let path = directory.path().join("libskew.so");
    fs::copy(file, &path)
        .and_then(|_| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)))
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let preflight = if way.trial { Preflight::Automatic } else { Preflight::Off };
    let found = block_on(async {
        let host = PluginHost::builder()
            .plugins(directory.path())
            .preflight(preflight)
            .build()
            .await
            .map_err(|error| error.to_string())?;
        let status = host.status();
        if let Some(refused) = status.refused_files.first() {
            return Err(format!("refused: {refused:?}"));
        }
        if status.plugins.len() != 1 || !status.plugins[0].serving {
            return Err(format!("it does not serve: {:?}", status.plugins));
        }
        let found = all_nine(&*host.model_policy(NAME), &*host.audit(NAME), CALLS, way.planted).await;
        let ended = host.shutdown().await;
        if ended.is_clean() { Ok(found) } else { Err(format!("it does not end: {ended:?}")) }
    })?;
    let layouts = if *found.layout.as_ref().ok_or("it does not tell its layouts")? == answers::layout() {
        "as the host's"
    } else {
        "others"
    };
    line["layouts"] = json!(layouts);
    if plugin.contains("-seed-") && layouts != "others" {
        return Err("its compiler was to randomise layouts, and they are those of the host".to_owned());
    }
    judged(&found, line)
}

/// The descriptor and the file itself say who compiled it and how.
fn is_what_it_is_said_to_be(
    plugin: &str,
    profile: &str,
    file: &Path,
    line: &mut serde_json::Value,
) -> Result<(), String> {
    let inspection = verify::inspect(file, &ReadLimits::default(), &VerifyPolicy::default());
    let (Some(descriptor), Some(facts)) = (inspection.descriptor, inspection.facts) else {
        return Err(format!("no plugin: {:?}", inspection.refusals));
    };
    line["compiler"] = json!(descriptor.compiler);
    let is_nightly = descriptor.compiler.contains("-nightly");
    let is_by_it = match plugin.split('-').next() {
        Some("nightly") => is_nightly,
        // What distributions build says so.
        Some("debian") => descriptor.compiler.contains("built from a source tarball"),
        _ => !is_nightly,
    };
    if !is_by_it {
        return Err(format!("a plugin by {}, not by {plugin}", descriptor.compiler));
    }
    line["opt_level"] = json!(descriptor.opt_level);
    line["stripped"] = json!(facts.stripped);
    line["bytes"] = json!(inspection.size);
    let found = match (descriptor.profile.as_str(), facts.stripped) {
        ("debug", false) => "debug",
        ("release", false) => "release",
        ("release", true) => "lto",
        _ => "neither",
    };
    if found == profile { Ok(()) } else { Err(format!("a plugin of profile {found}, not {profile}")) }
}

fn judged(found: &Found, line: &mut serde_json::Value) -> Result<(), String> {
    line["calls"] = json!(found.calls);
    let differing: Vec<_> = found.differing.iter().map(|(method, _)| *method).collect();
    line["differing"] = json!(differing);
    match found.differing.first() {
        None => Ok(()),
        Some((method, values)) => {
            // Both are long, and differ early.
            let values: String = values.chars().take(2000).collect();
            Err(format!("{} of 9 methods answer otherwise; {method}: {values}", differing.len()))
        }
    }
}
