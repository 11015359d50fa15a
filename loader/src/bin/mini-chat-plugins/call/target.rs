//! [`Target`]: which plugin is called.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use mini_chat_plugin_loader::config::{PluginEntry, PluginsConfig};
use mini_chat_plugin_loader::find;
use mini_chat_plugin_loader::method::Kind;
use mini_chat_plugin_loader::verify::{Descriptor, Inspection, inspect};
use semver::Version;

use crate::cli::CallArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::survey::{chosen, inspect_all};

/// An instance to be made.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) file: PathBuf,
    pub(crate) entry: PluginEntry,
    pub(crate) config: Option<PluginsConfig>,
}

/// The files to choose from, by id, ascending by version.
type Images = BTreeMap<String, Vec<(Version, File)>>;
type File = (PathBuf, Descriptor);

/// The file that serves for an entry.
fn file<'a>(images: &'a Images, entry: &PluginEntry) -> Option<&'a File> {
    chosen(images.get(&entry.library)?, entry.version.as_ref())
}

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
        match file(&images, &entry) {
            Some((file, descriptor)) if descriptor.serves(args.method.kind()) => {
                Ok(Self { file: file.clone(), entry, config })
            }
            Some((file, _)) => Err(Failure::new(
                Exit::Unavailable,
                format!("{}: {} does not serve {}", file.display(), entry.name, wanted(args)),
            )),
            None => Err(Failure::new(Exit::Unavailable, format!("{}: {}", shown(args), missing(&entry, &images)))),
        }
    }
}

fn images(args: &CallArgs, config: Option<&PluginsConfig>) -> Result<Images, Failure> {
    let (limits, policy) = args.files.accepted(config);
    let mut found = if args.plugin.is_dir() {
        let (found, mut unreadable) = inspect_all(std::slice::from_ref(&args.plugin), &limits, &policy);
        if let Some(error) = unreadable.pop() {
            return Err(Failure::new(Exit::Unavailable, "plugin directory").because(error));
        }
        found
    } else {
        vec![inspect(&args.plugin, &limits, &policy)]
    };
    let mut images = Images::new();
    for (id, files) in find::usable(&mut found) {
        let file = |(version, place): (Version, usize)| {
            let Inspection { path, descriptor, .. } = &found[place];
            Some((version, (path.clone(), descriptor.clone()?)))
        };
        images.insert(id, files.into_iter().filter_map(file).collect());
    }
    let mut refused = found.into_iter().flat_map(|inspection| inspection.refusals);
    match (images.is_empty(), refused.next()) {
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
    let serves =
        |entry: &PluginEntry| file(images, entry).is_some_and(|(_, descriptor)| descriptor.serves(args.method.kind()));
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

fn missing(entry: &PluginEntry, images: &Images) -> String {
    let id = &entry.library;
    match (&entry.version, images.get(id)) {
        (Some(version), Some(files)) => {
            let found = files.iter().map(|(version, _)| version.to_string()).collect::<Vec<_>>().join(", ");
            format!("no usable file with the id {id} and the version {version}; there are: {found}")
        }
        _ => format!("no usable file with the id {id}; there are: {}", ids(images)),
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
