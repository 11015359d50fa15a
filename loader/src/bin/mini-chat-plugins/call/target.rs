//! [`Target`]: which plugin is called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use mini_chat_plugin_loader::config::{PluginEntry, PluginsConfig};
use mini_chat_plugin_loader::method::Kind;
use mini_chat_plugin_loader::verify::{Descriptor, inspect};

use crate::cli::CallArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::survey::{Surveyed, survey};

/// An instance to be made.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) file: PathBuf,
    pub(crate) entry: PluginEntry,
    pub(crate) config: Option<PluginsConfig>,
}

/// The files to choose from, by id.
type Images = BTreeMap<String, (PathBuf, Descriptor)>;

impl Target {
    /// Finds the instance that the command line means; executes nothing.
    pub(crate) fn resolve(args: &CallArgs) -> Result<Self, Failure> {
        let config = args.files.load()?;
        let images = images(args, config.as_ref())?;
        let mut entries = config.as_ref().map(|config| config.plugins.clone()).unwrap_or_default();
        let mut entry = match &args.name {
            Some(name) => named(&mut entries, name, &images, args)?,
            None => only(entries, &images, args)?,
        };
        // Asked for by name: that it does not serve in the host is no reason here.
        entry.enabled = true;
        match images.get(&entry.library) {
            Some((file, descriptor)) if descriptor.serves(args.method.kind()) => {
                Ok(Self { file: file.clone(), entry, config })
            }
            Some((file, _)) => Err(Failure::new(
                Exit::Unavailable,
                format!("{}: {} does not serve {}", file.display(), entry.name, wanted(args)),
            )),
            None => Err(Failure::new(
                Exit::Unavailable,
                format!("{}: no usable file with the id {}; there are: {}", shown(args), entry.library, ids(&images)),
            )),
        }
    }
}

fn images(args: &CallArgs, config: Option<&PluginsConfig>) -> Result<Images, Failure> {
    let (limits, policy) = args.files.accepted(config);
    let mut images = Images::new();
    let mut refused = Vec::new();
    if args.plugin.is_dir() {
        let mut found = survey(std::slice::from_ref(&args.plugin), &limits, &policy);
        if let Some(error) = found.unreadable.pop() {
            return Err(Failure::new(Exit::Unavailable, "plugin directory").because(error));
        }
        for Surveyed { inspection, serves } in found.files {
            match inspection.descriptor {
                Some(descriptor) if serves => {
                    images.insert(descriptor.id.clone(), (inspection.path, descriptor));
                }
                _ => refused.extend(inspection.refusals),
            }
        }
    } else {
        let found = inspect(&args.plugin, &limits, &policy);
        match found.descriptor {
            Some(descriptor) if found.refusals.is_empty() => {
                images.insert(descriptor.id.clone(), (found.path, descriptor));
            }
            _ => refused = found.refusals,
        }
    }
    match (images.is_empty(), refused.into_iter().next()) {
        (true, Some(refusal)) => Err(refusal.into()),
        (true, None) => {
            Err(Failure::new(Exit::Unavailable, format!("{}: no plugin (*.so) in this directory", shown(args))))
        }
        (false, _) => Ok(images),
    }
}

/// An entry of plugins.toml, or a plugin by its id. A single file may be given any name.
fn named(entries: &mut Vec<PluginEntry>, name: &str, images: &Images, args: &CallArgs) -> Result<PluginEntry, Failure> {
    if let Some(place) = entries.iter().position(|entry| entry.name == name) {
        return Ok(entries.swap_remove(place));
    }
    let mut entry = PluginEntry::new(name);
    if images.contains_key(name) {
        return Ok(entry);
    }
    match images.keys().next() {
        Some(id) if !args.plugin.is_dir() => {
            entry.library.clone_from(id);
            Ok(entry)
        }
        _ => {
            let names = entries.iter().map(|entry| entry.name.as_str()).chain(images.keys().map(String::as_str));
            let known = names.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ");
            Err(Failure::new(Exit::Usage, format!("--name: {name}: no such plugin; there are: {known}")))
        }
    }
}

/// The one that a host would serve with the method's kind.
fn only(entries: Vec<PluginEntry>, images: &Images, args: &CallArgs) -> Result<PluginEntry, Failure> {
    let is_listed = |id: &String| entries.iter().any(|entry| entry.library == *id || entry.name == *id);
    let unlisted = images.keys().filter(|id| !is_listed(id)).map(PluginEntry::new).collect::<Vec<_>>();
    let serves = |entry: &PluginEntry| {
        images.get(&entry.library).is_some_and(|(_, descriptor)| descriptor.serves(args.method.kind()))
    };
    let mut fit: Vec<PluginEntry> =
        entries.into_iter().filter(|entry| entry.enabled).chain(unlisted).filter(serves).collect();
    match (fit.len(), fit.pop()) {
        (1, Some(entry)) => Ok(entry),
        (_, None) => Err(Failure::new(
            Exit::Unavailable,
            format!("{}: none of these serves {}: {}", shown(args), wanted(args), ids(images)),
        )),
        (_, Some(last)) => {
            let names = fit.iter().chain([&last]).map(|entry| entry.name.as_str()).collect::<Vec<_>>().join(", ");
            Err(Failure::new(
                Exit::Usage,
                format!("several plugins serve {}; add --name, one of: {names}", wanted(args)),
            ))
        }
    }
}

fn wanted(args: &CallArgs) -> String {
    let kind: Kind = args.method.kind();
    format!("{kind}, which has {}", args.method)
}

fn shown(args: &CallArgs) -> String {
    args.plugin.display().to_string()
}

fn ids(images: &Images) -> String {
    images.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
}
