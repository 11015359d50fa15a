use std::sync::Arc;

use async_trait::async_trait;
use mini_chat_plugin_sdk::audit_models::{
    TurnAuditEvent, TurnDeleteAuditEvent, TurnEditAuditEvent, TurnRetryAuditEvent,
};
use mini_chat_plugin_sdk::error::{MiniChatAuditPluginError, MiniChatModelPolicyPluginError, PublishError};
use mini_chat_plugin_sdk::models::{PolicySnapshot, PolicyVersionInfo, UsageEvent, UserLimits};
use mini_chat_plugin_sdk::plugin_api::{MiniChatAuditPluginClientV1, MiniChatModelPolicyPluginClientV1};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Entry, GtsTypes, Query, RegistryError, read, select_policy};
use crate::method::Kind;
use crate::status::{HostSnapshot, PluginSnapshot};

const POLICY: &str = "gts.x.core.modkit.plugin.v1~x.core.mini_chat_model_policy.plugin.v1~";
const AUDIT: &str = "gts.x.core.modkit.plugin.v1~x.core.mini_chat_audit.plugin.v1~";

/// Nobody calls it.
struct Nobody;

#[async_trait]
#[rustfmt::skip]
impl MiniChatModelPolicyPluginClientV1 for Nobody {
    async fn get_current_policy_version(&self, _: Uuid, _: CancellationToken) -> Result<PolicyVersionInfo, MiniChatModelPolicyPluginError> { unreachable!() }
    async fn get_policy_snapshot(&self, _: Uuid, _: u64, _: CancellationToken) -> Result<PolicySnapshot, MiniChatModelPolicyPluginError> { unreachable!() }
    async fn get_user_limits(&self, _: Uuid, _: u64, _: CancellationToken) -> Result<UserLimits, MiniChatModelPolicyPluginError> { unreachable!() }
    async fn publish_usage(&self, _: UsageEvent, _: CancellationToken) -> Result<(), PublishError> { unreachable!() }
}

#[async_trait]
#[rustfmt::skip]
impl MiniChatAuditPluginClientV1 for Nobody {
    async fn emit_turn_audit(&self, _: TurnAuditEvent) -> Result<(), MiniChatAuditPluginError> { unreachable!() }
    async fn emit_turn_retry_audit(&self, _: TurnRetryAuditEvent) -> Result<(), MiniChatAuditPluginError> { unreachable!() }
    async fn emit_turn_edit_audit(&self, _: TurnEditAuditEvent) -> Result<(), MiniChatAuditPluginError> { unreachable!() }
    async fn emit_turn_delete_audit(&self, _: TurnDeleteAuditEvent) -> Result<(), MiniChatAuditPluginError> { unreachable!() }
}

fn plugin(name: &str, segment: &str, vendor: &str, priority: i16, kinds: &[Kind]) -> PluginSnapshot {
    PluginSnapshot {
        name: name.to_owned(),
        instance: Some(segment.to_owned()),
        vendor: Some(vendor.to_owned()),
        priority: Some(priority),
        generation: Some(1),
        state: "serving",
        wanted: true,
        required: true,
        delivery: None,
        model_policy: kinds.contains(&Kind::ModelPolicy).then(|| Arc::new(Nobody) as _),
        audit: kinds.contains(&Kind::Audit).then(|| Arc::new(Nobody) as _),
    }
}

fn entries(plugins: Vec<PluginSnapshot>) -> Vec<Entry> {
    let (entries, problems) = read(&HostSnapshot { plugins }, &GtsTypes::default());
    assert_eq!(problems, []);
    entries
}

fn ids(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.id.id()).collect()
}

fn some() -> Vec<PluginSnapshot> {
    vec![
        plugin("both", "acme.both._.one.v1", "acme", 10, &[Kind::ModelPolicy, Kind::Audit]),
        plugin("log", "acme.audit._.jsonl.v1", "acme", 20, &[Kind::Audit]),
        plugin("other", "other.policy._.http.v1.2", "other", 5, &[Kind::ModelPolicy]),
    ]
}

#[test]
fn an_instance_is_the_type_and_its_own_segment() {
    let expected = [
        format!("{AUDIT}acme.audit._.jsonl.v1"),
        format!("{AUDIT}acme.both._.one.v1"),
        format!("{POLICY}acme.both._.one.v1"),
        format!("{POLICY}other.policy._.http.v1.2"),
    ];
    assert_eq!(ids(&entries(some())), expected);
    let nothing_serves = PluginSnapshot { instance: None, ..plugin("gone", "", "", 0, &[]) };
    assert!(entries(vec![nothing_serves]).is_empty());
}

#[test]
fn the_types_can_be_set() {
    let types = GtsTypes::new("gts.y.new.policy.plugin.v2~", AUDIT).expect("they are types");
    let (entries, _) = read(&HostSnapshot { plugins: some() }, &types);
    assert_eq!(
        ids(&entries)[2..],
        ["gts.y.new.policy.plugin.v2~acme.both._.one.v1", "gts.y.new.policy.plugin.v2~other.policy._.http.v1.2"]
    );
    for bad in [
        "gts.y.new.policy.plugin.v2",
        "",
        "gts.Y.new.policy.plugin.v2~",
        " gts.y.new.policy.plugin.v2~",
        "gts.y.new-er.p.q.v2~",
    ] {
        let error = GtsTypes::new(bad, AUDIT).expect_err(bad).to_string();
        assert!(error.contains("expected a GTS type identifier"), "{error}");
    }
}

#[test]
fn queries_match_by_pattern_vendor_and_kind() {
    let all = entries(some());
    let found = |query: Query| {
        let mut found = all.clone();
        found.retain(|entry| query.matches(entry));
        found.into_iter().map(|entry| format!("{} {}", entry.plugin, entry.kind)).collect::<Vec<_>>()
    };
    assert_eq!(found(Query::new()).len(), 4);
    assert_eq!(found(Query::new().pattern(&format!("{AUDIT}*")).unwrap()), ["log audit", "both audit"]);
    assert_eq!(found(Query::new().pattern(&format!("{AUDIT}acme.audit.*")).unwrap()), ["log audit"]);
    // A type stands for its instances, and is none itself.
    assert_eq!(found(Query::new().pattern(AUDIT).unwrap()), ["log audit", "both audit"]);
    assert_eq!(found(Query::new().pattern("gts.x.core.modkit.plugin.v1~*").unwrap()).len(), 4);
    assert_eq!(found(Query::new().vendor("other")), ["other model_policy"]);
    assert_eq!(found(Query::new().vendor("acme").kind(Kind::ModelPolicy)), ["both model_policy"]);
    assert!(matches!(Query::new().pattern("gts.*.x"), Err(RegistryError::Pattern { .. })));
}

#[test]
fn the_lowest_priority_of_the_vendor_is_selected_and_ties_go_by_identifier() {
    let with = |more: Vec<PluginSnapshot>| entries([some(), more].concat());
    let selected = |entries, vendor| select_policy(entries, vendor).map(|entry| entry.plugin);
    assert_eq!(selected(with(vec![]), "acme").unwrap(), "both");
    let lower = plugin("lower", "acme.zzz._.last.v1", "acme", 9, &[Kind::ModelPolicy]);
    assert_eq!(selected(with(vec![lower]), "acme").unwrap(), "lower");
    let tie = |segment| plugin("tie", segment, "acme", 10, &[Kind::ModelPolicy]);
    assert_eq!(selected(with(vec![tie("acme.aaa._.first.v1")]), "acme").unwrap(), "tie");
    assert_eq!(selected(with(vec![tie("acme.zzz._.last.v1")]), "acme").unwrap(), "both");

    let none = selected(with(vec![]), "Acme").expect_err("the vendor must be exact").to_string();
    assert!(none.contains(&format!("{POLICY}acme.both._.one.v1 (vendor \"acme\")")), "{none}");
    assert!(none.contains(&format!("{POLICY}other.policy._.http.v1.2 (vendor \"other\")")), "{none}");
    assert!(!none.contains("jsonl"), "an audit plugin is no candidate: {none}");
    let empty = selected(Vec::new(), "acme").expect_err("there is none").to_string();
    assert!(empty.ends_with("none serves at all"), "{empty}");
}

#[test]
fn what_has_no_identifier_is_reported_and_is_in_nobodys_way() {
    let bad = [
        "Acme.both._.one.v1",
        "acme.both._.one",
        "acme.both._.one.v01",
        " acme.both._.one.v1",
        "acme.bo-th._.one.v1",
        "",
    ];
    for segment in bad {
        let plugins = [some(), vec![plugin("bad", segment, "acme", 1, &[Kind::Audit])]].concat();
        let (entries, problems) = read(&HostSnapshot { plugins }, &GtsTypes::default());
        assert_eq!(entries.len(), 4, "{segment}");
        assert_eq!((problems.len(), problems[0].plugin.as_str()), (1, "bad"), "{segment}");
    }
    let twice = [some(), vec![plugin("second", "acme.audit._.jsonl.v1", "acme", 1, &[Kind::Audit])]].concat();
    let (entries, problems) = read(&HostSnapshot { plugins: twice }, &GtsTypes::default());
    assert_eq!((entries.len(), problems[0].plugin.as_str()), (4, "second"));
    assert!(problems[0].message.contains("another plugin has this identifier"), "{}", problems[0].message);
}
