//! [`Verdicts`]: what a host's events and status mean for one build. Knows no connection and no time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// How it stands with the build in one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// The host has not come to it yet.
    Waiting,
    /// It failed, and is tried again by itself.
    Retrying(String),
    /// This generation serves, on probation.
    Trial(u64),
    /// This generation serves, and is proven.
    Good(u64),
    /// It will not serve: a code, and why.
    Bad(&'static str, String),
}

impl State {
    /// The word for it, its generation, and why.
    pub(super) fn to_json(&self, name: &str) -> Value {
        let (state, generation, why) = match self {
            Self::Waiting => ("waiting", None, None),
            Self::Retrying(why) => ("retrying", None, Some(why)),
            Self::Trial(generation) => ("probation", Some(generation), None),
            Self::Good(generation) => ("proven", Some(generation), None),
            Self::Bad(code, why) => (*code, None, Some(why)),
        };
        json!({ "plugin": name, "state": state, "generation": generation, "message": why })
    }

    fn is_decided(&self) -> bool {
        matches!(self, Self::Good(_) | Self::Bad(..))
    }
}

/// What has come of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It serves everywhere, and is proven.
    Proven,
    /// It does not, at least in this slot.
    Bad(String, &'static str, String),
}

/// One build in all slots of its library.
#[derive(Debug)]
pub(super) struct Verdicts {
    id: String,
    digest: String,
    pub(super) slots: BTreeMap<String, State>,
}

impl Verdicts {
    pub(super) fn new(id: &str, digest: &str) -> Self {
        Self { id: id.to_owned(), digest: digest.to_owned(), slots: BTreeMap::new() }
    }

    fn is_it(&self, build: &Value) -> bool {
        build["digest"] == self.digest.as_str()
    }

    /// The slots in which it was given up before, with what stands against it.
    pub(super) fn quarantined(&self, status: &Value) -> Option<(String, String)> {
        self.of_library(status).find_map(|plugin| {
            // What serves nevertheless was no good with other settings.
            let entry = self.quarantine_of(plugin).filter(|_| !self.is_it(&plugin["instance"]))?;
            Some((text(&plugin["name"]), format!("{}: {}", text(&entry["kind"]), text(&entry["message"]))))
        })
    }

    fn quarantine_of<'a>(&self, plugin: &'a Value) -> Option<&'a Value> {
        plugin["swap"]["quarantine"].as_array()?.iter().find(|build| self.is_it(build))
    }

    fn of_library<'a>(&self, status: &'a Value) -> impl Iterator<Item = &'a Value> + use<'a, '_> {
        let plugins = status["plugins"].as_array().map(Vec::as_slice).unwrap_or_default();
        let off = |plugin: &Value| {
            plugin["serving"] != true && ["disabled", "removed"].iter().any(|kind| plugin["reason"][0] == *kind)
        };
        plugins.iter().filter(move |plugin| plugin["library"] == self.id.as_str() && !off(plugin))
    }

    /// Takes in how things stand. `events_lost`: there may have been events that nobody has told.
    pub(super) fn status(&mut self, status: &Value, events_lost: bool) {
        let mut found = BTreeMap::new();
        for plugin in self.of_library(status) {
            let name = text(&plugin["name"]);
            let known = self.slots.get(&name).cloned().unwrap_or(State::Waiting);
            let (instance, serving) = (&plugin["instance"], &plugin["swap"]);
            let generation = instance["generation"].as_u64().unwrap_or_default();
            let state = match known {
                decided if decided.is_decided() => decided,
                _ if self.is_it(instance) && instance["probation"] == true => State::Trial(generation),
                _ if self.is_it(instance) => State::Good(generation),
                known => match self.quarantine_of(plugin) {
                    Some(entry) => bad_by(entry),
                    None if events_lost && matches!(known, State::Trial(_)) && !self.is_it(&serving["candidate"]) => {
                        another(instance)
                    }
                    None => known,
                },
            };
            found.insert(name, state);
        }
        self.slots = found;
    }

    /// Takes in an event. True if it is about this build, or about another one where this one is waited for.
    pub(super) fn event(&mut self, event: &Value) -> bool {
        let name = text(&event["plugin"]);
        let known = self.slots.get(&name).cloned();
        let generation = event["generation"].as_u64().unwrap_or_default();
        let state = match (event["event"].as_str().unwrap_or_default(), known) {
            ("serving", _) if self.is_it(event) && event["probation"] == true => State::Trial(generation),
            ("serving", _) if self.is_it(event) => State::Good(generation),
            // One that served before serves again: why, is told next.
            ("serving", Some(State::Trial(on_trial))) if generation > on_trial => another(event),
            ("serving", Some(_)) => return true,
            ("proven", Some(State::Trial(on_trial))) if on_trial == generation => State::Good(generation),
            ("rolled_back", _) if self.is_it(event) => State::Bad("rolled_back", text(&event["why"])),
            // One that serves may be refused when it is to be created anew.
            ("refused", Some(State::Trial(_) | State::Good(_))) => return false,
            ("refused", _) if self.is_it(event) && event["retry_in_ms"].is_null() => bad_by(event),
            ("refused", _) if self.is_it(event) => State::Retrying(text(&event["message"])),
            ("disabled", Some(_)) => State::Bad("disabled", "the plugin was disabled meanwhile".to_owned()),
            _ => return false,
        };
        self.slots.insert(name, state);
        true
    }

    /// The file was replaced: where the host has not come to this build, it never will.
    pub(super) fn replaced(&mut self) {
        for state in self.slots.values_mut().filter(|state| matches!(state, State::Waiting | State::Retrying(_))) {
            *state = State::Bad(
                "replaced",
                "the file was replaced by another one before the host had come to it".to_owned(),
            );
        }
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        let bad = self.slots.iter().find_map(|(name, state)| match state {
            State::Bad(code, why) => Some(Verdict::Bad(name.clone(), code, why.clone())),
            _ => None,
        });
        let good = !self.slots.is_empty() && self.slots.values().all(|state| matches!(state, State::Good(_)));
        bad.or(good.then_some(Verdict::Proven))
    }
}

/// What stands against it, in a refusal or in the quarantine.
fn bad_by(entry: &Value) -> State {
    let (kind, message) = (text(&entry["kind"]), text(&entry["message"]));
    match kind.as_str() {
        "probation" | "rolled-back" => State::Bad("rolled_back", message),
        _ => State::Bad("refused", format!("{kind}: {message}")),
    }
}

fn another(build: &Value) -> State {
    let (version, digest) = (text(&build["version"]), text(&build["digest"]));
    State::Bad("replaced", format!("another build serves instead: {version} {}", digest.get(..12).unwrap_or(&digest)))
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
