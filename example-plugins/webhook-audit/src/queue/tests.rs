//! The queue by itself, with a clock of the test's own.

use std::time::Duration;

use mini_chat_plugin_sdk::testing::TestContext;
use tokio::sync::oneshot;

use super::*;
use crate::event::Waiting;
use crate::failure::Outcome;

const BOUNDS: Bounds = Bounds {
    batch_events: 3,
    batch_bytes: 100,
    flush_after: Duration::from_millis(50),
    queue_events: 5,
    queue_bytes: 200,
};

fn event(name: usize, size: usize) -> Event {
    Event { id: name.to_string(), line: vec![b'x'; size], waiting: None }
}

/// An event whose call waits.
fn waiting(name: usize, size: usize, until: Instant) -> (Event, oneshot::Receiver<Outcome>) {
    let (done, answer) = oneshot::channel();
    (Event { waiting: Some(Waiting { done, until }), ..event(name, size) }, answer)
}

fn names(next: Next) -> Vec<String> {
    match next {
        Next::Send(events) => events.into_iter().map(|event| event.id).collect(),
        other => panic!("expected a batch, found {other:?}"),
    }
}

fn queue() -> (Arc<Queue>, TestContext) {
    let test = TestContext::new("audit");
    (Arc::new(Queue::new(BOUNDS, Unsent::new(test.context()))), test)
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_full_by_number() {
    let (mut state, now) = (State::default(), Instant::now());
    assert!(matches!(state.next(&BOUNDS, now), Next::Wait));
    let woken = [0, 1, 2, 3].map(|name| state.push(&BOUNDS, event(name, 1), now).unwrap());
    assert_eq!(woken, [true, false, true, true], "the first starts the clock, the third makes it full");
    assert_eq!(names(state.next(&BOUNDS, now)), ["0", "1", "2"]);
    let due = now + BOUNDS.flush_after;
    assert!(matches!(state.next(&BOUNDS, now), Next::At(at) if at == due));
    assert_eq!(names(state.next(&BOUNDS, due)), ["3"]);
    assert!(matches!(state.next(&BOUNDS, due), Next::Wait));
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_full_by_bytes() {
    let (mut state, now) = (State::default(), Instant::now());
    state.push(&BOUNDS, event(0, 60), now).unwrap();
    assert!(matches!(state.next(&BOUNDS, now), Next::At(_)));
    assert!(state.push(&BOUNDS, event(1, 41), now).unwrap());
    // They do not fit together, by a byte.
    assert_eq!(names(state.next(&BOUNDS, now)), ["0"]);
    state.push(&BOUNDS, event(2, 59), now).unwrap();
    assert_eq!(names(state.next(&BOUNDS, now)), ["1", "2"], "exactly full");
    let mut state = State::default();
    state.push(&BOUNDS, event(3, 101), now).unwrap();
    assert_eq!(names(state.next(&BOUNDS, now)), ["3"], "larger than any batch");
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_that_of_the_first() {
    let (queue, _test) = queue();
    let start = Instant::now();
    queue.push(event(0, 1)).unwrap();
    tokio::time::advance(Duration::from_millis(30)).await;
    queue.push(event(1, 1)).unwrap();
    let batch = queue.take().await.unwrap();
    assert_eq!((batch.len(), start.elapsed()), (2, BOUNDS.flush_after));
    batch.settle(&Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_bounded_until_it_is_settled() {
    let (queue, _test) = queue();
    for name in 0..5 {
        queue.push(event(name, 1)).unwrap();
    }
    let batch = queue.take().await.unwrap();
    assert_eq!(queue.push(event(5, 1)), Err(Refused::Full { events: 5, bytes: 5 }), "a batch under way is held");
    batch.settle(&Ok(()));
    for name in 5..8 {
        queue.push(event(name, 1)).unwrap();
    }
    assert_eq!(queue.push(event(8, 1)), Err(Refused::Full { events: 5, bytes: 5 }));

    let (queue, _test) = self::queue();
    queue.push(event(0, 150)).unwrap();
    assert_eq!(queue.push(event(1, 51)), Err(Refused::Full { events: 1, bytes: 150 }));
    queue.push(event(1, 50)).unwrap();
    assert_eq!(queue.push(event(2, 201)), Err(Refused::TooLarge { bytes: 201, most: 200 }));
    for _ in 0..2 {
        queue.take().await.unwrap().settle(&Ok(()));
    }
    queue.push(event(2, 200)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_let_go() {
    let (queue, test) = queue();
    let until = Instant::now();
    let (mut answers, push) = (Vec::new(), |name| {
        let (event, answer) = waiting(name, 1, until);
        queue.push(event).unwrap();
        answer
    });
    for name in 0..5 {
        answers.push(push(name));
    }
    answers.drain(1..4);
    assert!(queue.push(event(5, 1)).is_ok(), "there is room");
    let batch = queue.take().await.unwrap();
    assert_eq!((batch.len(), batch.until()), (3, None), "somebody relies on it who does not wait");
    batch.settle(&Ok(()));
    assert!(answers.into_iter().all(|mut answer| matches!(answer.try_recv(), Ok(Ok(())))));
    assert_eq!(queue.state().held_events, 0);
    assert_eq!(test.records(), []);
}

#[tokio::test(start_paused = true)]
async fn the_last_call_of_a_batch_bounds_it() {
    let (queue, _test) = queue();
    let now = Instant::now();
    let answers = [7, 9, 8].map(|seconds| {
        let (event, answer) = waiting(0, 1, now + Duration::from_secs(seconds));
        queue.push(event).unwrap();
        answer
    });
    let batch = queue.take().await.unwrap();
    assert_eq!(batch.until(), Some(now + Duration::from_secs(9)));
    assert!(!batch.is_given_up());
    drop(answers);
    assert!(batch.is_given_up());
}

#[tokio::test(start_paused = true)]
async fn a_closed_queue_gives_out_all_and_takes_nothing() {
    let (queue, test) = queue();
    let ending = {
        let queue = Arc::clone(&queue);
        tokio::spawn(async move {
            let mut sizes = Vec::new();
            while let Some(batch) = queue.take().await {
                sizes.push(batch.len());
                // Dropped: as by a panic.
            }
            sizes
        })
    };
    tokio::task::yield_now().await;
    let (call, answer) = waiting(0, 1, Instant::now());
    queue.push(call).unwrap();
    for name in 1..5 {
        queue.push(event(name, 1)).unwrap();
    }
    let start = Instant::now();
    queue.close();
    assert_eq!(queue.push(event(5, 1)), Err(Refused::Closed));
    assert_eq!(ending.await.unwrap(), [3, 2]);
    assert_eq!(start.elapsed(), Duration::ZERO, "without waiting for more");
    assert!(answer.await.unwrap().is_err());
    assert_eq!(queue.unsent.count(), 5);
    let records: Vec<_> = test.records().into_iter().map(|record| record.message).collect();
    let ends = ["ids: 1 2", "ids: 0", "ids: 3 4"];
    assert!(records.iter().zip(ends).all(|(record, end)| record.ends_with(end)), "{records:?}");
    assert_eq!(records.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn many_ids_are_many_records() {
    let test = TestContext::new("audit");
    let unsent = Unsent::new(test.context());
    let ids: Vec<_> = (0..250).map(|number| format!("<{number}>")).collect();
    unsent.lost(&ids, &crate::failure::Failure::Ended);
    let all = test.records().into_iter().map(|record| record.message).collect::<String>();
    assert!(ids.iter().all(|id| all.matches(id).count() == 1));
    assert_eq!((test.records().len(), unsent.count()), (3, 250));
}
