use super::*;

#[test]
fn a_retry_after_is_seconds_or_a_date() {
    let now = OffsetDateTime::parse("Sun, 06 Nov 1994 08:49:37 GMT", &Rfc2822).unwrap();
    let seconds = |text| wait_of(text, now).map(|wait| wait.as_secs());
    assert_eq!(seconds("0"), Some(0));
    assert_eq!(seconds(" 120 "), Some(120));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    for long in ["86401", "99999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        assert_eq!(seconds(long), Some(86_400), "{long}");
    }
    for nothing in ["", "-1", "1.5", "soon", "06 Nov"] {
        assert_eq!(seconds(nothing), None, "{nothing}");
    }
}
