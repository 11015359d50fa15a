//! The JSON of the domain types is that of the reference release, read from `fixtures/mini-chat`.

use std::collections::BTreeSet;
use std::fs;

use mini_chat_plugin_sdk::audit_models::{
    TurnAuditEvent, TurnDeleteAuditEvent, TurnEditAuditEvent, TurnMutationAuditEvent, TurnMutationAuditEventType,
    TurnRetryAuditEvent,
};
use mini_chat_plugin_sdk::models::{
    EstimationBudgets, KillSwitches, ModelCatalogEntry, ModelGeneralConfig, ModelTier, UsageEvent, UserLicenseStatus,
    UserLimits,
};
use mini_chat_plugin_tests::fixtures;
use serde_json::Value;

/// Reads `json` as the type that is called `type_name` and writes it again.
fn through(type_name: &str, json: &str) -> serde_json::Result<Value> {
    macro_rules! through {
        ($($ty:ident),+) => {
            match type_name {
                $(stringify!($ty) => serde_json::to_value(serde_json::from_str::<$ty>(json)?),)+
                other => panic!("a fixture is for the type {other}, which this test does not know"),
            }
        };
    }
    through!(
        EstimationBudgets,
        KillSwitches,
        ModelCatalogEntry,
        ModelGeneralConfig,
        ModelTier,
        TurnAuditEvent,
        TurnDeleteAuditEvent,
        TurnEditAuditEvent,
        TurnRetryAuditEvent,
        UsageEvent,
        UserLicenseStatus,
        UserLimits
    )
}

/// The fixtures of a folder: file name without `.json`, and text. Panics unless their names are exactly `expected`.
fn folder(name: &str, expected: &[&str]) -> Vec<(String, String)> {
    let path = fixtures("mini-chat").join(name);
    let mut files = Vec::new();
    for entry in fs::read_dir(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
        let file = entry.unwrap().path();
        let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
        assert_eq!(file.extension().unwrap(), "json", "{}", file.display());
        files.push((stem, fs::read_to_string(&file).unwrap()));
    }
    let found: BTreeSet<&str> = files.iter().map(|(stem, _)| stem.as_str()).collect();
    assert_eq!(found, expected.iter().copied().collect::<BTreeSet<_>>(), "fixtures in {}", path.display());
    files
}

const MINIMAL: [&str; 3] = ["ModelCatalogEntry", "TurnAuditEvent", "UsageEvent"];

#[test]
fn full_documents_are_written_as_they_were_read() {
    let names = [
        "EstimationBudgets",
        "KillSwitches",
        "ModelCatalogEntry",
        "ModelGeneralConfig",
        "TurnAuditEvent",
        "TurnDeleteAuditEvent",
        "TurnEditAuditEvent",
        "TurnRetryAuditEvent",
        "UsageEvent",
        "UserLicenseStatus",
        "UserLimits",
    ];
    for (name, json) in folder("full", &names) {
        let written = through(&name, &json).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(written, serde_json::from_str::<Value>(&json).unwrap(), "{name}");
    }
}

#[test]
fn minimal_documents_get_the_defaults() {
    let read_back = folder("minimal-read-back", &MINIMAL);
    for (name, json) in folder("minimal", &MINIMAL) {
        let written = through(&name, &json).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (_, expected) = read_back.iter().find(|(other, _)| *other == name).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(expected).unwrap(), "{name}");
    }
}

#[test]
fn bad_documents_are_refused_for_the_right_reason() {
    let reasons = [
        ("EstimationBudgets-missing-field", "missing field `code_interpreter_surcharge_tokens`"),
        ("KillSwitches-missing-switch", "missing field `disable_code_interpreter`"),
        ("ModelTier-uppercase", "unknown variant `PREMIUM`"),
        ("TurnAuditEvent-wrong-type", "unknown variant `turn_retry`"),
        ("UsageEvent-bad-timestamp", "the 'year' component could not be parsed"),
        ("UsageEvent-bad-uuid", "UUID parsing failed"),
    ];
    for (name, json) in folder("reject", &reasons.map(|(name, _)| name)) {
        let (type_name, _) = name.split_once('-').unwrap();
        let error = through(type_name, &json).expect_err(&name).to_string();
        let (_, reason) = reasons.iter().find(|(other, _)| *other == name).unwrap();
        assert!(error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn a_tier_is_read_in_both_spellings_and_written_in_one() {
    for (text, written) in
        [("Standard", "Standard"), ("standard", "Standard"), ("Premium", "Premium"), ("premium", "Premium")]
    {
        let tier: ModelTier = serde_json::from_value(Value::from(text)).unwrap();
        assert_eq!(serde_json::to_value(tier).unwrap(), Value::from(written));
    }
}

/// Every field of these is required, so an object without it is refused, and `Default` is not what JSON falls back on.
#[test]
fn budgets_and_switches_have_defaults_only_as_a_whole() {
    let json = serde_json::to_value(EstimationBudgets::default()).unwrap();
    let expected = [
        ("bytes_per_token_conservative", 4),
        ("fixed_overhead_tokens", 100),
        ("safety_margin_pct", 10),
        ("image_token_budget", 1_000),
        ("tool_surcharge_tokens", 500),
        ("web_search_surcharge_tokens", 500),
        ("code_interpreter_surcharge_tokens", 1_000),
        ("minimal_generation_floor", 50),
    ];
    assert_eq!(json.as_object().unwrap().len(), expected.len());
    for (key, value) in expected {
        assert_eq!(json[key], value, "{key}");
        let mut without = json.clone();
        without.as_object_mut().unwrap().remove(key);
        assert!(serde_json::from_value::<EstimationBudgets>(without).is_err(), "{key} is required");
    }

    let json = serde_json::to_value(KillSwitches::default()).unwrap();
    for (key, value) in json.as_object().unwrap() {
        assert_eq!(*value, false, "{key}");
        let mut without = json.clone();
        without.as_object_mut().unwrap().remove(key);
        assert!(serde_json::from_value::<KillSwitches>(without).is_err(), "{key} is required");
    }
}

#[test]
fn event_types_are_shown_as_they_are_written() {
    let json = fs::read_to_string(fixtures("mini-chat/full/TurnRetryAuditEvent.json")).unwrap();
    let event: TurnMutationAuditEvent = serde_json::from_str(&json).unwrap();
    for make in [TurnMutationAuditEvent::new_retry, TurnMutationAuditEvent::new_edit] {
        let made = make(
            event.timestamp,
            event.tenant_id,
            event.requester_type,
            event.trace_id.clone(),
            event.actor_user_id,
            event.chat_id,
            event.turn_id,
            event.original_request_id,
            event.new_request_id,
        );
        let mut written = serde_json::to_value(&made).unwrap();
        assert_eq!(written["event_type"], made.event_type.to_string());
        written["event_type"] = Value::from(TurnMutationAuditEventType::TurnRetry.to_string());
        assert_eq!(written, serde_json::from_str::<Value>(&json).unwrap(), "all other fields are where they belong");
    }
}
