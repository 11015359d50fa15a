//! What a report says as one answer.

use mini_chat_plugin_sdk::error::MiniChatAuditPluginError;

use crate::audit::report::{AuditReport, Outcome, PluginDelivery};

fn stuck() -> Outcome {
    Outcome::Stuck { refusals: 10, last: "no".to_owned() }
}

fn report(outcomes: &[(&str, bool, Outcome)]) -> AuditReport {
    let delivery = |(plugin, required, outcome): &(&str, bool, Outcome)| PluginDelivery {
        plugin: (*plugin).into(),
        required: *required,
        outcome: outcome.clone(),
    };
    AuditReport { deliveries: outcomes.iter().map(delivery).collect() }
}

#[test]
fn only_required_plugins_count() {
    let fail = || Outcome::Transient("down".to_owned());
    assert!(report(&[]).result().is_ok());
    assert!(report(&[("a", true, Outcome::Accepted), ("b", false, fail()), ("c", false, stuck())]).result().is_ok());
    assert!(report(&[("a", true, Outcome::AlreadyAccepted)]).result().is_ok());
    assert!(report(&[("a", true, Outcome::Accepted), ("b", true, fail())]).result().is_err());
}

#[test]
fn transient_wins_and_all_are_named() {
    let permanent = || Outcome::Permanent("never".to_owned());
    let may_work_later = [
        Outcome::Transient("down".to_owned()),
        Outcome::Timeout,
        Outcome::BreakerOpen { probing: false },
        Outcome::BreakerOpen { probing: true },
        Outcome::BulkheadFull,
    ];
    for outcome in may_work_later {
        let report = report(&[("a", true, permanent()), ("b", true, outcome.clone()), ("c", true, Outcome::Accepted)]);
        let Err(MiniChatAuditPluginError::Transient(text)) = report.result() else { panic!("{outcome:?}") };
        assert_eq!(text, format!("not delivered to a (never), b ({outcome})"));
    }
    let report = report(&[("a", true, permanent()), ("b", true, stuck()), ("c", false, Outcome::Timeout)]);
    let Err(MiniChatAuditPluginError::Permanent(text)) = report.result() else { panic!("permanent") };
    assert_eq!(text, "not delivered to a (never), b (given up after 10 refusals, the last: no)");
}

#[test]
fn a_plugins_words_are_cut() {
    let long = report(&[("a", true, Outcome::Transient("é".repeat(10_000)))]);
    assert!(long.result().expect_err("it failed").to_string().len() < 1000);
}
