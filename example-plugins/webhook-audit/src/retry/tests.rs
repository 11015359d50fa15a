use super::*;

#[tokio::test(start_paused = true)]
async fn a_margin_is_left_of_the_hosts_deadline_and_none_of_the_default() {
    let left = |remaining| end(remaining, Duration::from_secs(7)) - Instant::now();
    assert_eq!(left(Some(Duration::from_secs(5))), Duration::from_millis(4_950));
    assert_eq!(left(Some(Duration::from_millis(100))), Duration::from_millis(90));
    assert_eq!(left(Some(Duration::ZERO)), Duration::ZERO);
    assert_eq!(left(None), Duration::from_secs(7));
    assert!(left(Some(Duration::MAX)) >= Duration::from_secs(24 * 60 * 60));
}

#[test]
fn the_bound_doubles_up_to_a_limit_and_waits_lie_anywhere_below_it() {
    for (tries, whole) in [(1, 100), (2, 200), (3, 400), (7, 6_400), (8, 10_000), (u64::MAX, 10_000)] {
        assert_eq!(bound(tries), Duration::from_millis(whole), "{tries}");
        let waits = (0..1_000).map(|_| back_off(tries)).collect::<Vec<_>>();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*most <= bound(tries), "{tries}: {most:?}");
        // Of a thousand, not one in the lowest or highest tenth: once in 10^45 runs.
        assert!(*least < bound(tries) / 10 && *most > bound(tries) * 9 / 10, "{tries}: {least:?} to {most:?}");
    }
}

#[test]
fn a_retry_after_is_seconds_or_a_date() {
    let now = OffsetDateTime::parse("Sun, 06 Nov 1994 08:49:37 GMT", &Rfc2822).unwrap();
    let seconds = |text| wait_of(text, now).map(|wait| wait.as_secs());
    assert_eq!(seconds("0"), Some(0));
    assert_eq!(seconds(" 120 "), Some(120));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
    assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    assert_eq!(seconds("99999999999999999999999"), Some(u64::MAX));
    for nothing in ["", "-1", "1.5", "soon", "06 Nov"] {
        assert_eq!(seconds(nothing), None, "{nothing}");
    }
}
