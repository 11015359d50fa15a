//! [`Registry`]: the plugins that serve, under the identifiers of the Global Type System (GTS) by which a host knows them.
//!
//! A plugin states only its own last segment. The host puts a type identifier before it, which it can set ([`GtsTypes`]): those
//! of mini-chat were renamed three times in eight months. An instance that serves both traits has two entries.
//!
//! The registry always shows what serves now: it follows starts, swaps and ends. An entry whose identifier cannot be made is a
//! [`Problem`] and stands in nobody's way.

mod policy;
mod types;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use gts_id::{GtsId, GtsIdPattern};
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use serde::Serialize;

pub use crate::error::RegistryError;
pub use policy::SelectedPolicy;
pub use types::GtsTypes;
pub(crate) use types::check_type;

use crate::handle::Handle;
use crate::method::Kind;
use crate::status::{HostSnapshot, PluginSnapshot};

/// A plugin that serves one trait.
#[derive(Clone)]
#[non_exhaustive]
pub struct Entry {
    /// Its whole instance identifier: the type's, and the plugin's own segment.
    pub id: GtsId,
    /// The trait.
    pub kind: Kind,
    /// The name of its slot.
    pub plugin: String,
    /// Its vendor, as configured or as the plugin says.
    pub vendor: String,
    /// Its priority, likewise; the lowest is preferred.
    pub priority: i16,
    /// The generation that serves.
    pub generation: u64,
    client: Client,
}

#[derive(Clone)]
enum Client {
    ModelPolicy(Arc<dyn MiniChatModelPolicyPluginClientV1>),
    Audit(Arc<dyn MiniChatAuditPluginClientV1>),
}

impl Entry {
    /// Its handle, if it is a model-policy plugin. The handle stays valid whatever happens to the plugin.
    #[must_use]
    pub fn model_policy(&self) -> Option<Arc<dyn MiniChatModelPolicyPluginClientV1>> {
        match &self.client {
            Client::ModelPolicy(client) => Some(Arc::clone(client)),
            Client::Audit(_) => None,
        }
    }

    /// Its handle, if it is an audit plugin; likewise.
    #[must_use]
    pub fn audit(&self) -> Option<Arc<dyn MiniChatAuditPluginClientV1>> {
        match &self.client {
            Client::ModelPolicy(_) => None,
            Client::Audit(client) => Some(Arc::clone(client)),
        }
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, kind, plugin, vendor, priority, generation, client: _ } = self;
        f.debug_struct("Entry")
            .field("id", &id.id())
            .field("kind", kind)
            .field("plugin", plugin)
            .field("vendor", vendor)
            .field("priority", priority)
            .field("generation", generation)
            .finish()
    }
}

/// A plugin that serves, and is not in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The name of its slot.
    pub plugin: String,
    /// The identifier that it would have.
    pub id: String,
    /// Why it has none.
    pub message: String,
}

/// What is looked for; what is not said matches everything.
#[derive(Debug, Clone, Default)]
pub struct Query {
    pattern: Option<GtsIdPattern>,
    vendor: Option<String>,
    kind: Option<Kind>,
}

impl Query {
    /// Everything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those whose identifier matches, such as `gts.x.core.modkit.plugin.v1~*`.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Pattern`].
    pub fn pattern(mut self, pattern: &str) -> Result<Self, RegistryError> {
        let parsed = GtsIdPattern::try_new(pattern);
        self.pattern = Some(
            parsed.map_err(|source| RegistryError::Pattern { pattern: pattern.to_owned(), why: source.to_string() })?,
        );
        Ok(self)
    }

    /// Those of this vendor, exactly.
    #[must_use]
    pub fn vendor(mut self, vendor: impl Into<String>) -> Self {
        self.vendor = Some(vendor.into());
        self
    }

    /// Those that serve this trait.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    fn matches(&self, entry: &Entry) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| entry.id.matches_pattern(pattern))
            && self.vendor.as_ref().is_none_or(|vendor| *vendor == entry.vendor)
            && self.kind.is_none_or(|kind| kind == entry.kind)
    }
}

/// The plugins that serve, by identifier. Cheap to clone; does not keep the host alive.
#[derive(Clone)]
pub struct Registry {
    handle: Handle,
    types: GtsTypes,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.entries()).finish()
    }
}

impl Registry {
    pub(crate) fn new(handle: Handle, types: GtsTypes) -> Self {
        Self { handle, types }
    }

    /// Everything that serves, ordered by identifier.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.read().0
    }

    /// What serves and is not among the entries.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.read().1
    }

    /// What matches, ordered by identifier.
    #[must_use]
    pub fn find(&self, query: &Query) -> Vec<Entry> {
        let mut entries = self.entries();
        entries.retain(|entry| query.matches(entry));
        entries
    }

    /// The model-policy plugin of a vendor: of several, the one with the lowest priority; of these, the first by identifier.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NoPolicy`] with the candidates that there are.
    pub fn select_policy(&self, vendor: &str) -> Result<Entry, RegistryError> {
        select_policy(self.entries(), vendor)
    }

    /// A handle of the model-policy plugin of a vendor, whichever that is at the time of a call: see
    /// [`select_policy`](Self::select_policy). Always a handle: while there is none, its policy methods answer `Internal` and
    /// `publish_usage` `Transient`, with the candidates that there are.
    #[must_use]
    pub fn model_policy(&self, vendor: impl Into<String>) -> Arc<SelectedPolicy> {
        Arc::new(SelectedPolicy::new(self.clone(), vendor.into()))
    }

    fn read(&self) -> (Vec<Entry>, Vec<Problem>) {
        read(&self.handle.watch().borrow(), &self.types)
    }
}

fn select_policy(entries: Vec<Entry>, vendor: &str) -> Result<Entry, RegistryError> {
    let mut candidates = Vec::new();
    let mut best: Option<Entry> = None;
    for entry in entries.into_iter().filter(|entry| entry.kind == Kind::ModelPolicy) {
        candidates.push((entry.id.id().to_owned(), entry.vendor.clone()));
        // Ties go to the first: entries are ordered by identifier.
        if entry.vendor == vendor && best.as_ref().is_none_or(|best| entry.priority < best.priority) {
            best = Some(entry);
        }
    }
    best.ok_or_else(|| RegistryError::NoPolicy { vendor: vendor.to_owned(), candidates })
}

fn read(snapshot: &HostSnapshot, types: &GtsTypes) -> (Vec<Entry>, Vec<Problem>) {
    let (mut entries, mut problems, mut taken) = (Vec::<Entry>::new(), Vec::new(), BTreeSet::new());
    for plugin in &snapshot.plugins {
        for kind in Kind::ALL {
            let Some(client) = client(plugin, kind) else { continue };
            let id = format!("{}{}", types.of(kind), plugin.instance.as_deref().unwrap_or_default());
            let made = match GtsId::try_new(&id) {
                Err(error) => Err(error.to_string()),
                Ok(_) if !taken.insert(id.clone()) => {
                    Err("another plugin has this identifier: set `instance`".to_owned())
                }
                // Without a segment of its own, that is the type, and not an instance.
                Ok(parsed) if parsed.is_type() => Err("this is the identifier of a type".to_owned()),
                Ok(parsed) => Ok(parsed),
            };
            match made {
                Ok(id) => entries.push(Entry {
                    id,
                    kind,
                    plugin: plugin.name.clone(),
                    vendor: plugin.vendor.clone().unwrap_or_default(),
                    priority: plugin.priority.unwrap_or_default(),
                    generation: plugin.generation.unwrap_or_default(),
                    client,
                }),
                Err(message) => problems.push(Problem { plugin: plugin.name.clone(), id, message }),
            }
        }
    }
    entries.sort_by(|one, other| one.id.id().cmp(other.id.id()));
    (entries, problems)
}

/// The handle of what serves this trait; none if nothing does.
fn client(plugin: &PluginSnapshot, kind: Kind) -> Option<Client> {
    match kind {
        Kind::ModelPolicy => plugin.model_policy.clone().map(Client::ModelPolicy),
        Kind::Audit => plugin.audit.clone().map(Client::Audit),
    }
}

#[cfg(test)]
mod tests;
