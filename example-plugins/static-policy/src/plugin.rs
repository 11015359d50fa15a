//! [`StaticPolicy`]: the plugin.

use mini_chat_plugin_sdk::prelude::*;

use crate::config::Config;
use crate::policy::{Policy, Version};
use crate::usage::{Counter, Usage};

/// The plugin: answers from memory, never waits.
#[derive(Debug)]
pub struct StaticPolicy {
    context: PluginContext,
    policy: Policy,
    usage: Counter,
}

impl StaticPolicy {
    /// The constructor.
    ///
    /// # Errors
    ///
    /// Permanent, with the key path, if the configuration contradicts itself.
    pub async fn create(context: PluginContext, config: Config) -> Result<Self, PluginError> {
        let policy = Policy::new(config, OffsetDateTime::now_utc())?;
        let newest = policy.version(policy.current).into_iter();
        if !newest.flat_map(|version| version.catalog.iter()).any(|model| model.enabled) {
            context.log(
                LogLevel::Warn,
                "no model of the current version is enabled: `enabled` of a model is false unless given",
            );
        }
        let models = policy.versions().flat_map(|version| version.catalog.iter()).map(|model| model.model_id.as_str());
        let usage = Counter::new(models);
        Ok(Self { context, policy, usage })
    }

    /// What was counted since the plugin was created.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage.read()
    }

    /// The shutdown hook: logs what was counted, one record in all and one per model that was used.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn shutdown(&self) -> Result<(), PluginError> {
        let usage = self.usage();
        self.context.log(LogLevel::Info, &format!("usage: {}", usage.total));
        let models = usage.by_model.iter().map(|(model, totals)| (format!("model `{model}`"), totals));
        for (name, totals) in models.chain([("models of no catalogue".to_owned(), &usage.unlisted)]) {
            if totals.events > 0 {
                self.context.log(LogLevel::Info, &format!("usage of {name}: {totals}"));
            }
        }
        Ok(())
    }

    fn version(&self, number: u64) -> Result<&Version, MiniChatModelPolicyPluginError> {
        self.policy.version(number).ok_or(MiniChatModelPolicyPluginError::NotFound)
    }
}

#[async_trait]
impl MiniChatModelPolicyPluginClientV1 for StaticPolicy {
    async fn get_current_policy_version(
        &self,
        user_id: Uuid,
        _cancel: CancellationToken,
    ) -> Result<PolicyVersionInfo, MiniChatModelPolicyPluginError> {
        let Policy { current, generated_at, .. } = self.policy;
        Ok(PolicyVersionInfo { user_id, policy_version: current, generated_at })
    }

    async fn get_policy_snapshot(
        &self,
        user_id: Uuid,
        policy_version: u64,
        _cancel: CancellationToken,
    ) -> Result<PolicySnapshot, MiniChatModelPolicyPluginError> {
        let version = self.version(policy_version)?;
        let (model_catalog, kill_switches) = (version.catalog.to_vec(), version.kill_switches.clone());
        Ok(PolicySnapshot { user_id, policy_version, model_catalog, kill_switches })
    }

    async fn get_user_limits(
        &self,
        user_id: Uuid,
        policy_version: u64,
        _cancel: CancellationToken,
    ) -> Result<UserLimits, MiniChatModelPolicyPluginError> {
        let (standard, premium) = self.version(policy_version)?.limits(user_id);
        Ok(UserLimits { user_id, policy_version, standard, premium })
    }

    async fn check_user_license(
        &self,
        user_id: Uuid,
        _cancel: CancellationToken,
    ) -> Result<UserLicenseStatus, MiniChatModelPolicyPluginError> {
        Ok(UserLicenseStatus { active: self.policy.is_licensed(user_id) })
    }

    async fn publish_usage(&self, payload: UsageEvent, _cancel: CancellationToken) -> Result<(), PublishError> {
        self.usage.add(&payload);
        Ok(())
    }
}
