use super::*;

const DEFAULT: Duration = Duration::from_secs(7);

fn left_of(remaining: Option<Duration>) -> Duration {
    TimeLimit::new(remaining, DEFAULT).left()
}

#[tokio::test(start_paused = true)]
async fn a_margin_is_left_of_the_hosts_deadline_and_none_of_the_default() {
    assert_eq!(left_of(Some(Duration::from_secs(5))), Duration::from_millis(4_950));
    assert_eq!(left_of(Some(Duration::from_millis(100))), Duration::from_millis(90));
    assert_eq!(left_of(Some(Duration::ZERO)), Duration::ZERO);
    assert_eq!(left_of(None), DEFAULT);
    assert!(left_of(Some(Duration::MAX)) >= Duration::from_secs(24 * 60 * 60));
}

#[tokio::test(start_paused = true)]
async fn work_is_dropped_when_its_time_is_over() {
    let limit = TimeLimit::new(None, DEFAULT);
    let started = Instant::now();
    let result = limit.run(&CancellationToken::new(), std::future::pending::<Result<(), Failure>>()).await;
    assert!(matches!(result, Err(Failure::OutOfTime { .. })));
    assert_eq!(started.elapsed(), DEFAULT);
}

#[test]
fn back_off_grows_to_a_bound_and_is_jittered() {
    for (tries, whole) in [(1, 100), (2, 200), (3, 400), (5, 1_600), (6, 2_000), (u64::MAX, 2_000)] {
        let waits = (0..200).map(|_| back_off(tries)).collect::<Vec<_>>();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*least >= Duration::from_millis(whole / 2) && *most <= Duration::from_millis(whole), "{tries}");
        assert!(most > least, "{tries}: always {most:?}");
    }
}
