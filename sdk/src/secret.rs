//! [`Secret`]: a configuration value that does not end up in a log.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A configuration value whose `Debug` shows nothing. It cannot be serialised.
///
/// In `plugins.toml` a secret is best given as `{ file = "…" }`, `{ env = "…" }` or `{ credential = "…" }`.
///
/// ```
/// # use mini_chat_plugin_sdk::Secret;
/// let key: Secret<String> = serde_json::from_str("\"hunter2\"").unwrap();
/// assert_eq!(format!("{key:?}"), "Secret(…)");
/// assert_eq!(key.expose(), "hunter2");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self)
    }
}
