//! What a record may say that this side cannot express: the error names the field, and nothing panics.

use std::fs;

use abi_stable::std_types::{RNone, ROption, RSome};
use mini_chat_plugin_abi::buffer::FfiVec;
use mini_chat_plugin_abi::records::{
    FfiAttachmentKind, FfiModelTier, FfiPolicySnapshot, FfiQuotaScope, FfiRequesterType, FfiTurnAuditEventType,
    FfiTurnDeleteAuditEventType, FfiTurnMutationAuditEventType,
};
use mini_chat_plugin_abi::scalar::FfiTime;
use mini_chat_plugin_sdk::audit_models::{TurnAuditEvent, TurnDeleteAuditEvent, TurnMutationAuditEvent};
use mini_chat_plugin_sdk::convert::Domain;
use mini_chat_plugin_sdk::models::{KillSwitches, ModelCatalogEntry, PolicySnapshot, PolicyVersionInfo, UsageEvent};
use mini_chat_plugin_tests::fixtures;
use proptest::prelude::*;
use time::{Date, OffsetDateTime, Time};
use uuid::Uuid;

const LATE: FfiTime = FfiTime { unix_seconds: i64::MAX, nanoseconds: 0, offset_seconds: 0 };

/// The record of a fixture.
macro_rules! record {
    ($ty:ident, $name:literal) => {{
        let json = fs::read(fixtures("mini-chat/full").join(concat!($name, ".json"))).unwrap();
        serde_json::from_slice::<$ty>(&json).unwrap().into_record()
    }};
}

/// The whole text of the error for a record.
fn error<T: Domain>(record: T::Record) -> String {
    T::from_record(record).err().expect("the record is refused").to_string()
}

fn some<T>(option: &mut ROption<T>) -> &mut T {
    match option {
        RSome(value) => value,
        RNone => panic!("the fixture has a value here"),
    }
}

fn change<T>(list: &mut FfiVec<T>, index: usize, change: impl FnOnce(&mut T)) {
    let mut elements = Vec::from(std::mem::take(list));
    change(&mut elements[index]);
    *list = elements.into();
}

fn snapshot() -> FfiPolicySnapshot {
    let json = fs::read(fixtures("mini-chat/full").join("ModelCatalogEntry.json")).unwrap();
    let model: ModelCatalogEntry = serde_json::from_slice(&json).unwrap();
    let (user_id, kill_switches) = (Uuid::nil(), KillSwitches::default());
    PolicySnapshot { user_id, policy_version: 7, model_catalog: vec![model; 5], kill_switches }.into_record()
}

#[test]
fn in_a_snapshot() {
    let mut record = snapshot();
    change(&mut record.model_catalog, 3, |model| model.tier = FfiModelTier { value: 7 });
    assert_eq!(error::<PolicySnapshot>(record), "field `model_catalog[3].tier`: unknown value 7");

    let mut record = snapshot();
    change(&mut record.model_catalog, 0, |model| model.general_config.available_from = LATE);
    assert_eq!(
        error::<PolicySnapshot>(record),
        "field `model_catalog[0].general_config.available_from`: unix_seconds 9223372036854775807 out of range"
    );
}

#[test]
fn in_a_version() {
    let record =
        PolicyVersionInfo { user_id: Uuid::nil(), policy_version: 7, generated_at: OffsetDateTime::UNIX_EPOCH };
    let mut record = record.into_record();
    record.generated_at.offset_seconds = 93_600;
    assert_eq!(error::<PolicyVersionInfo>(record), "field `generated_at`: offset_seconds 93600 out of range");
}

#[test]
fn in_a_usage_event() {
    let mut record = record!(UsageEvent, "UsageEvent");
    record.timestamp.nanoseconds = 1_000_000_000;
    assert_eq!(error::<UsageEvent>(record), "field `timestamp`: nanoseconds 1000000000 out of range");
}

/// Refuses the record of a fixture after one change, with this error.
macro_rules! refused {
    ($($ty:ident, $name:literal: |$record:ident| $change:expr => $error:literal;)+) => {
        $(
            let mut $record = record!($ty, $name);
            $change;
            assert_eq!(error::<$ty>($record), $error);
        )+
    };
}

#[test]
fn in_a_turn_event() {
    refused! {
        TurnAuditEvent, "TurnAuditEvent": |r| r.event_type = FfiTurnAuditEventType { value: 3 }
            => "field `event_type`: unknown value 3";
        TurnAuditEvent, "TurnAuditEvent": |r| r.timestamp = LATE
            => "field `timestamp`: unix_seconds 9223372036854775807 out of range";
        TurnAuditEvent, "TurnAuditEvent": |r| r.requester_type = FfiRequesterType { value: 0 }
            => "field `requester_type`: unknown value 0";
        TurnAuditEvent, "TurnAuditEvent":
            |r| *some(&mut r.policy_decisions.quota.quota_scope) = FfiQuotaScope { value: u32::MAX }
            => "field `policy_decisions.quota.quota_scope`: unknown value 4294967295";
        TurnAuditEvent, "TurnAuditEvent":
            |r| change(&mut r.attachments, 1, |a| a.attachment_kind = FfiAttachmentKind { value: 9 })
            => "field `attachments[1].attachment_kind`: unknown value 9";
    }
}

#[test]
fn in_a_mutation_or_delete_event() {
    refused! {
        TurnMutationAuditEvent, "TurnRetryAuditEvent": |r| r.event_type = FfiTurnMutationAuditEventType { value: 3 }
            => "field `event_type`: unknown value 3";
        TurnMutationAuditEvent, "TurnEditAuditEvent": |r| r.requester_type = FfiRequesterType { value: 3 }
            => "field `requester_type`: unknown value 3";
        TurnMutationAuditEvent, "TurnEditAuditEvent": |r| r.timestamp = LATE
            => "field `timestamp`: unix_seconds 9223372036854775807 out of range";
        TurnDeleteAuditEvent, "TurnDeleteAuditEvent": |r| r.event_type = FfiTurnDeleteAuditEventType { value: 2 }
            => "field `event_type`: unknown value 2";
        TurnDeleteAuditEvent, "TurnDeleteAuditEvent": |r| r.requester_type = FfiRequesterType { value: 3 }
            => "field `requester_type`: unknown value 3";
        TurnDeleteAuditEvent, "TurnDeleteAuditEvent": |r| r.timestamp = LATE
            => "field `timestamp`: unix_seconds 9223372036854775807 out of range";
    }
}

#[test]
fn the_first_and_last_second_of_time() {
    let first = Date::MIN.midnight().assume_utc().unix_timestamp();
    let last = Date::MAX.with_time(Time::MAX).assume_utc().unix_timestamp();
    let time = |unix_seconds, offset_seconds| FfiTime { unix_seconds, nanoseconds: 999_999_999, offset_seconds };
    let good = [
        time(first, 0),
        time(last, 0),
        // The wall clock is in range although the moment in UTC is not.
        time(last + 3_600, -3_600),
        time(first - 93_599, 93_599),
    ];
    for record in good {
        assert_eq!(OffsetDateTime::from_record(record).unwrap().into_record(), record);
    }
    let bad = [
        (time(first - 1, 0), format!("unix_seconds {} out of range", first - 1)),
        (time(last + 1, 0), format!("unix_seconds {} out of range", last + 1)),
        (time(last, 1), format!("unix_seconds {last} out of range")),
        (time(first, -1), format!("unix_seconds {first} out of range")),
        (time(i64::MAX, 1), format!("unix_seconds {} out of range", i64::MAX)),
        (time(i64::MIN, -1), format!("unix_seconds {} out of range", i64::MIN)),
        (time(0, 93_600), "offset_seconds 93600 out of range".to_owned()),
        (time(0, -93_600), "offset_seconds -93600 out of range".to_owned()),
        (time(0, i32::MIN), format!("offset_seconds {} out of range", i32::MIN)),
    ];
    for (record, expected) in bad {
        assert_eq!(error::<OffsetDateTime>(record), expected, "{record:?}");
    }
}

proptest! {
    /// Whatever stands in it, a time is converted without loss or refused.
    #[test]
    fn any_bits_of_a_time(
        unix_seconds in prop_oneof![any::<i64>(), -400_000_000_000..400_000_000_000_i64],
        nanoseconds in prop_oneof![any::<u32>(), 0..1_000_000_000_u32],
        offset_seconds in prop_oneof![any::<i32>(), -100_000..100_000_i32],
    ) {
        let record = FfiTime { unix_seconds, nanoseconds, offset_seconds };
        match OffsetDateTime::from_record(record) {
            Ok(time) => prop_assert_eq!(time.into_record(), record),
            Err(error) => prop_assert!(error.problem.ends_with("out of range"), "{}", error),
        }
    }
}
