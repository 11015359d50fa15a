//! [`Policy`]: the configuration, checked and resolved, so that answering is looking up.
//!
//! Made once by the constructor. Every error names the key path inside `plugins.NAME.config`; numbers of versions, ids of
//! models and users are no secrets and are quoted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use mini_chat_plugin_sdk::PluginError;
use mini_chat_plugin_sdk::models::{KillSwitches, ModelCatalogEntry, TierLimits};
use mini_chat_plugin_sdk::time::OffsetDateTime;
use mini_chat_plugin_sdk::time::format_description::well_known::Rfc3339;
use mini_chat_plugin_sdk::uuid::Uuid;

use crate::config::{Config, Licences, Limits};

/// What the plugin answers from.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) current: u64,
    pub(crate) generated_at: OffsetDateTime,
    versions: BTreeMap<u64, Version>,
    licences: Licensed,
}

/// One version. Versions that inherit share what they inherit.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) catalog: Arc<[ModelCatalogEntry]>,
    pub(crate) kill_switches: KillSwitches,
    limits: Arc<ResolvedLimits>,
}

#[derive(Debug)]
struct ResolvedLimits {
    default: (TierLimits, TierLimits),
    users: HashMap<Uuid, (TierLimits, TierLimits)>,
}

#[derive(Debug)]
enum Licensed {
    Everybody,
    These(HashSet<Uuid>),
}

impl Policy {
    /// Checks a configuration. `now` stands in for a missing `generated_at`.
    pub(crate) fn new(config: Config, now: OffsetDateTime) -> Result<Self, PluginError> {
        let Config { policy_version: current, generated_at, models, kill_switches, limits, earlier, licences } = config;
        // Usage events carry the version as a signed number.
        if i64::try_from(current).is_err() {
            return Err(refuse("policy_version", &format!("at most {}", i64::MAX), &current.to_string()));
        }
        let generated_at = match generated_at {
            None => now,
            Some(text) => OffsetDateTime::parse(&text, &Rfc3339).map_err(|_| {
                refuse("generated_at", "a date and time of RFC 3339, such as 2026-03-01T12:00:00Z", "another text")
            })?,
        };
        let newest = Version {
            catalog: catalog("models", models)?,
            kill_switches: kill_switches.into(),
            limits: Arc::new(resolve("limits", limits)?),
        };

        let mut versions = BTreeMap::from([(current, newest.clone())]);
        for (index, version) in earlier.into_iter().enumerate() {
            let key = |name: &str| format!("earlier[{index}].{name}");
            let number = version.policy_version;
            if number >= current {
                let expected = format!("a version before the current one, which is {current}");
                return Err(refuse(&key("policy_version"), &expected, &number.to_string()));
            }
            let mut resolved = newest.clone();
            if let Some(models) = version.models {
                resolved.catalog = catalog(&key("models"), models)?;
            }
            if let Some(switches) = version.kill_switches {
                resolved.kill_switches = switches.into();
            }
            if let Some(limits) = version.limits {
                resolved.limits = Arc::new(resolve(&key("limits"), limits)?);
            }
            if versions.insert(number, resolved).is_some() {
                return Err(refuse(&key("policy_version"), "each version once", &format!("{number} a second time")));
            }
        }
        Ok(Self { current, generated_at, versions, licences: licensed(licences)? })
    }

    /// A version that is still answered.
    pub(crate) fn version(&self, number: u64) -> Option<&Version> {
        self.versions.get(&number)
    }

    /// Every version, oldest first.
    pub(crate) fn versions(&self) -> impl Iterator<Item = &Version> {
        self.versions.values()
    }

    pub(crate) fn is_licensed(&self, user: Uuid) -> bool {
        match &self.licences {
            Licensed::Everybody => true,
            Licensed::These(users) => users.contains(&user),
        }
    }
}

impl Version {
    /// Standard and premium limits of a user.
    pub(crate) fn limits(&self, user: Uuid) -> (TierLimits, TierLimits) {
        self.limits.users.get(&user).unwrap_or(&self.limits.default).clone()
    }
}

fn refuse(key: &str, expected: &str, found: &str) -> PluginError {
    PluginError::permanent(format!("{key}: expected {expected}, found {found}"))
}

fn catalog(key: &str, models: Vec<ModelCatalogEntry>) -> Result<Arc<[ModelCatalogEntry]>, PluginError> {
    let mut seen = HashSet::new();
    for (index, model) in models.iter().enumerate() {
        let id = model.model_id.as_str();
        let key = || format!("{key}[{index}].model_id");
        if id.is_empty() {
            return Err(refuse(&key(), "a name", "an empty text"));
        }
        if !seen.insert(id) {
            return Err(refuse(&key(), "each model once", &format!("`{id}` a second time")));
        }
    }
    Ok(models.into())
}

fn resolve(key: &str, limits: Limits) -> Result<ResolvedLimits, PluginError> {
    let Limits { standard, premium, users: overrides } = limits;
    not_negative(&format!("{key}.standard"), &standard)?;
    not_negative(&format!("{key}.premium"), &premium)?;
    let mut users = HashMap::new();
    for (index, user) in overrides.into_iter().enumerate() {
        let key = format!("{key}.users[{index}]");
        if user.standard.is_none() && user.premium.is_none() {
            return Err(refuse(&key, "`standard`, `premium` or both", "neither"));
        }
        let own = (user.standard.unwrap_or(standard.clone()), user.premium.unwrap_or(premium.clone()));
        not_negative(&format!("{key}.standard"), &own.0)?;
        not_negative(&format!("{key}.premium"), &own.1)?;
        if users.insert(user.user_id, own).is_some() {
            return Err(refuse(
                &format!("{key}.user_id"),
                "each user once",
                &format!("{} a second time", user.user_id),
            ));
        }
    }
    Ok(ResolvedLimits { default: (standard, premium), users })
}

fn not_negative(key: &str, tier: &TierLimits) -> Result<(), PluginError> {
    for (name, credits) in [
        ("limit_daily_credits_micro", tier.limit_daily_credits_micro),
        ("limit_monthly_credits_micro", tier.limit_monthly_credits_micro),
    ] {
        if credits < 0 {
            return Err(refuse(&format!("{key}.{name}"), "zero or more", "a negative number"));
        }
    }
    Ok(())
}

fn licensed(licences: Licences) -> Result<Licensed, PluginError> {
    let Licences { all_users, users } = licences;
    if all_users {
        // A list beside it would do nothing, which its author surely did not mean.
        if !users.is_empty() {
            return Err(refuse("licences.users", "no list beside `all_users = true`", "one"));
        }
        return Ok(Licensed::Everybody);
    }
    let mut set = HashSet::with_capacity(users.len());
    for (index, user) in users.into_iter().enumerate() {
        if !set.insert(user) {
            let key = format!("licences.users[{index}]");
            return Err(refuse(&key, "each user once", &format!("{user} a second time")));
        }
    }
    Ok(Licensed::These(set))
}
