//! The program of `./scripts/skew`, built by each compiler that a host may come from.
//!
//! `skew call HOST PLUGIN PROFILE DEPENDENCIES FILE` loads one plugin file, the fixture `echo`, calls all nine methods, compares
//! every value, and prints one line of JSON: the cell of the matrix that the four words name. `skew table FILE` prints such lines
//! as a table in Markdown. Exits with 1 if a value differs: also where `--planted` has it expect other values than the
//! plugin's, and then the script wants that. `--no-trial`: the plugin is not tried in a process of its own (valgrind starts none).

mod cell;
mod table;

use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: skew call [--planted] [--no-trial] HOST PLUGIN PROFILE DEPENDENCIES FILE | skew table FILE";

fn main() -> ExitCode {
    // First: plugins are tried in a process of their own, as in any host.
    mini_chat_plugin_loader::preflight_child();

    let (flags, words): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let way =
        cell::Way { planted: flags.iter().any(|f| f == "--planted"), trial: !flags.iter().any(|f| f == "--no-trial") };
    let known = flags.iter().all(|flag| ["--planted", "--no-trial"].contains(&flag.as_str()));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["call", host, plugin, profile, dependencies, file] if known => {
            cell::report([host, plugin, profile, dependencies], Path::new(file), way)
        }
        ["table", file] if flags.is_empty() => {
            print!("{}", table::of(&std::fs::read_to_string(file).expect("the file can be read")));
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
