//! [`HttpPolicy`]: the plugin.

use std::sync::Arc;

use mini_chat_plugin_sdk::call;
use mini_chat_plugin_sdk::prelude::*;
use reqwest::header::HeaderValue;

use crate::answer::{self, Snapshot, Version};
use crate::cache::Snapshots;
use crate::client::Client;
use crate::config::{Config, Settings};
use crate::time_limit::TimeLimit;

/// The plugin: asks the service, and remembers snapshots.
#[derive(Debug)]
pub struct HttpPolicy {
    client: Client,
    snapshots: Snapshots,
    call_timeout: std::time::Duration,
}

impl HttpPolicy {
    /// The constructor. Asks nothing of the service.
    ///
    /// # Errors
    ///
    /// Permanent, with the key, if the configuration is wrong; retryable if `ca_file` cannot be read.
    pub async fn create(context: PluginContext, config: Config) -> Result<Self, PluginError> {
        let settings = Settings::new(config)?;
        if settings.authorization.is_some() && settings.base.scheme() == "http" {
            context.log(LogLevel::Warn, "the token is sent without encryption: `base_url` is http, not https");
        }
        let (call_timeout, snapshots) = (settings.call_timeout, Snapshots::new(settings.cached_snapshots));
        Ok(Self { client: Client::new(context, settings)?, snapshots, call_timeout })
    }

    /// The health check: `GET {base_url}/healthz`, tried like any request.
    ///
    /// # Errors
    ///
    /// Permanent if the service refuses (4xx), retryable otherwise; the code is the HTTP status, if there is one.
    pub async fn health(&self) -> Result<(), PluginError> {
        let limit = self.limit();
        // Tried again as well: a connection that was idle for long may turn out to be closed, which says nothing.
        match self.client.send(&self.client.get(&["healthz"]), limit).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.of_health()),
        }
    }

    /// Of the call that is being served on this thread.
    fn limit(&self) -> TimeLimit {
        TimeLimit::of_call(self.call_timeout)
    }
}

#[async_trait]
impl MiniChatModelPolicyPluginClientV1 for HttpPolicy {
    async fn get_current_policy_version(
        &self,
        user_id: Uuid,
        cancel: CancellationToken,
    ) -> Result<PolicyVersionInfo, MiniChatModelPolicyPluginError> {
        let limit = self.limit();
        let ask = self.client.get(&["v1", "users", &user_id.to_string(), "policy-version"]);
        let answer = limit.run(&cancel, self.client.fetch::<Version>(&ask, limit)).await;
        let Version { policy_version, generated_at } =
            answer.map_err(|failure| failure.of_policy("get the current policy version"))?;
        Ok(PolicyVersionInfo { user_id, policy_version, generated_at })
    }

    async fn get_policy_snapshot(
        &self,
        user_id: Uuid,
        policy_version: u64,
        cancel: CancellationToken,
    ) -> Result<PolicySnapshot, MiniChatModelPolicyPluginError> {
        let limit = self.limit();
        let ask = self.client.get(&["v1", "users", &user_id.to_string(), "policies", &policy_version.to_string()]);
        let (client, ask) = (&self.client, &ask);
        let fetch = move |not_before: Option<tokio::time::Instant>| async move {
            if let Some(moment) = not_before {
                tokio::time::sleep_until(moment).await;
            }
            let snapshot = client.fetch::<Snapshot>(ask, limit).await?;
            answer::expect("policy_version", &policy_version, &snapshot.policy_version)?;
            Ok(Arc::new(snapshot))
        };
        let answer = limit.run(&cancel, self.snapshots.get((user_id, policy_version), limit, fetch)).await;
        let snapshot = answer.map_err(|failure| failure.of_policy("get the policy snapshot"))?;
        let Snapshot { policy_version, model_catalog, kill_switches } = &*snapshot;
        Ok(PolicySnapshot {
            user_id,
            policy_version: *policy_version,
            model_catalog: model_catalog.clone(),
            kill_switches: kill_switches.clone(),
        })
    }

    async fn get_user_limits(
        &self,
        user_id: Uuid,
        policy_version: u64,
        cancel: CancellationToken,
    ) -> Result<UserLimits, MiniChatModelPolicyPluginError> {
        let limit = self.limit();
        let (user, version) = (user_id.to_string(), policy_version.to_string());
        let ask = self.client.get(&["v1", "users", &user, "policies", &version, "limits"]);
        let work = async {
            let limits = self.client.fetch::<UserLimits>(&ask, limit).await?;
            answer::expect("user_id", &user_id, &limits.user_id)?;
            answer::expect("policy_version", &policy_version, &limits.policy_version)?;
            Ok(limits)
        };
        limit.run(&cancel, work).await.map_err(|failure| failure.of_policy("get the user's limits"))
    }

    async fn check_user_license(
        &self,
        user_id: Uuid,
        cancel: CancellationToken,
    ) -> Result<UserLicenseStatus, MiniChatModelPolicyPluginError> {
        let limit = self.limit();
        let ask = self.client.get(&["v1", "users", &user_id.to_string(), "license"]);
        match limit.run(&cancel, self.client.fetch(&ask, limit)).await {
            // As the trait says: a user who is not found is not licensed, which is no error.
            Err(failure) if failure.is_not_found() => Ok(UserLicenseStatus { active: false }),
            answer => answer.map_err(|failure| failure.of_policy("check the user's licence")),
        }
    }

    async fn publish_usage(&self, payload: UsageEvent, cancel: CancellationToken) -> Result<(), PublishError> {
        let limit = self.limit();
        let body = serde_json::to_vec(&payload).map_err(|error| {
            PublishError::Permanent(format!("publish usage: the event cannot be written as JSON: {error}"))
        })?;
        let ask = self.client.post(&["v1", "usage"], idempotency_key(&payload), body);
        match limit.run(&cancel, self.client.send(&ask, limit)).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.of_publish()),
        }
    }
}

/// The host's key for this delivery, or else the request's id: both stay the same when it delivers again.
fn idempotency_key(event: &UsageEvent) -> HeaderValue {
    let given = call::idempotency_key().and_then(|key| HeaderValue::try_from(key).ok());
    given.unwrap_or_else(|| HeaderValue::try_from(event.request_id.to_string()).expect("a UUID is visible ASCII"))
}
