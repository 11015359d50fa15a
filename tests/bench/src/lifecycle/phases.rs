//! Load and swap, by phase, as the host itself tells: `phases` of its answer and of the event `retired`.
//!
//! A load is `PluginHost::swap` into an empty slot, a swap is `PluginHost::reload`: everything is done as for a new file, with no
//! call under way.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mini_chat_plugin_loader::image_dir::ImageDirChoice;
use mini_chat_plugin_loader::{HostEvent, Phases, PluginHost, StateDirChoice, Swapped};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::broadcast::Receiver;

use super::alone;
use crate::hosts;
use crate::sections::Part;

/// A phase: what it is called, and its nanoseconds.
type Phase = (&'static str, fn(&Phases) -> u64);

const CHECKS: [Phase; 3] = [
    ("read, digest, verify", |phases| phases.read_us * 1000),
    ("private copy", |phases| phases.copy_us * 1000),
    ("preflight", |phases| phases.preflight_us * 1000),
];
const PREDECESSOR: Phase = ("state of the predecessor", |phases| phases.predecessor_us * 1000);
const CREATION: [Phase; 6] = [
    ("map", |phases| phases.map_us * 1000),
    ("entry, layouts", |phases| phases.entry_us * 1000),
    ("open: configuration, threads", |phases| phases.open_us * 1000),
    ("create()", |phases| phases.construct_us * 1000),
    ("health()", |phases| phases.health_us * 1000),
    ("flip", |phases| phases.flip_ns),
];
/// While calls of an exclusive plugin wait.
const HELD: Phase = ("of these, calls are held", |phases| phases.create_us * 1000 + phases.flip_ns);

const REST: &str = "the rest: a look, threads, answering";
const WHOLE: &str = "the whole, as its caller sees it";
const DRAIN: &str = "later: last calls of the old one";
const END: &str = "later: shutdown hook, threads end";

/// The name of the slot.
const NAME: &str = "timed";

/// Each case.
pub(super) fn measure(part: &mut Part<'_>) {
    let library = part.library.to_owned();
    let steps: Vec<Phase> = CHECKS.into_iter().chain(CREATION).collect();
    let site = Site::new(library.clone(), measured::ID, String::new());
    let ways = names(&steps, &[REST, WHOLE]);
    part.rounds("load by phase", &ways, || {
        let alone = alone::map(&site.library, site.place.path());
        let life = Life::begin(&site);
        let figures = figures(alone, &steps, &life.loaded, life.whole);
        life.end();
        figures
    });

    let steps: Vec<Phase> = CHECKS.into_iter().chain([PREDECESSOR]).chain(CREATION).collect();
    let ways = names(&steps, &[REST, WHOLE, DRAIN, END]);
    part.rounds("swap by phase", &ways, || swap(&site, &steps, &[]));

    let case = "swap of an exclusive plugin by phase";
    let ways = names(&steps, &[REST, WHOLE, DRAIN, END, HELD.0]);
    if part.wants(case, &ways) {
        let library = part.beside("libexclusive_plugin.so");
        let site = Site::new(library, "tests.exclusive._.policy.v1", format!("listen = \"{}\"\n", free_address()));
        part.rounds(case, &ways, || swap(&site, &steps, &[HELD]));
    }
}

/// The phases of a swap, what comes after it, and `more`.
fn swap(site: &Site, steps: &[Phase], more: &[Phase]) -> Vec<f64> {
    let alone = alone::map(&site.library, site.place.path());
    let mut life = Life::begin(site);
    let begun = Instant::now();
    let swapped = site.runtime.block_on(life.host.reload(NAME)).expect("it is created anew");
    let whole = begun.elapsed().as_nanos() as f64;
    let (drain_us, end_us) = life.until_retired();
    life.end();
    let mut figures = figures(alone, steps, &swapped.phases, whole);
    figures.extend([drain_us, end_us].map(|micros| (micros * 1000) as f64));
    figures.extend(more.iter().map(|(_, of)| of(&swapped.phases) as f64));
    figures
}

fn names(steps: &[Phase], more: &[&'static str]) -> Vec<&'static str> {
    [alone::NAME].into_iter().chain(steps.iter().map(|(name, _)| *name)).chain(more.iter().copied()).collect()
}

fn figures(alone: f64, steps: &[Phase], phases: &Phases, whole: f64) -> Vec<f64> {
    let parts: Vec<f64> = steps.iter().map(|(_, of)| of(phases) as f64).collect();
    let rest = whole - parts.iter().sum::<f64>();
    [alone].into_iter().chain(parts).chain([rest, whole]).collect()
}

/// An address that nobody listens on.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("it has an address").to_string()
}

/// Where hosts live, one after the other.
struct Site {
    library: PathBuf,
    place: TempDir,
    runtime: Runtime,
}

impl Site {
    /// `config`: lines of `[plugins.NAME.config]`.
    fn new(library: PathBuf, id: &str, config: String) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        let text = format!(
            "[plugins.{NAME}]\nlibrary = \"{id}\"\n[plugins.{NAME}.probation]\nduration = \"1ms\"\n\
             [plugins.{NAME}.config]\n{config}"
        );
        std::fs::write(place.path().join("plugins.toml"), text).expect("a file");
        Self { library, place, runtime: hosts::waiting() }
    }

    fn images(&self) -> &Path {
        self.place.path()
    }
}

/// A host with the one plugin.
struct Life<'a> {
    site: &'a Site,
    host: PluginHost,
    events: Receiver<HostEvent>,
    loaded: Phases,
    whole: f64,
}

impl<'a> Life<'a> {
    /// Starts a host with an empty slot, and loads the plugin into it.
    fn begin(site: &'a Site) -> Self {
        let builder = PluginHost::builder().identity("bench", "1").watch(false).state_dir(StateDirChoice::Off);
        let builder = builder.image_dir(ImageDirChoice::Explicit(site.images().to_owned()));
        let host = builder.config_file(site.place.path().join("plugins.toml")).build();
        let host = site.runtime.block_on(host).expect("a host");
        let events = host.events();
        let begun = Instant::now();
        let loaded = site.runtime.block_on(host.swap(&site.library));
        let whole = begun.elapsed().as_nanos() as f64;
        let loaded: Vec<Swapped> = loaded.unwrap_or_else(|error| panic!("{}: {error}", site.library.display()));
        Self { site, host, events, loaded: loaded[0].phases, whole }
    }

    /// Waits for the end of the first generation: microseconds of its last calls, and of the rest.
    fn until_retired(&mut self) -> (u64, u64) {
        loop {
            match self.site.runtime.block_on(self.events.recv()).expect("the host tells") {
                HostEvent::Retired { generation: 1, drain_us, end_us, .. } => return (drain_us, end_us),
                HostEvent::Refused { message, .. } => panic!("{message}"),
                _ => {}
            }
        }
    }

    fn end(self) {
        let report = self.site.runtime.block_on(self.host.shutdown());
        assert!(report.is_clean(), "{report:?}");
    }
}
