//! `mini-chat-plugins`: host plugins, look at them, call them. Everything is done by the library; this is its command
//! line.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `cli.rs` | the command line |
//! | `exit.rs`, `failure.rs` | exit codes, and what goes to stderr with them |
//! | `run.rs`, `events.rs`, `signals.rs`, `logs.rs` | `run` |
//! | `probes.rs`, `probes/` | health, readiness, metrics; systemd |
//! | `list.rs`, `survey.rs` | `list`; which file of a directory would serve |
//! | `inspect.rs` | `inspect` |
//! | `call.rs`, `call/` | `call` |
//! | `check.rs` | `check` |
//! | `install.rs`, `install/` | `install` |
//! | `status.rs` | `status` |
//! | `control.rs`, `events.rs` | the other commands that ask a running host |
//! | `output.rs`, `table.rs` | stdout |

mod call;
mod check;
mod cli;
mod control;
mod events;
mod exit;
mod failure;
mod inspect;
mod install;
mod list;
mod logs;
mod output;
mod probes;
mod run;
mod signals;
mod status;
mod survey;
mod table;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use exit::Exit;
use output::Output;

fn main() -> ExitCode {
    // In a process that is to try a plugin this does not return.
    mini_chat_plugin_loader::preflight_child();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to stdout and is no error; a stdout that is closed is nobody's concern here.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let output = Output::new(cli.color);
    let done = match cli.command {
        Command::Run(args) => run::run(&args, &output),
        Command::List(args) => list::run(&args, &output),
        Command::Inspect(args) => inspect::run(&args, &output),
        Command::Call(args) => call::run(*args, &output),
        Command::Check(args) => check::run(&args, &output),
        Command::Install(args) => install::run(&args, &output),
        Command::Status(args) => status::run(&args, &output),
        Command::Swap(args) => control::swap(&args, &output),
        Command::Reload(args) => control::reload(args, &output),
        Command::Rollback(args) => control::rollback(args, &output),
        Command::Unpin(args) => control::unpin(args, &output),
        Command::Unquarantine(args) => control::unquarantine(args, &output),
        Command::Events(args) => events::follow(&args, &output),
    };
    match done {
        Ok(exit) => exit,
        Err(failure) => {
            output.error(&failure);
            failure.exit()
        }
    }
    .into()
}
