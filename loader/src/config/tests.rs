//! Tests of `plugins.toml`, by what they show.

mod accepted;
mod no_values;
mod plugin_words;
mod refused;
mod secrets;

use std::path::Path;

use super::PluginsConfig;
use crate::error::ConfigError;

const FILE: &str = "/etc/mini-chat/plugins.toml";

const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/plugins.example.toml"));

fn parse(text: &str) -> Result<PluginsConfig, ConfigError> {
    PluginsConfig::parse(Path::new(FILE), text)
}

fn parsed(text: &str) -> PluginsConfig {
    parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// The messages of a text that must be refused, without the file's name.
fn refused(text: &str) -> Vec<String> {
    let error = parse(text).expect_err("must be refused");
    assert!(matches!(error, ConfigError::Invalid { .. }), "{error:?}");
    let strip = |problem: &crate::error::ConfigProblem| {
        let shown = problem.to_string();
        shown.strip_prefix(FILE).and_then(|shown| shown.strip_prefix(':')).expect("file first").to_owned()
    };
    error.problems().iter().map(strip).collect()
}
