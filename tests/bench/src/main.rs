//! What `./scripts/bench` runs: `bench --library FILE --output FILE [--with FILE] [--short] [FILTER]`, or, for a profiler,
//! `bench --library FILE --repeat WAY CALLS CASE`, which makes the calls of one case in one way. `bench --plots DIR FILE` draws
//! what a run has written ([`bench::plots`]).
//!
//! Each part of the run ([`sections::ALL`]) is a process of its own, which writes its rows as JSON. What is measured in turns
//! with what: [`bench::contest`]. `--with FILE` adds the rows of another program to those of the parts.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bench::contest::{self, Effort, Row};
use bench::lifecycle;
use bench::plots::{self, Outcome};
use bench::sections::{self, Part};
use bench::table;
use regex::Regex;

#[derive(Default)]
struct Options {
    library: PathBuf,
    output: PathBuf,
    short: bool,
    /// Criterion's: cases whose names contain it.
    filter: Option<String>,
    /// This process is to run one part.
    part: Option<String>,
    /// For a profiler: a way, and how often.
    repeat: Option<(String, u64)>,
    /// Rows that were measured by another program.
    with: Option<PathBuf>,
    /// Not to measure, but to draw: where, and the rows of which run.
    plots: Option<(PathBuf, PathBuf)>,
}

fn options() -> Option<Options> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--short" => options.short = true,
            "--library" => options.library = arguments.next()?.into(),
            "--output" => options.output = arguments.next()?.into(),
            "--with" => options.with = Some(arguments.next()?.into()),
            "--plots" => options.plots = Some((arguments.next()?.into(), arguments.next()?.into())),
            "--part" => options.part = Some(arguments.next()?),
            "--repeat" => options.repeat = Some((arguments.next()?, arguments.next()?.parse().ok()?)),
            other if !other.starts_with('-') && options.filter.is_none() => options.filter = Some(argument),
            _ => return None,
        }
    }
    let given = options.library.is_file() && (options.output.file_name().is_some() || options.repeat.is_some());
    (given || options.plots.is_some()).then_some(options)
}

fn main() -> ExitCode {
    // A check process of the loader's is this program, too.
    mini_chat_plugin_loader::preflight_child();
    if let Some(exit) = lifecycle::child() {
        return exit;
    }
    let Some(options) = options() else {
        eprintln!(
            "usage: bench --library FILE --output FILE [--with FILE] [--short] [FILTER]\n       bench --plots DIR FILE"
        );
        return ExitCode::from(2);
    };
    if let Some((folder, rows)) = &options.plots {
        return draw(folder, rows);
    }
    if let Some((way, calls)) = &options.repeat {
        let case = options.filter.as_deref().unwrap_or_default();
        let Some(took) = sections::repeat(&options.library, case, way, *calls) else {
            eprintln!("there is no case {case}, or no way {way}");
            return ExitCode::from(2);
        };
        println!("{:.1} ns per call", took.as_nanos() as f64 / *calls as f64);
        return ExitCode::SUCCESS;
    }
    match &options.part {
        Some(part) => run_part(part, &options),
        None => run_all(&options),
    }
}

fn draw(folder: &Path, rows: &Path) -> ExitCode {
    match plots::draw(rows, folder) {
        Ok(outcomes) => {
            for outcome in outcomes {
                match outcome {
                    Outcome::Drawn(file) => println!("{}", file.display()),
                    Outcome::NoRows(picture) => println!("{picture}: not drawn: the run has no rows of it"),
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run_part(name: &str, options: &Options) -> ExitCode {
    let Some((name, part)) = sections::ALL.into_iter().find(|(known, _)| *known == name) else {
        eprintln!("there is no part {name}");
        return ExitCode::from(2);
    };
    let mut criterion = contest::criterion(&options.output, options.short);
    if let Some(filter) = &options.filter {
        criterion = criterion.with_filter(filter);
    }
    let filter = options.filter.as_deref().map(|filter| Regex::new(filter).expect("criterion has taken it"));
    let effort = Effort::of(options.short);
    let mut state = Part { name, library: &options.library, effort, criterion, filter, rows: Vec::new() };
    part(&mut state);
    contest::write(&options.output, &state.rows);
    ExitCode::SUCCESS
}

fn run_all(options: &Options) -> ExitCode {
    let program = std::env::current_exe().expect("this program has a path");
    let mut rows: Vec<Row> = Vec::new();
    for (part, _) in sections::ALL {
        let output = options.output.with_extension(format!("{}.json", part.replace(' ', "-")));
        let mut command = Command::new(&program);
        command.arg("--library").arg(&options.library).arg("--output").arg(&output).args(["--part", part]);
        command.args(options.short.then_some("--short")).args(&options.filter);
        let status = command.status().expect("this program runs");
        if !status.success() {
            eprintln!("the part {part} failed: {status}");
            return ExitCode::FAILURE;
        }
        rows.extend(contest::read(&output));
        let _ = std::fs::remove_file(output);
    }
    if rows.is_empty() {
        eprintln!(
            "no case is found with {:?}: see part, case and way in the table of a run without a filter",
            options.filter
        );
        return ExitCode::FAILURE;
    }
    rows.extend(options.with.iter().flat_map(|file| contest::read(file)));
    contest::write(&options.output, &rows);
    print!("{}", table::of(&rows));
    ExitCode::SUCCESS
}
