//! `layout check|write|show`, at the top of a checkout: see `scripts/layout`.

use std::path::Path;
use std::process::ExitCode;

use layout::{Golden, State, current};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (golden, found) = (Golden::of_checkout(Path::new(".")), current());
    let done = match &*arguments {
        ["check"] => golden.check(&found).map(|()| {
            let what = if State::of(found.minor()) == State::Draft { "only appends" } else { "is as committed" };
            format!("the layout of ABI {} {what}", found.minor())
        }),
        ["write"] => golden.write(&found, false),
        ["write", "--candidate"] => golden.write(&found, true),
        ["show"] => Ok(found.to_string()),
        _ => {
            eprintln!("usage: layout check | write [--candidate] | show");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(refused) => {
            eprintln!("{refused}");
            ExitCode::FAILURE
        }
    }
}
