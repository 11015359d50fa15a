//! Domain value → record → domain value: nothing is lost, nothing is changed.

use mini_chat_plugin_abi::records::{
    FfiAttachmentKind, FfiModelTier, FfiQuotaScope, FfiRequesterType, FfiTurnAuditEventType,
    FfiTurnDeleteAuditEventType, FfiTurnMutationAuditEventType,
};
use mini_chat_plugin_sdk::audit_models::{
    self, AttachmentKind, QuotaScope, RequesterType, TurnAuditEventType, TurnDeleteAuditEventType,
    TurnMutationAuditEventType,
};
use mini_chat_plugin_sdk::convert::Domain;
use mini_chat_plugin_sdk::models::{self, ModelTier};
use mini_chat_plugin_tests::for_each_domain_type;
use mini_chat_plugin_tests::strategies::{self, text_of};
use proptest::prelude::*;

macro_rules! round_trips {
    ($($strategy:ident: $module:ident::$ty:ident,)+) => {
        proptest! {
            $(
                #[test]
                fn $strategy(value in strategies::$strategy()) {
                    let before = text_of(&value);
                    let back = $module::$ty::from_record(value.into_record()).map_err(|e| TestCaseError::fail(e.to_string()))?;
                    prop_assert_eq!(text_of(&back), before);
                }
            )+
        }
    };
}

for_each_domain_type!(round_trips);

/// A number that the record names is a value that the domain has, and no other number is.
#[test]
fn enumerations_have_the_same_values_on_both_sides() {
    macro_rules! check {
        ($($domain:ident as $record:ident: $values:literal),+ $(,)?) => {
            $(
                let mut known = 0;
                for value in (0..1_000).chain([u32::MAX - 1, u32::MAX]) {
                    let record = $record { value };
                    match $domain::from_record(record) {
                        Ok(domain) => {
                            known += 1;
                            assert_eq!(domain.into_record(), record);
                            let name = record.name().expect("a number without a name").replace('_', "");
                            assert_eq!(name, format!("{domain:?}").to_uppercase(), "the same word on both sides");
                        }
                        Err(error) => {
                            assert_eq!(record.name(), None, "{} is not known to the domain", stringify!($record));
                            assert_eq!(error.to_string(), format!("unknown value {value}"));
                        }
                    }
                }
                assert_eq!(known, $values, stringify!($domain));
            )+
        };
    }
    check!(
        ModelTier as FfiModelTier: 2,
        RequesterType as FfiRequesterType: 2,
        AttachmentKind as FfiAttachmentKind: 2,
        QuotaScope as FfiQuotaScope: 2,
        TurnAuditEventType as FfiTurnAuditEventType: 2,
        TurnMutationAuditEventType as FfiTurnMutationAuditEventType: 2,
        TurnDeleteAuditEventType as FfiTurnDeleteAuditEventType: 1,
    );
}

#[test]
fn a_not_a_number_keeps_its_bits() {
    for bits in [0x7ff8_0000_0000_0001, 0xfff0_0000_dead_beef_u64] {
        let policy = models::ModelTokenPolicy {
            input_tokens_credit_multiplier: f64::from_bits(bits),
            output_tokens_credit_multiplier: 1.0,
        };
        let back = models::ModelTokenPolicy::from_record(policy.into_record()).unwrap();
        assert_eq!(back.input_tokens_credit_multiplier.to_bits(), bits);
    }
}

#[test]
fn texts_move_and_are_not_copied() {
    let texts: Vec<String> = (0..3).map(|i| "x".repeat(8 * 1024 + i)).collect();
    let (list, first) = (texts.as_ptr().addr(), texts[0].as_ptr());
    let record = texts.into_record();
    assert_eq!(record.as_slice()[0].as_str().as_ptr(), first);
    assert_eq!(record.as_slice().as_ptr().addr(), list, "a list of texts keeps its own allocation too");
    let back = Vec::<String>::from_record(record).unwrap();
    assert_eq!(back[0].as_ptr(), first);
    assert_eq!(back.as_ptr().addr(), list);
}
