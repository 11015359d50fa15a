//! All nine methods of the fixture `echo`, called and compared.

use std::fmt::Debug;

use echo::answers;
use mini_chat_plugin_loader::PluginHost;
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::tokio_util::sync::CancellationToken;
use mini_chat_plugin_strategies::{self as strategies, from_seed, text_of};
use uuid::Uuid;

/// Calls per method.
const ROUNDS: u8 = 16;

/// The id of the fixture.
const NAME: &str = "tests.echo._.both.v1";

/// What the calls have shown.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Calls made whose answers were compared.
    pub(crate) calls: u32,
    /// The methods of which an answer was not what it should be, with the first such answer.
    pub(crate) differing: Vec<(&'static str, String)>,
    /// Where the plugin has the fields of a domain type; none if it did not say so.
    pub(crate) layout: Option<String>,
}

impl Found {
    fn compare(&mut self, method: &'static str, found: &impl Debug, expected: &impl Debug) {
        self.calls += 1;
        let (found, expected) = (text_of(found), text_of(expected));
        if found != expected && !self.differing.iter().any(|(known, _)| *known == method) {
            self.differing.push((method, format!("{found}, not {expected}")));
        }
    }
}

/// Calls each method `ROUNDS` times. With `planted`, compares with what another argument would have given.
pub(crate) async fn all_nine(host: &PluginHost, planted: bool) -> Found {
    let (policy, audit) = (host.model_policy(NAME), host.audit(NAME));
    let token = CancellationToken::new();
    let mut found = Found::default();

    if let Err(MiniChatModelPolicyPluginError::Internal(layout)) =
        policy.get_current_policy_version(answers::LAYOUT, token.clone()).await
    {
        found.layout = Some(layout);
    }
    for number in 0..ROUNDS {
        let user = Uuid::from_bytes([number; 16]);
        let other = if planted { Uuid::from_bytes([number | 0x80; 16]) } else { user };
        let version = u64::from(number) << 40;
        let answer = policy.get_current_policy_version(user, token.clone()).await;
        found.compare("get_current_policy_version", &answer, &answers::version(other));
        let answer = policy.get_policy_snapshot(user, version, token.clone()).await;
        found.compare("get_policy_snapshot", &answer, &answers::snapshot(other, version));
        let answer = policy.get_user_limits(user, version, token.clone()).await;
        found.compare("get_user_limits", &answer, &answers::limits(other, version));
        let answer = policy.check_user_license(user, token.clone()).await;
        found.compare("check_user_license", &answer, &answers::license(other));

        let (seed, other) = ([number; 32], [if planted { number | 0x80 } else { number }; 32]);
        macro_rules! event {
            ($method:literal, $strategy:ident, $permanent:path, $call:expr) => {{
                let event = from_seed(&strategies::$strategy(), seed);
                let described = text_of(&from_seed(&strategies::$strategy(), other));
                let answer = $call(event).await;
                found.compare($method, &answer, &Err::<(), _>($permanent(described)));
            }};
        }
        event!("publish_usage", usage_event, PublishError::Permanent, |event| policy
            .publish_usage(event, token.clone()));
        event!("emit_turn_audit", turn_audit_event, MiniChatAuditPluginError::Permanent, |event| audit
            .emit_turn_audit(event));
        event!("emit_turn_retry_audit", turn_mutation_audit_event, MiniChatAuditPluginError::Permanent, |event| audit
            .emit_turn_retry_audit(event));
        event!("emit_turn_edit_audit", turn_mutation_audit_event, MiniChatAuditPluginError::Permanent, |event| audit
            .emit_turn_edit_audit(event));
        event!("emit_turn_delete_audit", turn_delete_audit_event, MiniChatAuditPluginError::Permanent, |event| audit
            .emit_turn_delete_audit(event));
    }
    found
}
