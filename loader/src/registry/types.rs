//! [`GtsTypes`]: the types that a host knows plugins by.

use gts_id::GtsId;

use crate::error::RegistryError;
use crate::method::Kind;

/// Type identifiers, to which the segment of an instance is added. The default ones are mini-chat's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GtsTypes {
    model_policy: String,
    audit: String,
}

impl Default for GtsTypes {
    fn default() -> Self {
        Self {
            model_policy: "gts.x.core.modkit.plugin.v1~x.core.mini_chat_model_policy.plugin.v1~".to_owned(),
            audit: "gts.x.core.modkit.plugin.v1~x.core.mini_chat_audit.plugin.v1~".to_owned(),
        }
    }
}

impl GtsTypes {
    /// Those of model-policy plugins and of audit plugins; each ends in `~`.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Type`]: one that is no type identifier.
    pub fn new(model_policy: impl Into<String>, audit: impl Into<String>) -> Result<Self, RegistryError> {
        let types = Self { model_policy: model_policy.into(), audit: audit.into() };
        for id in [&types.model_policy, &types.audit] {
            check_type(id).map_err(|why| RegistryError::Type { id: id.clone(), why })?;
        }
        Ok(types)
    }

    /// The type of plugins that serve this trait.
    #[must_use]
    pub fn of(&self, kind: Kind) -> &str {
        match kind {
            Kind::ModelPolicy => &self.model_policy,
            Kind::Audit => &self.audit,
        }
    }

    pub(crate) fn set(&mut self, kind: Kind, id: String) {
        match kind {
            Kind::ModelPolicy => self.model_policy = id,
            Kind::Audit => self.audit = id,
        }
    }
}

/// Whether this is the identifier of a type; why not, if it is not.
pub(crate) fn check_type(id: &str) -> Result<(), String> {
    match GtsId::try_new(id) {
        Ok(parsed) if parsed.is_type() => Ok(()),
        Ok(_) => Err("it is an instance: a type ends in `~`".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
