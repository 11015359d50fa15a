//! Which plugins there are to deliver to: follows loads, swaps and retirements of a host.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use tokio::sync::watch;

use super::ledger::Tally;
use super::member::{Member, State};
use crate::config::AuditDelivery;
use crate::status::{HostSnapshot, PluginSnapshot};

/// Gives the handle of a plugin by its name.
pub(super) type Handles = Box<dyn Fn(&str) -> Arc<dyn MiniChatAuditPluginClientV1> + Send>;

/// The plugins at one moment, by name.
pub(super) type Members = Arc<[Arc<Member>]>;

/// The plugins of a host that serve audit, or are to.
pub(super) struct Roster(Mutex<Following>);

struct Following {
    snapshots: watch::Receiver<HostSnapshot>,
    handles: Handles,
    /// Settings that win over those of `plugins.toml`.
    settings: BTreeMap<String, AuditDelivery>,
    /// Plugins that have served audit: they are delivered to also while they do not serve.
    known: BTreeSet<String>,
    members: Members,
    tally: Arc<Tally>,
}

impl Roster {
    pub(super) fn new(
        mut snapshots: watch::Receiver<HostSnapshot>,
        handles: Handles,
        settings: BTreeMap<String, AuditDelivery>,
        tally: Arc<Tally>,
    ) -> Self {
        snapshots.mark_changed();
        let members = Members::default();
        Self(Mutex::new(Following { snapshots, handles, settings, known: BTreeSet::new(), members, tally }))
    }

    /// The plugins now.
    pub(super) fn now(&self) -> Members {
        let mut following = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // An error says that the host has ended: its last word stands, and its handles say why they do not serve.
        if following.snapshots.has_changed().unwrap_or(false) {
            following.update();
        }
        Arc::clone(&following.members)
    }
}

impl Following {
    fn update(&mut self) {
        let snapshot = self.snapshots.borrow_and_update().clone();
        let serving = snapshot.plugins.iter().filter(|plugin| plugin.audit.is_some());
        self.known.extend(serving.map(|plugin| plugin.name.clone()));
        let wanted: BTreeSet<_> =
            snapshot.plugins.iter().filter(|plugin| plugin.wanted).map(|plugin| plugin.name.as_str()).collect();
        // One that is wanted again later need not serve audit then.
        self.known.retain(|name| wanted.contains(name.as_str()));
        let mut members: Vec<_> = snapshot.plugins.iter().filter_map(|plugin| self.member(plugin)).collect();
        members.sort_by(|one, other| one.name.cmp(&other.name));
        self.members = members.into();
    }

    fn member(&self, plugin: &PluginSnapshot) -> Option<Arc<Member>> {
        let own = self.settings.get(&plugin.name).or(plugin.delivery.as_ref());
        let is_member = plugin.wanted && (own.is_some() || self.known.contains(&plugin.name));
        // What serves, but not audit, was named by mistake: its handle would refuse every event for ever.
        let serves_other = plugin.audit.is_none() && plugin.model_policy.is_some();
        if !is_member || serves_other {
            return None;
        }
        let settings = own.cloned().unwrap_or_default();
        let required = settings.is_required(plugin.required);
        let before = self.members.iter().find(|member| *member.name == *plugin.name);
        let generation = plugin.generation.or(before.and_then(|before| before.generation));
        if let Some(before) = before
            && (before.generation, before.required, &before.settings) == (generation, required, &settings)
        {
            return Some(Arc::clone(before));
        }
        let state = before
            .map_or_else(|| Arc::new(State::new(self.tally.of(&plugin.name))), |before| Arc::clone(&before.state));
        if before.is_some_and(|before| before.generation != generation) {
            state.reset();
        }
        let client = match (&plugin.audit, before) {
            (Some(client), _) => Arc::clone(client),
            (None, Some(before)) => Arc::clone(&before.client),
            (None, None) => (self.handles)(&plugin.name),
        };
        Some(Arc::new(Member { name: plugin.name.as_str().into(), client, required, settings, generation, state }))
    }
}
