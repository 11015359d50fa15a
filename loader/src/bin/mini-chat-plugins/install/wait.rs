//! [`Waiting`]: listens to the host until there is a verdict.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mini_chat_plugin_loader::control::{Following, Request};
use mini_chat_plugin_loader::verify::Digest;
use serde_json::{Value, json};

use super::verdict::{State, Verdict, Verdicts, text};
use super::{Installation, described};
use crate::cli::InstallArgs;
use crate::control;
use crate::events::line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// How often it is looked whether the file is still the one that was installed.
const LOOK: Duration = Duration::from_secs(1);

/// Connected to a host before anything was changed.
pub(super) struct Waiting {
    socket: PathBuf,
    events: Following,
    verdicts: Verdicts,
    /// How the host stood when that was last asked.
    status: Value,
    quarantined: Option<(String, String)>,
}

/// How the wait ended.
enum End {
    Verdict(Verdict),
    /// The host refuses the file itself.
    FileRefused(String),
    TimesUp,
}

impl Waiting {
    pub(super) fn begin(socket: &Path, installation: &Installation) -> Result<Self, Failure> {
        let (status, events) = control::follow(socket)?;
        let (id, digest) = (&installation.image.descriptor().id, installation.image.digest().to_string());
        let verdicts = Verdicts::new(id, &digest);
        let quarantined = verdicts.quarantined(&status);
        Ok(Self { socket: socket.to_owned(), events, verdicts, status, quarantined })
    }

    /// Why the host would not even try it.
    pub(super) fn in_quarantine(&self) -> Option<String> {
        let (name, why) = self.quarantined.as_ref()?;
        Some(format!(
            "the host has given up this very build before, as {name} ({why}), and would not try it again; install a better \
             one, or lift that with `mini-chat-plugins unquarantine {name}` and install it again"
        ))
    }

    /// Waits, says what comes of it, and gives the exit code.
    pub(super) fn run(
        mut self,
        args: &InstallArgs,
        installation: &Installation,
        output: &Output,
    ) -> Result<Exit, Failure> {
        let end = self.until_decided(args, installation, output)?;
        let slots = || self.verdicts.slots.iter().map(|(name, state)| state.to_json(name)).collect::<Vec<_>>();
        let (exit, verdict, message) = match end {
            End::Verdict(Verdict::Proven) => (Exit::Ok, "proven", None),
            End::Verdict(Verdict::Bad(name, code, why)) => {
                (Exit::Failed, code, Some(format!("plugin {name}: {}: {why}", code.replace('_', " "))))
            }
            End::FileRefused(why) => (Exit::Failed, "refused", Some(format!("refused by the host: {why}"))),
            End::TimesUp => (Exit::NoVerdict, "timeout", Some(self.no_verdict(args.timeout, installation))),
        };
        if args.host.json {
            let more = json!({ "plugins": slots(), "message": message });
            output.json(&described(installation, verdict, more));
        } else if exit == Exit::Ok {
            for slot in slots() {
                output.print(&line(&json!({
                    "event": "proven", "plugin": slot["plugin"], "generation": slot["generation"],
                    "digest": installation.image.digest().short(),
                })));
            }
        }
        if let Some(message) = message {
            let stays = match verdict {
                "refused" | "rolled_back" => format!(
                    "; the file stays at {}, and the host does not try its content again: install a better build there, or \
                     the one before",
                    installation.target().display()
                ),
                _ => String::new(),
            };
            output.error(&format!("{message}{stays}"));
        }
        Ok(exit)
    }

    fn until_decided(
        &mut self,
        args: &InstallArgs,
        installation: &Installation,
        output: &Output,
    ) -> Result<End, Failure> {
        let deadline = Instant::now().checked_add(args.timeout);
        let installed = Installed::at(installation);
        // A host that does not watch its directories looks now; one that does, once more.
        control::ask(&self.socket, &Request::Rescan)?;
        self.ask(false)?;
        loop {
            if let Some(Verdict::Proven) = self.verdicts.verdict() {
                // There may be another slot, of which nothing has been heard yet.
                self.ask(false)?;
            }
            if let Some(verdict) = self.verdicts.verdict() {
                return Ok(End::Verdict(verdict));
            }
            let left = deadline.map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                self.ask(false)?;
                return Ok(self.verdicts.verdict().map_or(End::TimesUp, End::Verdict));
            }
            match self.events.next_within(left.min(LOOK))? {
                Some(event) if event["event"] == "ended" => {
                    let what = "the host has ended before there was a verdict; the file is in place";
                    return Err(Failure::new(Exit::Unavailable, what));
                }
                Some(event) if event["event"] == "missed" => self.ask(true)?,
                Some(event) if event["event"] == "file_refused" && installed.is_named_by(&event["file"]) => {
                    return Ok(End::FileRefused(text(&event["message"])));
                }
                Some(event) => {
                    let ours = self.verdicts.event(&event);
                    if ours && !args.host.json {
                        output.print(&line(&event));
                    }
                }
                None => {}
            }
            if !installed.stands() {
                // What the host may have made of it before counts.
                self.ask(false)?;
                self.verdicts.replaced();
            }
        }
    }

    fn ask(&mut self, events_lost: bool) -> Result<(), Failure> {
        self.status = control::ask(&self.socket, &Request::Status)?;
        self.verdicts.status(&self.status, events_lost);
        Ok(())
    }

    /// How it stands, for who has waited in vain.
    fn no_verdict(&self, limit: Duration, installation: &Installation) -> String {
        let (id, directory) = (&installation.image.descriptor().id, installation.directory.display());
        let mut all = Vec::new();
        for (name, state) in &self.verdicts.slots {
            let state = match state {
                State::Waiting => "the host has not come to it".to_owned(),
                State::Retrying(why) => format!("it failed, and is tried again: {why}"),
                State::Trial(generation) => format!("generation {generation} serves, and is on probation still"),
                State::Good(generation) => format!("generation {generation} serves, and is proven"),
                State::Bad(code, why) => format!("{code}: {why}"),
            };
            let plugin =
                self.status["plugins"].as_array().into_iter().flatten().find(|plugin| plugin["name"] == **name);
            let now = plugin.map_or(&Value::Null, |plugin| &plugin["swap"]["state"]);
            all.push(format!("plugin {name}: {state} (its state: {})", text(now)));
        }
        if all.is_empty() {
            all.push(format!("no plugin of the host is to be {id}: is {directory} one of its plugin directories?"));
        }
        let limit = humantime::format_duration(limit);
        format!("no verdict within {limit}; the file is in place: {}", all.join("; "))
    }
}

/// The file as it was installed.
struct Installed {
    target: PathBuf,
    file: Option<(u64, u64)>,
    digest: Digest,
}

impl Installed {
    fn at(installation: &Installation) -> Self {
        let target = installation.target();
        Self { file: identity(&target), digest: installation.image.digest(), target }
    }

    /// Whether it is there still, or its like.
    fn stands(&self) -> bool {
        let now = identity(&self.target);
        (now.is_some() && now == self.file)
            || fs::read(&self.target).is_ok_and(|bytes| Digest::of(&bytes) == self.digest)
    }

    /// Whether the host means it: the host's paths may be relative to another directory.
    fn is_named_by(&self, file: &Value) -> bool {
        let file = PathBuf::from(text(file));
        let directory = |path: &Path| path.parent().and_then(|parent| fs::canonicalize(parent).ok());
        file.file_name() == self.target.file_name()
            && (file.is_relative() || directory(&file) == directory(&self.target))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}
