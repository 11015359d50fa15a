//! The log: lines on stderr.

use std::env::{self, VarError};

use tracing_subscriber::EnvFilter;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

/// Asked in this order.
const VARIABLES: [&str; 2] = ["MINI_CHAT_LOG", "RUST_LOG"];

/// Starts the log. `default` is the filter where the environment has none.
pub(crate) fn start(default: &str, output: &Output) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_env_filter(filter(default)?)
        .with_writer(std::io::stderr)
        .with_ansi(output.colors_stderr())
        .init();
    Ok(())
}

fn filter(default: &str) -> Result<EnvFilter, Failure> {
    for variable in VARIABLES {
        let text = match env::var(variable) {
            Ok(text) if text.is_empty() => continue,
            Ok(text) => text,
            Err(VarError::NotPresent) => continue,
            Err(error) => return Err(Failure::new(Exit::BadConfig, format!("environment {variable}")).because(error)),
        };
        return EnvFilter::try_new(&text).map_err(|error| {
            let what = format!("environment {variable}: expected a filter such as `info,mini_chat_plugin=debug`");
            Failure::new(Exit::BadConfig, what).because(error)
        });
    }
    Ok(EnvFilter::new(default))
}
