//! Plugins that hold the thread of who polls them.

use std::time::{Duration, Instant};

use futures_executor::block_on;

use super::world::{Act, World, numbered};
use crate::audit::held::Held;

const S: fn(u64) -> Duration = Duration::from_secs;

#[test]
fn the_pause_doubles_as_long_as_it_goes_on() {
    let (held, mut now) = (Held::default(), Instant::now());
    assert!(held.is_over(now));
    for length in [1, 2, 4, 8, 16, 32, 60, 60].map(S) {
        held.note(now);
        // Other callers that it held at the same time.
        held.note(now + length / 2);
        assert!(!held.is_over(now + length - S(1) / 1000));
        now += length;
        assert!(held.is_over(now), "{length:?}");
    }
    // It has behaved for as long as the last pause was.
    now += S(60);
    held.note(now);
    assert!(!held.is_over(now) && held.is_over(now + S(1)));
    held.reset();
    assert!(held.is_over(now), "another build");
}

#[test]
fn one_that_holds_its_caller_runs_apart_for_a_while() {
    let (world, [a, b]) = World::settled(["a", "b"]);
    let isolated = |number| {
        assert!(block_on(world.fan_out.deliver_turn(numbered(number))).result().is_ok());
        [&a, &b].map(|plugin| plugin.calls().last().expect("a call").options.isolated)
    };
    a.does([Act::TakeAfter(Duration::from_millis(99)), Act::Take, Act::TakeAfter(Duration::from_millis(100))]);
    assert_eq!(isolated(1), [false, false]);
    assert_eq!(isolated(2), [false, false], "not long enough");
    assert_eq!(isolated(3), [false, false]);
    assert_eq!(isolated(4), [true, false]);
    world.time.pass(S(1));
    // On its own threads it may take as long as it likes.
    assert_eq!(isolated(5), [false, false]);
    a.does([Act::TakeAfter(S(1))]);
    assert_eq!(isolated(6), [false, false]);
    assert_eq!(isolated(7), [true, false]);
    a.does([Act::TakeAfter(S(2))]);
    assert_eq!(isolated(8), [true, false]);
    assert_eq!(isolated(9), [false, false], "two seconds, and it may be polled again");
    a.does([Act::TakeAfter(S(1))]);
    assert_eq!(isolated(10), [false, false]);
    assert_eq!(isolated(11), [true, false]);
    world.change("a", |plugin| plugin.generation = Some(2));
    assert_eq!(isolated(12), [true, false], "nothing is known of another build");
    assert_eq!(isolated(13), [false, false]);
}
