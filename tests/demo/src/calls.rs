//! The nine methods, called on a loaded plugin and on the same code linked statically.

use std::fs;
use std::path::Path;

use mini_chat_plugin_sdk::prelude::*;

use crate::AnyError;
use crate::comparison::{Comparison, shortened};

/// The user of the fixtures, who has a licence.
pub(crate) const USER: Uuid = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0002);

/// The five methods; of the snapshots one that is current, one that is older, and one that is not there.
pub(crate) async fn policy_calls(
    comparison: &mut Comparison,
    loaded: &dyn MiniChatModelPolicyPluginClientV1,
    linked: &dyn MiniChatModelPolicyPluginClientV1,
) -> Result<(), AnyError> {
    let user = USER;
    let token = CancellationToken::new;
    let version = loaded.get_current_policy_version(user, token()).await;
    comparison.show("get_current_policy_version", &version, &linked.get_current_policy_version(user, token()).await);
    let current = version?.policy_version;
    for version in [current, current - 1, current + 1] {
        comparison.show(
            &format!("get_policy_snapshot({version})"),
            &loaded.get_policy_snapshot(user, version, token()).await,
            &linked.get_policy_snapshot(user, version, token()).await,
        );
    }
    comparison.show(
        "get_user_limits",
        &loaded.get_user_limits(user, current, token()).await,
        &linked.get_user_limits(user, current, token()).await,
    );
    comparison.show(
        "check_user_license",
        &loaded.check_user_license(user, token()).await,
        &linked.check_user_license(user, token()).await,
    );
    let usage: UsageEvent = fixture("UsageEvent")?;
    comparison.show(
        "publish_usage",
        &loaded.publish_usage(usage.clone(), token()).await,
        &linked.publish_usage(usage, token()).await,
    );
    Ok(())
}

/// The four methods.
pub(crate) async fn audit_calls(
    comparison: &mut Comparison,
    loaded: &dyn MiniChatAuditPluginClientV1,
    linked: &dyn MiniChatAuditPluginClientV1,
) -> Result<(), AnyError> {
    let event: TurnAuditEvent = fixture("TurnAuditEvent")?;
    let answer = loaded.emit_turn_audit(event.clone()).await;
    comparison.show("emit_turn_audit", &answer, &linked.emit_turn_audit(event).await);
    let event: TurnRetryAuditEvent = fixture("TurnRetryAuditEvent")?;
    let answer = loaded.emit_turn_retry_audit(event.clone()).await;
    comparison.show("emit_turn_retry_audit", &answer, &linked.emit_turn_retry_audit(event).await);
    let event: TurnEditAuditEvent = fixture("TurnEditAuditEvent")?;
    let answer = loaded.emit_turn_edit_audit(event.clone()).await;
    comparison.show("emit_turn_edit_audit", &answer, &linked.emit_turn_edit_audit(event).await);
    let event: TurnDeleteAuditEvent = fixture("TurnDeleteAuditEvent")?;
    let answer = loaded.emit_turn_delete_audit(event.clone()).await;
    comparison.show("emit_turn_delete_audit", &answer, &linked.emit_turn_delete_audit(event).await);
    Ok(())
}

/// An event as the real host writes it.
fn fixture<T: mini_chat_plugin_sdk::serde::de::DeserializeOwned>(name: &str) -> Result<T, AnyError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/mini-chat/full").join(format!("{name}.json"));
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

/// What both audit plugins wrote.
pub(crate) fn same_files(comparison: &mut Comparison, loaded: &Path, linked: &Path) -> Result<(), AnyError> {
    let (loaded_text, linked_text) = (fs::read_to_string(loaded)?, fs::read_to_string(linked)?);
    println!("  {} has {} lines; the first:", loaded.display(), loaded_text.lines().count());
    println!("      {}", shortened(loaded_text.lines().next().unwrap_or_default()));
    if loaded_text != linked_text || loaded_text.lines().count() != 4 {
        comparison.differences += 1;
        println!("      DIFFERS from what the linked plugin wrote:\n{linked_text}");
    }
    Ok(())
}
