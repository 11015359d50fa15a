//! Reading `plugins.NAME.config` into the author's type, with errors that name key and types but never a value.
//!
//! serde's own error texts quote values, and a wrongly typed secret would end up in the log; so the deserialiser here
//! ([`de`]) has an error type of its own, [`ConfigFault`], that keeps types only.

mod de;
mod fault;
#[cfg(test)]
mod tests;

pub(crate) use fault::ConfigFault;
use serde::de::DeserializeOwned;

/// For plugins without configuration: refuses every key.
///
/// ```toml
/// [plugins.NAME.config]   # may be left out
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Reads a configuration from its JSON text.
pub(crate) fn read<T: DeserializeOwned>(json: &str) -> Result<T, ConfigFault> {
    T::deserialize(de::ValueDeserializer::new(&parse(json)?))
}

/// Apart from [`read`], so that the parser is compiled here and not once more in each plugin's crate.
#[inline(never)]
fn parse(json: &str) -> Result<serde_json::Value, ConfigFault> {
    serde_json::from_str(json).map_err(|_| ConfigFault::broken("the host's configuration text is not JSON"))
}
