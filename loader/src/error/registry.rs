//! [`RegistryError`]: what is looked for in the registry is not there, or is no identifier.

/// Why the registry has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No model-policy plugin of the vendor serves.
    #[error("no model-policy plugin of vendor {vendor:?} serves; {}", list(candidates))]
    NoPolicy {
        /// The vendor looked for.
        vendor: String,
        /// The model-policy plugins that serve: identifier and vendor.
        candidates: Vec<(String, String)>,
    },
    /// A pattern that is none.
    #[error("{pattern:?}: expected a GTS identifier, or one that ends in `*`: {why}")]
    Pattern {
        /// The text.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// A type identifier that is none.
    #[error("{id:?}: expected a GTS type identifier, which ends in `~`: {why}")]
    Type {
        /// The text.
        id: String,
        /// What is wrong with it.
        why: String,
    },
}

fn list(candidates: &[(String, String)]) -> String {
    if candidates.is_empty() {
        return "none serves at all".to_owned();
    }
    let all = candidates.iter().map(|(id, vendor)| format!("{id} (vendor {vendor:?})")).collect::<Vec<_>>();
    format!("there are {}", all.join(", "))
}
