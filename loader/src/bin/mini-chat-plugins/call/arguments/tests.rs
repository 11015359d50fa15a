use super::*;

const USER: &str = "018f0000-0000-7000-8000-000000000002";

fn refused(method: Method, text: &str) -> String {
    Arguments::read(method, text).expect_err("refused")
}

#[test]
fn the_traits_own_names() {
    let text = format!(r#"{{"user_id":"{USER}","policy_version":7}}"#);
    let Ok(Arguments::UserLimits(user, 7)) = Arguments::read(Method::GetUserLimits, &text) else { panic!() };
    assert_eq!(user.to_string(), USER);
}

#[test]
fn a_refusal_names_key_path_expected_and_found_type() {
    let wrong = format!(r#"{{"user_id":"{USER}","policy_version":"7"}}"#);
    assert_eq!(refused(Method::GetPolicySnapshot, &wrong), "policy_version: expected u64, found string \"7\"");
    let missing = format!(r#"{{"user_id":"{USER}"}}"#);
    assert_eq!(refused(Method::GetUserLimits, &missing), "missing field `policy_version`");
    let unknown = format!(r#"{{"user_id":"{USER}","policy_version":7}}"#);
    let message = refused(Method::CheckUserLicense, &unknown);
    assert_eq!(message, "policy_version: unknown field `policy_version`, expected `user_id`");
    let message = refused(Method::CheckUserLicense, r#"{"user_id":"me"}"#);
    assert!(message.starts_with("user_id: UUID parsing failed") && message.ends_with("(found string)"), "{message}");
    assert_eq!(refused(Method::CheckUserLicense, "[]"), "expected an object, found array");
    assert!(refused(Method::CheckUserLicense, "{").starts_with("expected JSON, found EOF"));
}

#[test]
fn the_key_path_of_a_wrapped_event_begins_with_its_name() {
    let message = refused(Method::EmitTurnDeleteAudit, r#"{"event":{"event_type":5}}"#);
    assert!(message.starts_with("event.event_type: "), "{message}");
    let message = refused(Method::EmitTurnDeleteAudit, r#"{"event":7}"#);
    assert_eq!(message, "event: expected an object, found number");
    let message = refused(Method::PublishUsage, r#"{"payload":{},"cancel":true}"#);
    assert_eq!(message, "unknown key `cancel` beside `payload`");
}
