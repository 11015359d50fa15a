//! What the tests of this workspace share: fixtures and strategies.
//!
//! | folder | what is in it |
//! | --- | --- |
//! | `fixtures` | data, one folder per source |
//! | `fixtures/plugins` | plugins that do as they are told |
//! | `strategies` | generated values, a crate that fixture plugins use too |
//! | `src` | helpers (this library) |
//! | `suite` | the tests, one program per file, named by what they show |

use std::path::{Path, PathBuf};

pub mod author_crate;
pub mod by_hand;
pub mod child;
pub mod exclusivity;
pub mod fetch;
pub mod log;
pub mod nightly;
pub mod plugins;
pub mod probing;
pub mod program;
pub mod recorded;
pub mod serving;
pub mod site;
pub mod stamped;

pub use mini_chat_plugin_strategies as strategies;
pub use mini_chat_plugin_strategies::for_each_domain_type;

/// The path of a file or folder below `tests/fixtures`.
#[must_use]
pub fn fixtures(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The text of a file below `tests/fixtures`.
///
/// # Panics
///
/// If it cannot be read.
#[must_use]
pub fn read_fixture(name: &str) -> String {
    std::fs::read_to_string(fixtures(name)).unwrap_or_else(|error| panic!("fixture {name}: {error}"))
}
