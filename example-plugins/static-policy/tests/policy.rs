//! The plugin linked statically: what it answers, counts and refuses.

use mini_chat_plugin_sdk::prelude::*;
use mini_chat_plugin_sdk::testing::{TestContext, read_config};
use serde_json::{Value, json};
use static_policy::{Config, StaticPolicy, StaticPolicyPlugin, UsageTotals};

const LISTED: Uuid = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0002);
const LICENSED: Uuid = Uuid::from_u128(0x018f_0000_0000_7000_8000_0000_0000_0003);
const STRANGER: Uuid = Uuid::from_u128(9);

/// The configuration of the documentation's example.
fn example() -> Value {
    let file: Value = toml::from_str(include_str!("../plugins.toml")).unwrap();
    file["plugins"]["acme.policy._.static.v1"]["config"].clone()
}

fn config(value: &Value) -> Result<Config, PluginError> {
    read_config(&value.to_string())
}

async fn create(value: &Value) -> Result<StaticPolicy, PluginError> {
    StaticPolicy::create(TestContext::new("policy").context(), config(value)?).await
}

fn token() -> CancellationToken {
    CancellationToken::new()
}

/// What is refused about the example after `change`.
async fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let mut value = example();
    change(&mut value);
    let error = create(&value).await.unwrap_err();
    assert!(!error.is_retryable());
    error.message().to_owned()
}

#[tokio::test]
async fn the_current_version() {
    let plugin = create(&example()).await.unwrap();
    let info = plugin.get_current_policy_version(STRANGER, token()).await.unwrap();
    assert_eq!((info.user_id, info.policy_version), (STRANGER, 8));
    assert_eq!(info.generated_at.unix_timestamp(), 1_772_366_400);

    let snapshot = plugin.get_policy_snapshot(STRANGER, 8, token()).await.unwrap();
    assert_eq!((snapshot.user_id, snapshot.policy_version), (STRANGER, 8));
    let ids: Vec<_> = snapshot.model_catalog.iter().map(|model| (model.model_id.as_str(), model.tier)).collect();
    assert_eq!(ids, [("large-1", ModelTier::Premium), ("small-1", ModelTier::Standard)]);
    assert!(snapshot.kill_switches.disable_images && !snapshot.kill_switches.disable_premium_tier);
}

#[tokio::test]
async fn earlier_versions_inherit_what_they_leave_out() {
    let plugin = create(&example()).await.unwrap();
    let seven = plugin.get_policy_snapshot(LISTED, 7, token()).await.unwrap();
    assert_eq!((seven.policy_version, seven.model_catalog.len()), (7, 2));
    assert!(seven.kill_switches.disable_premium_tier);
    let six = plugin.get_policy_snapshot(LISTED, 6, token()).await.unwrap();
    assert!(six.model_catalog.is_empty() && six.kill_switches.disable_images);

    let premium_of = async |version| {
        plugin.get_user_limits(LISTED, version, token()).await.unwrap().premium.limit_daily_credits_micro
    };
    assert_eq!(premium_of(8).await, 20_000_000);
    assert_eq!(premium_of(7).await, 20_000_000);
    // Version 6 has limits of its own, and those name no users.
    assert_eq!(premium_of(6).await, 0);

    for version in [0, 5, 9, u64::MAX] {
        let snapshot = plugin.get_policy_snapshot(LISTED, version, token()).await;
        assert!(matches!(snapshot, Err(MiniChatModelPolicyPluginError::NotFound)), "{version}");
        let limits = plugin.get_user_limits(LISTED, version, token()).await;
        assert!(matches!(limits, Err(MiniChatModelPolicyPluginError::NotFound)), "{version}");
    }
}

#[tokio::test]
async fn limits_and_licences_by_user() {
    let plugin = create(&example()).await.unwrap();
    let stranger = plugin.get_user_limits(STRANGER, 8, token()).await.unwrap();
    assert_eq!(stranger.premium.limit_monthly_credits_micro, 100_000_000);
    let listed = plugin.get_user_limits(LISTED, 8, token()).await.unwrap();
    assert_eq!((listed.user_id, listed.policy_version), (LISTED, 8));
    assert_eq!(listed.premium.limit_monthly_credits_micro, 400_000_000);
    assert_eq!(listed.standard.limit_monthly_credits_micro, 1_000_000_000);

    for (user, active) in [(LISTED, true), (LICENSED, true), (STRANGER, false)] {
        assert_eq!(plugin.check_user_license(user, token()).await.unwrap().active, active, "{user}");
    }
    let mut value = example();
    value["licences"] = json!({ "all_users": true });
    assert!(create(&value).await.unwrap().check_user_license(STRANGER, token()).await.unwrap().active);
    value.as_object_mut().unwrap().remove("licences");
    assert!(!create(&value).await.unwrap().check_user_license(LISTED, token()).await.unwrap().active);
}

#[tokio::test]
async fn without_generated_at_it_is_the_time_of_creation() {
    let mut value = example();
    value.as_object_mut().unwrap().remove("generated_at");
    let before = OffsetDateTime::now_utc();
    let plugin = create(&value).await.unwrap();
    let after = OffsetDateTime::now_utc();
    let first = plugin.get_current_policy_version(LISTED, token()).await.unwrap().generated_at;
    assert!((before..=after).contains(&first));
    let second = plugin.get_current_policy_version(LISTED, token()).await.unwrap().generated_at;
    assert_eq!(first, second);
}

fn event(model: &str, tokens: Option<(u64, u64)>, credits: i64) -> UsageEvent {
    UsageEvent {
        tenant_id: STRANGER,
        user_id: LISTED,
        chat_id: STRANGER,
        turn_id: STRANGER,
        request_id: STRANGER,
        effective_model: model.to_owned(),
        selected_model: "large-1".to_owned(),
        terminal_state: "completed".to_owned(),
        billing_outcome: "charged".to_owned(),
        usage: tokens.map(|(input_tokens, output_tokens)| UsageTokens { input_tokens, output_tokens }),
        actual_credits_micro: credits,
        settlement_method: "actual".to_owned(),
        policy_version_applied: 8,
        timestamp: OffsetDateTime::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn usage_is_counted_and_logged_at_the_end() {
    let test = TestContext::new("policy");
    let plugin = StaticPolicy::create(test.context(), config(&example()).unwrap()).await.unwrap();
    for event in [
        event("small-1", Some((10, 3)), 40),
        event("small-1", Some((u64::MAX, 4)), i64::MIN),
        event("large-1", None, i64::MIN),
        event("unheard-of", Some((1, 1)), 1),
    ] {
        plugin.publish_usage(event, token()).await.unwrap();
    }
    let usage = plugin.usage();
    let lowest = i128::from(i64::MIN);
    let small = UsageTotals { events: 2, input_tokens: u64::MAX, output_tokens: 7, credits_micro: 40 + lowest };
    assert_eq!(usage.by_model["small-1"], small);
    assert_eq!(usage.by_model["large-1"], UsageTotals { events: 1, credits_micro: lowest, ..UsageTotals::default() });
    assert_eq!(usage.unlisted.events, 1);
    assert_eq!((usage.total.events, usage.total.output_tokens), (4, 8));
    assert_eq!(usage.total.credits_micro, 2 * lowest + 41);
    assert_eq!(usage.by_model.len(), 2, "what is kept does not grow with what is sent");

    plugin.shutdown().await.unwrap();
    let lines: Vec<String> = test.records().into_iter().map(|record| record.message).collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert!(lines[0].starts_with("usage: 4 events, "), "{lines:?}");
    assert!(lines[1].starts_with("usage of model `large-1`: 1 events, "), "{lines:?}");
    assert!(lines[3].starts_with("usage of models of no catalogue: 1 events, "), "{lines:?}");
}

#[tokio::test]
async fn a_catalogue_with_nothing_enabled_is_warned_of() {
    let mut value = example();
    for model in value["models"].as_array_mut().unwrap() {
        model.as_object_mut().unwrap().remove("enabled");
    }
    let test = TestContext::new("policy");
    StaticPolicy::create(test.context(), config(&value).unwrap()).await.unwrap();
    assert_eq!(test.records().len(), 1);
    assert_eq!(test.records()[0].level, LogLevel::Warn);
}

#[tokio::test]
async fn contradictions_are_refused_with_their_key() {
    type Change = fn(&mut Value);
    let cases: &[(Change, &str)] = &[
        (|v| v["policy_version"] = json!(u64::MAX), "policy_version: expected at most 9223372036854775807"),
        (|v| v["generated_at"] = json!("yesterday"), "generated_at: expected a date and time of RFC 3339"),
        (|v| v["models"][1]["model_id"] = json!("large-1"), "models[1].model_id: expected each model once"),
        (|v| v["models"][0]["model_id"] = json!(""), "models[0].model_id: expected a name, found an empty text"),
        (|v| v["earlier"][0]["policy_version"] = json!(8), "earlier[0].policy_version: expected a version before"),
        (|v| v["earlier"][1]["policy_version"] = json!(7), "earlier[1].policy_version: expected each version once"),
        (
            |v| v["earlier"][1]["limits"]["premium"]["limit_daily_credits_micro"] = json!(-1),
            "earlier[1].limits.premium.limit_daily_credits_micro: expected zero or more",
        ),
        (
            |v| v["limits"]["standard"]["limit_monthly_credits_micro"] = json!(-1),
            "limits.standard.limit_monthly_credits_micro: expected zero or more",
        ),
        (
            |v| v["limits"]["users"][0] = json!({ "user_id": LISTED }),
            "limits.users[0]: expected `standard`, `premium` or both, found neither",
        ),
        (
            |v| {
                let first = v["limits"]["users"][0].clone();
                v["limits"]["users"].as_array_mut().unwrap().push(first);
            },
            "limits.users[1].user_id: expected each user once",
        ),
        (|v| v["licences"]["users"][1] = json!(LISTED), "licences.users[1]: expected each user once"),
        (|v| v["licences"]["all_users"] = json!(true), "licences.users: expected no list beside `all_users = true`"),
        // The rest is refused by the type, with the host's texts.
        (|v| v["polices"] = json!(1), "polices: expected one of `policy_version`, "),
        (|v| v["kill_switches"]["disable_image"] = json!(true), "kill_switches.disable_image: expected one of "),
        (|v| v["earlier"][0]["catalogue"] = json!([]), "earlier[0].catalogue: expected one of "),
        (|v| v["models"][0]["tier"] = json!("gold"), "models[0].tier: expected one of `Standard`, "),
        (|v| v["licences"]["users"][0] = json!(1), "licences.users[0]: expected "),
        (|v| v["policy_version"] = json!(-1), "policy_version: expected u64"),
        (|v| drop(v.as_object_mut().unwrap().remove("limits")), "limits: expected a value, found no such key"),
    ];
    for (change, expected) in cases {
        let message = refusal(*change).await;
        assert!(message.starts_with(expected), "{message}\n{expected}");
    }
}

#[test]
fn it_says_what_it_is() {
    let descriptor = InProcessPlugin::of::<StaticPolicyPlugin>().descriptor();
    let descriptor: Value = serde_json::from_str(descriptor).unwrap();
    assert_eq!(descriptor["id"], "acme.policy._.static.v1");
}
