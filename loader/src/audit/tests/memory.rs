//! What is remembered of events, and when one is stuck.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use uuid::Uuid;

use super::world::turn;
use crate::audit::event::{AuditEvent, EventKey};
use crate::audit::memory::{Memory, Past, Refusals, StuckRule};

const MINUTE: Duration = Duration::from_secs(60);
const RULE: StuckRule = StuckRule { refusals: 3, after: MINUTE };

fn key(number: u128) -> EventKey {
    let mut event = turn();
    event.request_id = Uuid::from_u128(number);
    event.key()
}

fn memory(capacity: usize) -> Memory {
    Memory::new(NonZeroUsize::new(capacity).expect("not zero"))
}

#[test]
fn a_key_tells_events_apart() {
    let mut event = turn();
    let one = event.key();
    assert_eq!(one.to_string(), format!("{}:turn_completed:{}", event.tenant_id, event.request_id));
    event.turn_id = Uuid::from_u128(99);
    assert_eq!(event.key(), one, "turns are not what they are told apart by");
    event.tenant_id = Uuid::from_u128(98);
    assert_ne!(event.key(), one);
}

#[test]
fn an_event_is_stuck_only_after_so_many_and_so_long() {
    let (memory, plugin, start): (_, Arc<str>, _) = (memory(8), "a".into(), Instant::now());
    // Often, but not for long.
    for _ in 0..10 {
        assert_eq!(memory.refused(key(1), &plugin, start, RULE), None);
    }
    assert_eq!(memory.refused(key(1), &plugin, start + MINUTE, RULE).map(|refusals| refusals.count), Some(11));
    // For long, but not often.
    assert_eq!(memory.refused(key(2), &plugin, start, RULE), None);
    assert_eq!(memory.refused(key(2), &plugin, start + MINUTE * 9, RULE), None);
    assert!(memory.refused(key(2), &plugin, start + MINUTE * 9, RULE).is_some());
    // By each plugin for itself.
    assert_eq!(memory.refused(key(2), &"b".into(), start + MINUTE * 9, RULE), None);
    assert!(matches!(memory.recall(&key(1))[..], [(_, Past::Stuck(Refusals { count: 11, .. }))]));
}

#[test]
fn accepted_is_accepted() {
    let (memory, plugin, now): (_, Arc<str>, _) = (memory(8), "a".into(), Instant::now());
    memory.accepted(key(1), &plugin);
    assert_eq!(memory.refused(key(1), &plugin, now, StuckRule { refusals: 1, after: Duration::ZERO }), None);
    assert_eq!(memory.recall(&key(1)), [(Arc::clone(&plugin), Past::Accepted)]);
    memory.forget(&key(1));
    assert_eq!((memory.recall(&key(1)).len(), memory.len()), (0, 0));
}

#[test]
fn the_event_tried_longest_ago_is_forgotten_first() {
    let (memory, plugin): (_, Arc<str>) = (memory(100), "a".into());
    for number in 0..1000 {
        memory.accepted(key(number), &plugin);
        // Still tried.
        assert_eq!(memory.recall(&key(0)).len(), 1, "after {number}");
        assert!(memory.len() <= 100);
    }
    assert_eq!(memory.recall(&key(1)), []);
    assert_eq!(memory.recall(&key(999)).len(), 1);
}

proptest! {
    #[test]
    fn refusals_are_stuck_as_the_rule_says(steps in proptest::collection::vec(0_u64..40, 1..30), n in 1_u32..8, s in 0_u64..300) {
        let rule = StuckRule { refusals: n, after: Duration::from_secs(s) };
        let start = Instant::now();
        let (mut refusals, mut passed, mut was_stuck) = (None, 0, false);
        for (count, step) in (1..).zip(steps) {
            // The first refusal is when time begins.
            passed += if count == 1 { 0 } else { step };
            let now = start + Duration::from_secs(passed);
            let next = Refusals::one_more(refusals, now);
            prop_assert_eq!(next.is_stuck(now, rule), count >= n && passed >= s);
            prop_assert!(!was_stuck || next.is_stuck(now, rule), "stuck stays stuck");
            was_stuck = next.is_stuck(now, rule);
            refusals = Some(next);
        }
    }
}
