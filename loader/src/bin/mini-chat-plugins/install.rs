//! `install`: checks a file, puts it into a plugin directory in one step, and waits for the host's verdict.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `place.rs` | writes and renames |
//! | `verdict.rs` | what the host's events and status mean for this build |
//! | `wait.rs` | listens to the host until there is a verdict |

mod place;
mod verdict;
mod wait;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mini_chat_plugin_loader::config::PluginsConfig;
use mini_chat_plugin_loader::control::Request;
use mini_chat_plugin_loader::preflight::PreflightLevel;
use mini_chat_plugin_loader::verify::{VerifiedImage, inspect};
use semver::Version;
use serde_json::{Value, json};

use crate::check::{self, Checked};
use crate::cli::InstallArgs;
use crate::control;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::logs;
use crate::output::{Look, Output};
use crate::survey::inspect_all;
use wait::Waiting;

/// What is to be installed where.
struct Installation {
    image: Arc<VerifiedImage>,
    directory: PathBuf,
    name: OsString,
}

impl Installation {
    fn target(&self) -> PathBuf {
        self.directory.join(&self.name)
    }
}

pub(crate) fn run(args: &InstallArgs, output: &Output) -> Result<Exit, Failure> {
    logs::start("error", output)?;
    let name = file_name(args)?;
    let config = args.files.load()?;
    must_be_directory(&args.directory)?;
    let image = match checked(args, config.as_ref(), output)? {
        Some(image) => image,
        None => return Ok(Exit::Failed),
    };
    let directory = std::path::absolute(&args.directory).unwrap_or_else(|_| args.directory.clone());
    let installation = Installation { image, directory, name };
    if let Some(why) = in_the_way(&installation, args, config.as_ref()) {
        return Ok(refused(args, output, &installation, &why));
    }
    // Before anything is changed: what happens from now on is heard.
    let waiting = if args.wait { Some(Waiting::begin(&args.host.control.required()?, &installation)?) } else { None };
    if let Some(why) = waiting.as_ref().and_then(Waiting::in_quarantine) {
        return Ok(refused(args, output, &installation, &why));
    }
    let put = place::put(installation.image.bytes(), &installation.directory, &installation.name)?;
    if !args.host.json {
        let (target, digest) = (installation.target(), installation.image.digest().short());
        output.print(&format!("{} file={} digest={digest}\n", put.word(), target.display()));
    }
    match waiting {
        Some(waiting) => waiting.run(args, &installation, output),
        None => {
            let told = tell(args);
            if args.host.json {
                output.json(&described(&installation, "installed", json!({ "host_told": told.is_ok() })));
            } else if let Err(why) = told {
                output.print(&format!("no host was told: {why}\n"));
            }
            Ok(Exit::Ok)
        }
    }
}

/// Asks the host to look, if there is one: it may not watch its directories.
fn tell(args: &InstallArgs) -> Result<(), String> {
    let Some(socket) = args.host.control.socket() else {
        return Err("without --control, the host has to see the file by itself".to_owned());
    };
    control::ask(&socket, &Request::Rescan).map(drop).map_err(|error| error.to_string())
}

/// What it is to be called in the directory.
fn file_name(args: &InstallArgs) -> Result<OsString, Failure> {
    let asked = args.name.as_deref();
    let name = match asked {
        Some(path) => path.file_name().filter(|name| *name == path.as_os_str()),
        None => args.file.file_name(),
    };
    let fit = |name: &&std::ffi::OsStr| {
        let path = Path::new(name);
        path.extension().is_some_and(|extension| extension == "so") && !name.as_encoded_bytes().starts_with(b".")
    };
    name.filter(fit).map(ToOwned::to_owned).ok_or_else(|| {
        let found = asked.unwrap_or(&args.file).display();
        let what = format!(
            "expected a file name that a host looks at (NAME.so, not hidden), found {found}; give one with --name"
        );
        Failure::new(Exit::Usage, what)
    })
}

fn must_be_directory(directory: &Path) -> Result<(), Failure> {
    std::fs::read_dir(directory).map(drop).map_err(|error| {
        let what = format!("plugin directory: {}: expected a readable directory", directory.display());
        Failure::new(Exit::Unavailable, what).because(error)
    })
}

/// As `check` does; none if it is refused, which has been said.
fn checked(
    args: &InstallArgs,
    config: Option<&PluginsConfig>,
    output: &Output,
) -> Result<Option<Arc<VerifiedImage>>, Failure> {
    let (limits, policy) = args.files.accepted(config);
    let (image, checked) = match check::verified(inspect(&args.file, &limits, &policy), &limits, &policy) {
        Ok(image) => {
            let checker = check::checker(config)?;
            let checked = check::check(&checker, Arc::clone(&image), config, PreflightLevel::Create);
            (Some(image), checked)
        }
        Err((path, error)) => (None, vec![Checked::refused(Some(path), error)]),
    };
    let well = checked.iter().all(|checked| checked.outcome.is_ok());
    if !args.host.json {
        output.print(&check::table(&checked).render());
    }
    if well {
        return Ok(image);
    }
    let why = "refused by its check: nothing was installed";
    if args.host.json {
        let checked: Vec<Value> = checked.iter().map(Checked::to_json).collect();
        output.json(&json!({ "verdict": "refused", "message": why, "installed": false, "checked": checked }));
    }
    output.error(&format!("{}: {why}", args.file.display()));
    Ok(None)
}

/// Another file of the directory that would keep this one from serving.
fn in_the_way(installation: &Installation, args: &InstallArgs, config: Option<&PluginsConfig>) -> Option<String> {
    let (limits, policy) = args.files.accepted(config);
    let ours = installation.image.descriptor();
    let version = Version::parse(&ours.version).ok()?;
    // A pin decides by itself.
    let pinned = config
        .is_some_and(|config| config.plugins.iter().any(|entry| entry.library == ours.id && entry.version.is_some()));
    let (found, _) = inspect_all(std::slice::from_ref(&args.directory), &limits, &policy);
    found.into_iter().find_map(|other| {
        let descriptor = other.descriptor.filter(|descriptor| descriptor.id == ours.id)?;
        if !other.refusals.is_empty() || other.path.file_name() == Some(&installation.name) {
            return None;
        }
        let path = other.path.display();
        let theirs = Version::parse(&descriptor.version).ok()?;
        if theirs == version && other.digest != Some(installation.image.digest()) {
            return Some(format!(
                "{path} has the same id and version {version}, and other bytes: a host would use neither; remove it, install \
                 under its name, or give the build another version"
            ));
        }
        (args.wait && !pinned && theirs > version).then(|| {
            format!("{path} has the higher version {theirs} and would go on serving instead of {version}; remove it first")
        })
    })
}

/// Nothing was changed.
fn refused(args: &InstallArgs, output: &Output, installation: &Installation, why: &str) -> Exit {
    if args.host.json {
        output.json(&described(installation, "refused", json!({ "message": why, "installed": false })));
    }
    output.error(&format!("{}: nothing was installed: {why}", args.file.display()));
    Exit::Failed
}

/// What was installed, and what came of it, with what else there is to say.
fn described(installation: &Installation, verdict: &str, more: Value) -> Value {
    let descriptor = installation.image.descriptor();
    let mut described = json!({
        "verdict": verdict, "installed": true, "file": installation.target().display().to_string(), "id": descriptor.id,
        "version": descriptor.version, "digest": installation.image.digest(),
    });
    if let (Some(described), Value::Object(more)) = (described.as_object_mut(), more) {
        described.extend(more);
    }
    described
}

impl place::Put {
    fn word(self) -> String {
        match self {
            Self::Written => Look::Good.paint("installed"),
            Self::Unchanged => "unchanged".to_owned(),
        }
    }
}
