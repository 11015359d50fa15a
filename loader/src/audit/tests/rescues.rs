//! Deliveries that are taken away from a thread that a plugin holds.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_executor::block_on;

use super::world::{Act, Plugin, World, eventually, numbered};
use crate::audit::{AuditReport, Outcome};

fn names(report: &AuditReport) -> Vec<&'static str> {
    report.deliveries.iter().map(|delivery| delivery.outcome.name()).collect()
}

fn isolated(plugin: &Plugin) -> bool {
    plugin.calls().last().expect("a call").options.isolated
}

fn in_flight(world: &World) -> Vec<u32> {
    world.fan_out.counters().plugins.iter().map(|plugin| plugin.in_flight).collect()
}

/// What the lookout does when it has seen a poll for too long.
fn seen_to_block(world: &World) -> impl Fn() + Send + Sync + 'static {
    let shared = Arc::clone(&world.fan_out.shared);
    move || shared.lookout.rescue_all()
}

/// Holds its thread, and is seen to, until each of these has so many calls.
fn blocks_until(world: &World, plugins: &[&Arc<Plugin>], calls: usize) -> Act {
    let plugins: Vec<_> = plugins.iter().map(|plugin| Arc::clone(plugin)).collect();
    let seen = seen_to_block(world);
    Act::runs(move || {
        seen();
        eventually("the others have the event", || plugins.iter().all(|other| other.count() == calls));
    })
}

#[test]
fn one_that_blocks_at_once_holds_up_nobody() {
    let (world, [a, b, c]) = World::settled(["a", "b", "c"]);
    a.does([blocks_until(&world, &[&b, &c], 2)]);
    let report = block_on(world.fan_out.deliver_turn(numbered(1)));
    assert_eq!(names(&report), ["accepted"; 3]);
    assert_eq!([isolated(&a), isolated(&b), isolated(&c)], [false, true, true]);
    assert_eq!(in_flight(&world), [0; 3]);
    // All is as before.
    let report = block_on(world.fan_out.deliver_turn(numbered(2)));
    assert_eq!(names(&report), ["accepted"; 3]);
    assert_eq!([a.count(), b.count(), c.count()], [3; 3]);
}

#[test]
fn one_in_the_middle_holds_up_nobody() {
    let (world, [a, b, c]) = World::settled(["a", "b", "c"]);
    b.does([blocks_until(&world, &[&c], 2)]);
    let report = block_on(world.fan_out.deliver_turn(numbered(1)));
    assert_eq!(names(&report), ["accepted"; 3]);
    assert_eq!([isolated(&a), isolated(&b), isolated(&c)], [false, false, true]);
}

/// The others wait on the same thread when it blocks: they go on, and end, elsewhere. One of them blocks there, which holds up
/// nobody either.
#[test]
fn one_that_blocks_later_holds_up_nobody() {
    let (world, [a, b, c]) = World::settled(["a", "b", "c"]);
    let (blocking, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let waits = |wakers: &Arc<Mutex<Vec<Waker>>>, then: Arc<dyn Fn() + Send + Sync>| {
        let (wakers, blocking) = (Arc::clone(wakers), Arc::clone(&blocking));
        Act::polls(move |cx| {
            if !blocking.load(Ordering::SeqCst) {
                wakers.lock().unwrap().push(cx.waker().clone());
                return Poll::Pending;
            }
            then();
            Poll::Ready(())
        })
    };
    let of_a: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let ended = |others: u32| {
        let done = Arc::clone(&done);
        move || eventually("the others have ended", || done.load(Ordering::SeqCst) == others)
    };
    let (of_others, both_ended, c_ended) = (Arc::clone(&wakers), ended(2), ended(1));
    let seen = seen_to_block(&world);
    a.does([waits(
        &of_a,
        Arc::new(move || {
            of_others.lock().unwrap().drain(..).for_each(Waker::wake);
            seen();
            both_ended();
        }),
    )]);
    let (of_b, of_c) = (Arc::clone(&done), Arc::clone(&done));
    b.does([waits(
        &wakers,
        Arc::new(move || {
            c_ended();
            of_b.fetch_add(1, Ordering::SeqCst);
        }),
    )]);
    c.does([waits(&wakers, Arc::new(move || _ = of_c.fetch_add(1, Ordering::SeqCst)))]);
    let mut delivering = Box::pin(world.fan_out.deliver_turn(numbered(1)));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(delivering.as_mut().poll(&mut cx).is_pending());
    assert_eq!([a.count(), b.count(), c.count()], [2; 3]);
    assert_eq!([isolated(&a), isolated(&b), isolated(&c)], [false; 3]);
    blocking.store(true, Ordering::SeqCst);
    of_a.lock().unwrap().drain(..).for_each(Waker::wake);
    assert_eq!(names(&block_on(delivering)), ["accepted"; 3]);
    assert_eq!([a.count(), b.count(), c.count()], [2; 3]);
    assert_eq!(in_flight(&world), [0; 3]);
}

#[test]
fn a_caller_that_gives_up_gives_up_what_was_taken_away_too() {
    let (world, [a, b]) = World::settled(["a", "b"]);
    a.does([blocks_until(&world, &[&b], 2)]);
    b.does([Act::Never]);
    let mut delivering = Box::pin(world.fan_out.deliver_turn(numbered(1)));
    assert!(delivering.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!((isolated(&b), in_flight(&world)), (true, vec![0, 1]));
    drop(delivering);
    eventually("its call is dropped", || in_flight(&world) == [0, 0]);
    let counters = world.fan_out.counters();
    assert_eq!(counters.failed, 1);
    let told: Vec<_> = counters.plugins.iter().map(|plugin| (plugin.with("accepted"), plugin.abandoned)).collect();
    assert_eq!(told, [(2, 0), (1, 1)]);
    let report = block_on(world.fan_out.deliver_turn(numbered(1)));
    assert_eq!(names(&report), ["already_accepted", "accepted"]);
}

#[test]
fn one_that_panics_takes_nothing_from_the_others() {
    let (world, [a, b, c]) = World::settled(["a", "b", "c"]);
    a.does([Act::runs(|| panic!("oh no"))]);
    let report = block_on(world.fan_out.deliver_turn(numbered(1)));
    assert_eq!(names(&report), ["transient", "accepted", "accepted"]);
    assert!(report.result().expect_err("a is required").to_string().contains("oh no"));
    // The same elsewhere.
    let panics = Act::runs(|| panic!("oh no"));
    b.does([blocks_until(&world, &[&a, &c], 3)]);
    c.does([panics]);
    let report = block_on(world.fan_out.deliver_turn(numbered(2)));
    assert_eq!(names(&report), ["accepted", "accepted", "transient"]);
    assert!(isolated(&c));
    assert_eq!(in_flight(&world), [0; 3]);
}

#[test]
fn calls_are_made_in_the_callers_span_wherever_they_are() {
    let (world, [a, b, c]) = World::settled(["a", "b", "c"]);
    a.does([blocks_until(&world, &[&b, &c], 2)]);
    tracing::subscriber::with_default(tracing_subscriber::registry(), || {
        let delivering = || block_on(world.fan_out.deliver_turn(numbered(1)));
        let report = tracing::info_span!("the caller").in_scope(delivering);
        assert_eq!(names(&report), ["accepted"; 3]);
    });
    assert_eq!([isolated(&a), isolated(&b), isolated(&c)], [false, true, true]);
    for plugin in [a, b, c] {
        assert_eq!(plugin.calls()[1].span, Some("the caller"));
        assert!(!plugin.calls()[1].options.key().is_empty(), "options go along");
    }
}

/// Whenever deliveries are taken away, each is made once, and its outcome is told.
#[test]
fn whenever_it_happens_each_plugin_gets_each_event_once() {
    let (world, plugins) = World::settled(["a", "b", "c", "d"]);
    // The first event finds plugins of which nothing is known.
    let rescued = |call: &super::world::Call| call.text != "0" && call.options.isolated;
    let rescued = || plugins.iter().any(|plugin| plugin.calls().iter().any(rescued));
    let stop = AtomicBool::new(false);
    let events = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turns = 0_u32;
            while !stop.load(Ordering::SeqCst) {
                world.fan_out.shared.lookout.rescue_all();
                turns = turns.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (0..turns >> 22).for_each(|_| std::hint::spin_loop());
                std::thread::yield_now();
            }
        });
        let mut number = 0;
        while number < 10_000 || (number < 1_000_000 && (number % 1_000 != 0 || !rescued())) {
            number += 1;
            for plugin in &plugins[1..3] {
                let polls = AtomicU32::new(0);
                plugin.does([Act::polls(move |cx| {
                    // Its second poll comes with the first, the third when the caller comes back to it.
                    if polls.fetch_add(1, Ordering::SeqCst) == 2 {
                        return Poll::Ready(());
                    }
                    cx.waker().wake_by_ref();
                    Poll::Pending
                })]);
            }
            let report = block_on(world.fan_out.deliver_turn(numbered(number)));
            let accepted = report.deliveries.iter().all(|delivery| delivery.outcome == Outcome::Accepted);
            assert!(accepted, "{number}: {report:?}");
        }
        stop.store(true, Ordering::SeqCst);
        number
    });
    assert!(rescued(), "nothing was taken away");
    for plugin in &plugins {
        let texts: BTreeSet<_> = plugin.calls().into_iter().map(|call| call.text).collect();
        assert_eq!((plugin.count() as u128, texts.len() as u128), (events + 1, events + 1));
    }
    assert_eq!(in_flight(&world), [0; 4]);
}
