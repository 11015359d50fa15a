//! [`SelectedPolicy`]: the model-policy plugin of a vendor, whichever that is.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use mini_chat_plugin_sdk::error::{MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::models::{PolicySnapshot, PolicyVersionInfo, UsageEvent, UserLicenseStatus, UserLimits};
use mini_chat_plugin_sdk::plugin_api::MiniChatModelPolicyPluginClientV1;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Registry;
use crate::error::RegistryError;

type Policy = Arc<dyn MiniChatModelPolicyPluginClientV1>;

/// A handle that goes to whichever plugin is selected when a call begins. A call looks at one counter; only when what serves
/// has changed is the registry asked anew.
pub struct SelectedPolicy {
    registry: Registry,
    vendor: String,
    choice: ArcSwap<Choice>,
}

/// What was selected when the host's snapshot had this number.
struct Choice {
    version: u64,
    policy: Result<Policy, RegistryError>,
}

impl SelectedPolicy {
    pub(super) fn new(registry: Registry, vendor: String) -> Self {
        let choice = ArcSwap::from_pointee(choose(&registry, &vendor));
        Self { registry, vendor, choice }
    }

    fn policy(&self) -> Result<Policy, RegistryError> {
        let choice = self.choice.load();
        if choice.version == self.registry.handle.version() {
            return choice.policy.clone();
        }
        let choice = Arc::new(choose(&self.registry, &self.vendor));
        let policy = choice.policy.clone();
        // Whoever stores an older one last only makes the next call look again.
        self.choice.store(choice);
        policy
    }
}

fn choose(registry: &Registry, vendor: &str) -> Choice {
    // Before looking: what is seen is at least as new.
    let version = registry.handle.version();
    Choice { version, policy: registry.select_policy(vendor).map(|entry| entry.model_policy()).map(Option::unwrap) }
}

fn internal(error: RegistryError) -> MiniChatModelPolicyPluginError {
    MiniChatModelPolicyPluginError::Internal(error.to_string())
}

#[async_trait]
impl MiniChatModelPolicyPluginClientV1 for SelectedPolicy {
    async fn get_current_policy_version(
        &self,
        user_id: Uuid,
        cancel: CancellationToken,
    ) -> Result<PolicyVersionInfo, MiniChatModelPolicyPluginError> {
        self.policy().map_err(internal)?.get_current_policy_version(user_id, cancel).await
    }

    async fn get_policy_snapshot(
        &self,
        user_id: Uuid,
        policy_version: u64,
        cancel: CancellationToken,
    ) -> Result<PolicySnapshot, MiniChatModelPolicyPluginError> {
        self.policy().map_err(internal)?.get_policy_snapshot(user_id, policy_version, cancel).await
    }

    async fn get_user_limits(
        &self,
        user_id: Uuid,
        policy_version: u64,
        cancel: CancellationToken,
    ) -> Result<UserLimits, MiniChatModelPolicyPluginError> {
        self.policy().map_err(internal)?.get_user_limits(user_id, policy_version, cancel).await
    }

    async fn check_user_license(
        &self,
        user_id: Uuid,
        cancel: CancellationToken,
    ) -> Result<UserLicenseStatus, MiniChatModelPolicyPluginError> {
        self.policy().map_err(internal)?.check_user_license(user_id, cancel).await
    }

    async fn publish_usage(&self, payload: UsageEvent, cancel: CancellationToken) -> Result<(), PublishError> {
        let policy = self.policy().map_err(|error| PublishError::Transient(error.to_string()))?;
        policy.publish_usage(payload, cancel).await
    }
}
