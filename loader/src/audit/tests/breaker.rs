//! The breaker, with made-up times.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::audit::breaker::{Admission, Breaker, Change, Rule, Verdict};

const S: fn(u64) -> Duration = Duration::from_secs;

fn rule() -> Rule {
    Rule { failures: 3, permanents: 4, pause: S(5) }
}

/// Lets one delivery through, with this verdict.
fn one(breaker: &mut Breaker, verdict: Verdict, now: Instant) -> Change {
    match breaker.admit(now) {
        Admission::Pass(epoch) | Admission::Probe(epoch) => breaker.record(epoch, verdict, now, rule()),
        Admission::Refused => panic!("it is refused"),
    }
}

fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::new();
    (0..2).for_each(|_| assert_eq!(one(&mut breaker, Verdict::Failed, now), Change::None));
    assert_eq!(one(&mut breaker, Verdict::Failed, now), Change::Opened { pause: S(5), anew: true });
    breaker
}

#[test]
fn failures_in_a_row_open_it() {
    let now = Instant::now();
    let mut breaker = opened(now);
    assert_eq!((breaker.name(), breaker.admit(now)), ("open", Admission::Refused));
    assert_eq!(breaker.admit(now + Duration::from_millis(4999)), Admission::Refused);
    assert!(matches!(breaker.admit(now + S(5)), Admission::Probe(_)));
    assert_eq!((breaker.name(), breaker.admit(now + S(5))), ("half_open", Admission::Refused), "one probe at a time");
}

#[test]
fn a_good_one_in_between_keeps_it_closed() {
    let (now, mut breaker) = (Instant::now(), Breaker::new());
    for _ in 0..10 {
        for verdict in [Verdict::Failed, Verdict::Permanent, Verdict::Failed, Verdict::Unknown, Verdict::Good] {
            assert_eq!(one(&mut breaker, verdict, now), Change::None);
            assert_eq!(breaker.clean().is_some(), verdict == Verdict::Good);
        }
    }
}

#[test]
fn permanents_have_a_count_of_their_own() {
    let (now, mut breaker) = (Instant::now(), Breaker::new());
    (0..2).for_each(|_| assert_eq!(one(&mut breaker, Verdict::Failed, now), Change::None));
    (0..3).for_each(|_| assert_eq!(one(&mut breaker, Verdict::Permanent, now), Change::None));
    assert_eq!(one(&mut breaker, Verdict::Permanent, now), Change::Opened { pause: S(5), anew: true });
}

#[test]
fn zero_is_never() {
    let (now, mut breaker) = (Instant::now(), Breaker::new());
    let rule = Rule { failures: 0, permanents: 0, pause: S(5) };
    for verdict in [Verdict::Failed, Verdict::Permanent].repeat(1000) {
        let Admission::Pass(epoch) = breaker.admit(now) else { panic!("it is closed") };
        assert_eq!(breaker.record(epoch, verdict, now, rule), Change::None);
    }
}

#[test]
fn the_pause_doubles_up_to_a_minute() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    let mut pause = S(5);
    for expected in [10, 20, 40, 60, 60] {
        now += pause;
        pause = S(expected);
        assert_eq!(one(&mut breaker, Verdict::Failed, now), Change::Opened { pause, anew: false });
    }
    // Given up: the same again. An answer, though Permanent: as at first.
    now += pause;
    assert_eq!(one(&mut breaker, Verdict::Unknown, now), Change::Opened { pause, anew: false });
    now += pause;
    assert_eq!(one(&mut breaker, Verdict::Permanent, now), Change::Opened { pause: S(5), anew: false });
    now += S(5);
    assert_eq!(one(&mut breaker, Verdict::Good, now), Change::Closed);
    assert!(breaker.clean().is_some());
    assert_eq!(one(&mut breaker, Verdict::Failed, now), Change::None);
}

#[test]
fn what_began_before_a_change_says_nothing_after_it() {
    let now = Instant::now();
    let mut breaker = Breaker::new();
    let Admission::Pass(before) = breaker.admit(now) else { panic!("it is closed") };
    for _ in 0..3 {
        one(&mut breaker, Verdict::Failed, now);
    }
    assert_eq!(breaker.record(before, Verdict::Good, now, rule()), Change::None);
    assert_eq!(breaker.name(), "open");
    let Admission::Probe(probe) = breaker.admit(now + S(5)) else { panic!("it is time") };
    assert_eq!(breaker.record(before, Verdict::Good, now, rule()), Change::None);
    breaker.reset();
    assert_eq!((breaker.name(), breaker.clean()), ("closed", None));
    assert_eq!(breaker.record(probe, Verdict::Failed, now, rule()), Change::None);
    assert_eq!(breaker.name(), "closed");
}

proptest! {
    /// Whatever happens in whatever order: it refuses only after failures, for no longer than its pause, and there is at
    /// most one probe.
    #[test]
    fn it_keeps_its_word(steps in proptest::collection::vec((0_u64..8_000, 0_usize..5, any::<bool>()), 1..200)) {
        let (mut now, mut breaker) = (Instant::now(), Breaker::new());
        let (mut under_way, mut probe): (Vec<u64>, Option<u64>) = (Vec::new(), None);
        let (mut bad, mut until) = (0, now);
        for (ms, verdict, begin) in steps {
            now += Duration::from_millis(ms);
            if begin {
                match breaker.admit(now) {
                    Admission::Pass(epoch) => {
                        prop_assert_eq!(breaker.name(), "closed");
                        under_way.push(epoch);
                    }
                    Admission::Probe(epoch) => {
                        prop_assert!(now >= until && probe.is_none());
                        probe = Some(epoch);
                    }
                    Admission::Refused => prop_assert!(probe.is_some() || (now < until && bad >= 3)),
                }
                continue;
            }
            let is_probe = probe.is_some() && verdict % 2 == 0;
            let Some(epoch) = (if is_probe { probe.take() } else { under_way.pop() }) else { continue };
            let verdict = [Verdict::Good, Verdict::Failed, Verdict::Failed, Verdict::Permanent, Verdict::Unknown][verdict];
            bad += u32::from(verdict != Verdict::Good);
            match breaker.record(epoch, verdict, now, rule()) {
                Change::None => prop_assert!(!is_probe, "a probe decides"),
                Change::Opened { pause, anew } => {
                    prop_assert!(verdict != Verdict::Good && bad >= 3 && anew != is_probe);
                    prop_assert!(pause >= S(5) && pause <= S(60));
                    until = now + pause;
                }
                Change::Closed => {
                    prop_assert!(is_probe && verdict == Verdict::Good);
                }
            }
        }
    }
}
