use serde_json::{Value, json};

use super::{State, Verdict, Verdicts};

const ID: &str = "a.b._.c.v1";
const OURS: &str = "00ff";

fn plugin(name: &str, digest: &str, probation: bool) -> Value {
    json!({
        "name": name, "library": ID, "serving": true, "swap": {},
        "instance": { "digest": digest, "generation": 4, "probation": probation, "version": "1.0.0" },
    })
}

fn status(plugins: &[Value]) -> Value {
    json!({ "plugins": plugins })
}

/// Waits for our build where another one serves.
fn waiting() -> Verdicts {
    let mut verdicts = Verdicts::new(ID, OURS);
    verdicts.status(&status(&[plugin("one", "aa", false)]), false);
    assert_eq!((verdicts.verdict(), &verdicts.slots["one"]), (None, &State::Waiting));
    verdicts
}

fn event(event: &str, more: Value) -> Value {
    let mut all = json!({ "event": event, "plugin": "one", "digest": OURS, "generation": 5 });
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

fn bad(verdicts: &Verdicts) -> (&'static str, String) {
    match verdicts.verdict() {
        Some(Verdict::Bad(_, code, why)) => (code, why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_serves_already_is_proven_at_once_and_on_probation_is_not() {
    let mut verdicts = Verdicts::new(ID, OURS);
    verdicts.status(&status(&[]), false);
    assert_eq!(verdicts.verdict(), None, "no slot, no verdict");
    verdicts.status(&status(&[plugin("one", OURS, true), plugin("two", OURS, false)]), false);
    assert_eq!(verdicts.verdict(), None);
    assert!(verdicts.event(&event("proven", json!({ "generation": 4 }))));
    assert_eq!(verdicts.verdict(), Some(Verdict::Proven));
}

#[test]
fn a_first_generation_has_no_probation() {
    let mut verdicts = Verdicts::new(ID, OURS);
    assert!(verdicts.event(&event("serving", json!({ "probation": false }))));
    assert_eq!(verdicts.verdict(), Some(Verdict::Proven));
}

#[test]
fn every_slot_of_the_library_counts_and_no_other() {
    let mut verdicts = Verdicts::new(ID, OURS);
    let mut other = plugin("other", "bb", false);
    other["library"] = json!("another.id._.x.v1");
    let off = json!({ "name": "off", "library": ID, "serving": false, "reason": ["disabled", ""], "swap": {} });
    verdicts.status(&status(&[plugin("one", OURS, false), plugin("two", "aa", false), other, off]), false);
    assert_eq!(verdicts.verdict(), None, "two has not got it");
    assert!(verdicts.event(&json!({ "event": "serving", "plugin": "two", "digest": OURS, "probation": false })));
    assert_eq!(verdicts.verdict(), Some(Verdict::Proven));
}

#[test]
fn probation_ends_well_or_not() {
    let mut verdicts = waiting();
    assert!(verdicts.event(&event("serving", json!({ "probation": true }))));
    assert!(!verdicts.event(&event("proven", json!({ "generation": 4 }))), "another generation's");
    assert_eq!(verdicts.verdict(), None);
    assert!(!verdicts.event(&event("refused", json!({ "message": "x" }))), "a reload of it");
    assert!(verdicts.event(&event("proven", json!({}))));
    assert_eq!(verdicts.verdict(), Some(Verdict::Proven));

    let mut verdicts = waiting();
    verdicts.event(&event("serving", json!({ "probation": true })));
    // What stood by serves again, and that is told first.
    assert!(verdicts.event(&event("serving", json!({ "digest": "aa", "generation": 4 }))));
    assert_eq!(verdicts.verdict(), None);
    assert!(verdicts.event(&event("rolled_back", json!({ "why": "20 errors" }))));
    assert_eq!(bad(&verdicts), ("rolled_back", "20 errors".to_owned()));
    verdicts.status(&status(&[plugin("one", "aa", false)]), false);
    assert_eq!(bad(&verdicts).0, "rolled_back");
}

#[test]
fn a_refusal_is_final_unless_it_is_tried_again() {
    let mut verdicts = waiting();
    assert!(!verdicts.event(&event("refused", json!({ "digest": "bb", "kind": "k", "message": "m" }))));
    assert!(verdicts.event(&event("refused", json!({ "kind": "k", "message": "not now", "retry_in_ms": 1000 }))));
    assert_eq!((verdicts.verdict(), &verdicts.slots["one"]), (None, &State::Retrying("not now".to_owned())));
    assert!(verdicts.event(&event("refused", json!({ "kind": "k", "message": "never", "retry_in_ms": null }))));
    assert_eq!(bad(&verdicts), ("refused", "k: never".to_owned()));
}

#[test]
fn another_build_in_between_is_none_of_ours() {
    let mut verdicts = waiting();
    // One that was under way before: ours is next.
    assert!(verdicts.event(&event("serving", json!({ "digest": "bb" }))));
    assert_eq!(verdicts.verdict(), None);
    verdicts.replaced();
    assert_eq!(bad(&verdicts).0, "replaced");

    let mut verdicts = waiting();
    verdicts.event(&event("serving", json!({ "probation": true })));
    verdicts.replaced();
    assert_eq!(verdicts.verdict(), None, "it serves, its probation decides");
    verdicts.event(&event("serving", json!({ "digest": "bbbbbbbbbbbbbbbb", "version": "2.0.0", "generation": 6 })));
    assert_eq!(bad(&verdicts), ("replaced", "another build serves instead: 2.0.0 bbbbbbbbbbbb".to_owned()));
}

#[test]
fn a_status_tells_what_lost_events_would_have() {
    let mut verdicts = waiting();
    let mut one = plugin("one", "aa", false);
    one["swap"]["quarantine"] = json!([{ "digest": OURS, "kind": "probation", "message": "3 panics" }]);
    verdicts.status(&status(&[one.clone()]), false);
    assert_eq!(bad(&verdicts), ("rolled_back", "3 panics".to_owned()));
    assert_eq!(waiting().quarantined(&status(&[one])), Some(("one".to_owned(), "probation: 3 panics".to_owned())));

    let mut verdicts = waiting();
    verdicts.event(&event("serving", json!({ "probation": true })));
    verdicts.status(&status(&[plugin("one", "bb", true)]), false);
    assert_eq!(verdicts.verdict(), None, "the event that says why is still to come");
    verdicts.status(&status(&[plugin("one", "bb", true)]), true);
    assert_eq!(bad(&verdicts).0, "replaced");
}

#[test]
fn a_plugin_that_is_disabled_meanwhile_does_not_serve() {
    let mut verdicts = waiting();
    assert!(verdicts.event(&event("disabled", json!({}))));
    assert_eq!(bad(&verdicts).0, "disabled");
}
