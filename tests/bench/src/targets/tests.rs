//! Targets find their rows.

use super::*;
use crate::calls;

/// A row of one way, at 100 ns for the baseline.
fn row(section: &str, case: &str, way: &str, added: Option<f64>) -> Row {
    let median_ns = 100.0 + added.unwrap_or(0.0);
    Row {
        section: section.to_owned(),
        case: case.to_owned(),
        way: way.to_owned(),
        baseline: added.map(|_| "linked".to_owned()),
        median_ns,
        p99_ns: None,
        ratio: added.map(|_| median_ns / 100.0),
        spread: [1.0, 1.0],
        added_ns: added,
        allocations: None,
        memory: None,
    }
}

#[test]
fn every_target_is_of_a_case_that_there_is() {
    let cases: Vec<_> = calls::ready().into_iter().chain(calls::other()).map(|case| case.name).collect();
    // Those whose names are made where their ways are: by the part, not by the call.
    let elsewhere = [HOP, CALLERS[1], "fan-out to 4, 16 KiB"];
    for target in ALL {
        assert!(elsewhere.contains(&target.case) || cases.iter().any(|case| case == target.case), "{}", target.case);
    }
}

#[test]
fn a_ratio_is_that_of_the_part_and_its_way() {
    let bare = row("bare", "publish_usage", "inline", Some(50.0));
    assert_eq!(ratio(&bare, &[]), Some(1.5));
    assert_eq!(ratio(&row("as shipped", "publish_usage", "adaptive", Some(50.0)), &[]), Some(1.8));
    assert_eq!(ratio(&row("bare", "publish_usage", "adaptive", Some(50.0)), &[]), None);
    assert_eq!(ratio(&row("as shipped", "publish_usage, multi_thread host", "adaptive", Some(50.0)), &[]), None);
    assert_eq!(ratio(&row("alternatives", "publish_usage", "inline", Some(50.0)), &[]), None);
    assert_eq!(ratio(&row("bare", HOP, "isolated", Some(50.0)), &[]), Some(1.2));
}

#[test]
fn what_is_added_is_made_a_ratio_with_the_baseline() {
    let rows =
        [row("bare", "wakes itself once", "linked", None), row("bare", "wakes itself once", "inline", Some(900.0))];
    assert_eq!(ratio(&rows[1], &rows), Some(3.5));
    assert_eq!(ratio(&rows[1], &rows[1..]), None, "without the baseline there is no ratio");
}

#[test]
fn two_callers_are_compared_with_one() {
    let [one, two] = CALLERS;
    let rows = [
        row("bare", one, "inline", Some(200.0)),
        row("bare", two, "linked", None),
        row("bare", two, "inline", Some(500.0)),
    ];
    assert_eq!(ratio(&rows[2], &rows), Some(3.6));
    assert_eq!(ratio(&rows[0], &rows), None);
}
