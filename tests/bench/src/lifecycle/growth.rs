//! One plugin after the other into one process: whether the last ones take longer to load than the first, and what memory each
//! takes. A library is never unmapped, so each round is a process of its own: this program again, `--grow`.

use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use mini_chat_plugin_loader::image_dir::ImageDirChoice;
use mini_chat_plugin_loader::{HostEvent, PluginHost, StateDirChoice};
use serde::{Deserialize, Serialize};

use super::{Memory, alone, row};
use crate::contest::{Effort, Row, median};
use crate::hosts;
use crate::sections::Part;

/// Brings so many images of a library into this process, with their copies in a directory: how things stood before, and after each.
type Growth = fn(&Path, usize, &Path) -> Vec<Step>;

/// How it is done, by name: the baseline first.
const WAYS: [(&str, Growth); 2] = [(alone::NAME, alone), ("loaded, serving", loaded)];

/// One more is there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Step {
    /// Nanoseconds that it took.
    ns: f64,
    /// What the process has then.
    memory: Memory,
}

/// The rows of all rounds.
pub(super) fn measure(part: &mut Part<'_>) {
    let ways = WAYS.map(|(name, _)| name);
    // A smoke run need not load many.
    let (most, rounds) = if part.effort.rounds < Effort::FULL.rounds { (8, 1) } else { (64, part.effort.rounds / 4) };
    // Not from the first: what is there only once comes with it, and with the next ones what the allocator keeps for all threads.
    let half = most / 2;
    let each = format!("memory per image, plugins {} to {most}", half + 1);
    let numbers: Vec<usize> =
        std::iter::successors(Some(1), |number| Some(number * 2)).take_while(|n| *n <= most).collect();
    let cases: Vec<_> = numbers.iter().map(|number| (*number, format!("plugin {number} of {most}"))).collect();
    let wanted: Vec<_> = cases.iter().filter(|(_, case)| part.wants(case, &ways)).collect();
    let each_wanted = part.wants(&each, &ways);
    if wanted.is_empty() && !each_wanted {
        return;
    }
    println!("{}/1 to {most} plugins: {rounds} rounds", part.name);
    let mut grown: [Vec<Vec<Step>>; WAYS.len()] = Default::default();
    for round in 0..rounds {
        // So that none comes first each time.
        for turn in 0..WAYS.len() {
            let way = (round + turn) % WAYS.len();
            grown[way].push(grow(ways[way], most, part.library));
        }
    }
    for (number, case) in wanted {
        let ns = |round: &[Step]| round[*number].ns;
        part.rows
            .extend(compared((part.name, case), &grown, ns, |round| round[*number].memory.beyond(round[0].memory)));
    }
    if each_wanted {
        let ns = |round: &[Step]| median(round[half + 1..].iter().map(|step| step.ns).collect());
        let memory = |round: &[Step]| round[most].memory.beyond(round[half].memory).each_of(most - half);
        part.rows.extend(compared((part.name, &each), &grown, ns, memory));
    }
}

/// A row of each way.
fn compared(
    place: (&str, &str),
    grown: &[Vec<Vec<Step>>; WAYS.len()],
    ns: impl Fn(&[Step]) -> f64,
    memory: impl Fn(&[Step]) -> Memory,
) -> Vec<Row> {
    let figures: Vec<Vec<f64>> = grown.iter().map(|rounds| rounds.iter().map(|round| ns(round)).collect()).collect();
    let rows = WAYS.iter().enumerate().map(|(number, (way, _))| {
        let baseline = (number > 0).then_some((WAYS[0].0, &figures[0][..]));
        let memory: Vec<Memory> = grown[number].iter().map(|round| memory(round)).collect();
        Row { memory: Some(Memory::median(&memory)), ..row(place, way, &figures[number], baseline) }
    });
    rows.collect()
}

/// A round of one way, in a process of its own.
fn grow(way: &str, most: usize, library: &Path) -> Vec<Step> {
    let place = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--grow", way, &most.to_string()]).args([library, place.path()]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().expect("this program runs");
    assert!(output.status.success(), "{way}: {}", output.status);
    let steps: Vec<Step> = serde_json::from_slice(&output.stdout).expect("it writes steps");
    assert_eq!(steps.len(), most + 1, "{way}");
    steps
}

/// Does what this process was started for, if that was a round: `--grow WAY COUNT LIBRARY DIRECTORY`.
///
/// # Panics
///
/// If something does not serve.
#[must_use]
pub fn child() -> Option<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [grow, way, most, library, place] = &arguments[..] else { return None };
    let (_, way) = WAYS.into_iter().find(|(name, _)| name == way && grow == "--grow")?;
    let steps = way(Path::new(library), most.parse().ok()?, Path::new(place));
    println!("{}", serde_json::to_string(&steps).expect("steps are JSON"));
    Some(ExitCode::SUCCESS)
}

fn alone(library: &Path, most: usize, place: &Path) -> Vec<Step> {
    let step = |ns| Step { ns, memory: Memory::now(place) };
    let mut steps = Vec::with_capacity(most + 1);
    steps.push(step(0.0));
    for _ in 0..most {
        let ns = alone::map(library, place);
        steps.push(step(ns));
    }
    steps
}

/// From the look at `plugins.toml`, which has one entry more, to the event that it serves.
fn loaded(library: &Path, most: usize, place: &Path) -> Vec<Step> {
    let (config, runtime) = (place.join("plugins.toml"), hosts::waiting());
    write(&config, 0);
    let builder = PluginHost::builder().identity("bench", "1").watch(false).state_dir(StateDirChoice::Off);
    let builder = builder.image_dir(ImageDirChoice::Explicit(place.to_owned())).plugin_file(library);
    let host = runtime.block_on(builder.config_file(&config).build()).expect("a host");
    let mut events = host.events();
    let step = |ns| Step { ns, memory: Memory::now(place) };
    let mut steps = Vec::with_capacity(most + 1);
    steps.push(step(0.0));
    for number in 1..=most {
        write(&config, number);
        let begun = Instant::now();
        host.rescan();
        loop {
            match runtime.block_on(events.recv()).expect("the host tells") {
                HostEvent::Serving { plugin, .. } if plugin == name(number) => break,
                HostEvent::Refused { message, .. } | HostEvent::ConfigRefused { message } => panic!("{message}"),
                _ => {}
            }
        }
        steps.push(step(begun.elapsed().as_nanos() as f64));
    }
    let report = runtime.block_on(host.shutdown());
    assert!(report.is_clean() && report.plugins.len() == most, "{report:?}");
    steps
}

fn name(number: usize) -> String {
    format!("plugin{number}")
}

/// A `plugins.toml` with so many instances. The first entry, which is off, is there so that the file does not serve under its id.
fn write(config: &Path, plugins: usize) {
    let entry = |number: usize| {
        let name = name(number);
        let (id, on) = (measured::ID, number > 0);
        format!("[plugins.{name}]\nlibrary = \"{id}\"\ninstance = \"tests.measured._.{name}.v1\"\nenabled = {on}\n")
    };
    std::fs::write(config, (0..=plugins).map(entry).collect::<String>()).expect("a file");
}
