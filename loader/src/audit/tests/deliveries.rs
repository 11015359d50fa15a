//! Deliveries and retries.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_executor::block_on;
use mini_chat_plugin_sdk::audit_models::TurnAuditEvent;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use uuid::Uuid;

use super::world::{Act, World, delete, delivery, eventually, mutation, turn};
use crate::audit::event::AuditEvent;
use crate::audit::memory::Past;
use crate::audit::{AuditReport, FanOutConfig, Outcome};
use crate::call::CallOptions;

fn names(report: &AuditReport) -> Vec<&'static str> {
    report.deliveries.iter().map(|delivery| delivery.outcome.name()).collect()
}

#[test]
fn every_plugin_gets_every_event_by_its_method() {
    let (world, plugins) = World::with(["a", "b", "c"]);
    let fan_out: &dyn MiniChatAuditPluginClientV1 = &world.fan_out;
    block_on(fan_out.emit_turn_audit(turn())).expect("delivered");
    block_on(fan_out.emit_turn_retry_audit(mutation("turn_retry"))).expect("delivered");
    block_on(fan_out.emit_turn_edit_audit(mutation("turn_edit"))).expect("delivered");
    block_on(fan_out.emit_turn_delete_audit(delete())).expect("delivered");
    for plugin in plugins {
        let methods: Vec<_> = plugin.calls().iter().map(|call| call.method).collect();
        assert_eq!(methods, ["turn", "retry", "edit", "delete"]);
    }
    let counters = world.fan_out.counters();
    assert_eq!((counters.ok, counters.failed, counters.dropped, counters.remembered), (4, 0, 0, 0));
    assert!(counters.plugins.iter().all(|plugin| plugin.with("accepted") == 4 && plugin.in_flight == 0));
}

#[test]
fn a_retry_goes_only_to_those_that_had_not_accepted() {
    let (world, [a, b, c]) = World::with(["a", "b", "c"]);
    world.change("c", |plugin| plugin.required = false);
    b.does([Act::Transient, Act::Timeout]);
    c.does([Act::Permanent]);
    let deliver = |event| block_on(world.fan_out.deliver_turn(event));
    assert_eq!(names(&deliver(turn())), ["accepted", "transient", "permanent"]);
    assert_eq!(names(&deliver(turn())), ["already_accepted", "timeout", "accepted"]);
    assert_eq!(world.fan_out.counters().remembered, 1);
    let last = deliver(turn());
    assert_eq!(names(&last), ["already_accepted", "accepted", "already_accepted"]);
    assert!(last.result().is_ok());
    assert_eq!((a.count(), b.count(), c.count()), (1, 3, 2));
    let attempts: Vec<_> = b.calls().iter().map(|call| call.options.attempt).collect();
    assert_eq!(attempts, [0, 2, 3], "how often it has refused it, if it has");
    assert_eq!(world.fan_out.counters().remembered, 0, "nobody tries again");
    // Another event, and another kind for the same request.
    let mut failed = turn();
    failed.event_type = serde_json::from_value("turn_failed".into()).expect("a type");
    assert_eq!(names(&deliver(failed)), ["accepted"; 3]);
}

#[test]
fn plugins_are_told_how_to_tell_events_apart() {
    let (world, [a]) = World::with(["a"]);
    let event = turn();
    let expected = format!("{}:turn_completed:{}", event.tenant_id, event.request_id);
    block_on(world.fan_out.deliver_turn(event));
    let event = mutation("turn_edit");
    let of_edit = format!("{}:turn_edit:{}", event.tenant_id, event.new_request_id);
    block_on(world.fan_out.deliver_turn_edit(event));
    // What the caller says wins.
    let own = CallOptions::new().idempotency_key("own").attempt(7).traceparent("t");
    block_on(own.clone().scope(world.fan_out.deliver_turn_delete(delete())));
    let told: Vec<_> = a.calls().into_iter().map(|call| call.options).collect();
    assert_eq!([told[0].key(), told[1].key()], [expected, of_edit]);
    assert_eq!(told[2], own);
}

#[test]
fn without_a_plugin_events_are_dropped() {
    let world = World::new(FanOutConfig::default());
    for _ in 0..3 {
        let report = block_on(world.fan_out.deliver_turn(turn()));
        assert!(report.is_dropped() && report.result().is_ok());
    }
    let counters = world.fan_out.counters();
    assert_eq!((counters.ok, counters.failed, counters.dropped), (0, 0, 3));
}

#[test]
fn events_are_sanitised_once_unless_told_otherwise() {
    let secret = || {
        let mut event = turn();
        event.trace_id = Some("password=x".to_owned());
        event
    };
    let (world, plugins) = World::with(["a", "b"]);
    block_on(world.fan_out.deliver_turn(secret()));
    assert!(plugins.iter().all(|plugin| plugin.calls()[0].text == "password=[REDACTED]"));
    assert_eq!(world.fan_out.counters().redactions.total(), 1);

    let world = World::new(FanOutConfig { sanitize: false, ..FanOutConfig::default() });
    let plugin = world.add("a", |_| ());
    block_on(world.fan_out.deliver_turn(secret()));
    assert_eq!(plugin.calls()[0].text, "password=x");
}

/// Plugins run on the caller's thread if they did well, after all others have begun.
#[test]
fn who_runs_on_the_callers_thread() {
    let (world, [a, b]) = World::with(["a", "b"]);
    let isolated = |plugin: &super::world::Plugin| plugin.calls().last().expect("a call").options.isolated;
    let deliver = || {
        let mut event = turn();
        event.request_id = Uuid::from_u128(a.count() as u128 * 100 + b.count() as u128);
        drop(block_on(world.fan_out.deliver_turn(event)));
    };
    deliver();
    assert_eq!((isolated(&a), isolated(&b)), (true, true), "nothing is known of them");
    deliver();
    assert_eq!((isolated(&a), isolated(&b)), (false, false));
    b.does([Act::Permanent]);
    deliver();
    deliver();
    assert_eq!((isolated(&a), isolated(&b)), (false, true), "its last answer was not a good one");
    world.change("a", |plugin| plugin.wanted = false);
    b.does([Act::Permanent]);
    deliver();
    deliver();
    assert!(!isolated(&b), "alone it stands in nobody's way");
}

#[test]
fn one_that_never_answers_delays_nobody_and_can_be_given_up() {
    let (world, [a, b, c]) = World::with(["a", "b", "c"]);
    b.does([Act::Never]);
    let mut delivering = Box::pin(world.fan_out.deliver_turn(turn()));
    block_on(poll_fn(|cx| {
        assert!(delivering.as_mut().poll(cx).is_pending());
        Poll::Ready(())
    }));
    assert_eq!((a.count(), b.count(), c.count()), (1, 1, 1));
    let in_flight = || world.fan_out.counters().plugins.iter().map(|plugin| plugin.in_flight).collect::<Vec<_>>();
    assert_eq!(in_flight(), [0, 1, 0]);
    drop(delivering);
    assert_eq!(in_flight(), [0, 0, 0]);
    let counters = world.fan_out.counters();
    assert_eq!((counters.ok, counters.failed, counters.plugins[1].abandoned), (0, 1, 1));
    // Who had it is remembered.
    let report = block_on(world.fan_out.deliver_turn(turn()));
    assert_eq!(names(&report), ["already_accepted", "accepted", "already_accepted"]);
}

#[test]
fn a_bulkhead_keeps_the_number_down() {
    let world = World::new(FanOutConfig::default());
    let plugin = world.add("a", |plugin| plugin.delivery = Some(delivery(|a| a.max_in_flight = 2)));
    plugin.does(vec![Act::Never; 2]);
    let mut under_way = Vec::new();
    for request in 0..2 {
        let mut event = turn();
        event.request_id = Uuid::from_u128(request);
        let mut delivering = Box::pin(world.fan_out.deliver_turn(event));
        block_on(poll_fn(|cx| {
            assert!(delivering.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }));
        under_way.push(delivering);
    }
    let report = block_on(world.fan_out.deliver_turn(turn()));
    assert_eq!(names(&report), ["bulkhead_full"]);
    assert!(report.result().expect_err("it is required").is_transient());
    under_way.pop();
    assert_eq!(names(&block_on(world.fan_out.deliver_turn(turn()))), ["accepted"]);
}

#[test]
fn one_that_fails_is_left_alone_and_tried_apart() {
    let (world, [a, b]) = World::with(["a", "b"]);
    a.does(vec![Act::Transient; 5]);
    let deliver = |request: u128| {
        let mut event = turn();
        event.request_id = Uuid::from_u128(request);
        block_on(world.fan_out.deliver_turn(event))
    };
    (0..5).for_each(|request| assert_eq!(names(&deliver(request)), ["transient", "accepted"]));
    for request in 5..100 {
        assert_eq!(deliver(request).of("a"), Some(&Outcome::BreakerOpen { probing: false }));
    }
    assert_eq!((a.count(), b.count()), (5, 100));

    world.time.pass(Duration::from_secs(5));
    let report = deliver(100);
    assert_eq!(report.of("a"), Some(&Outcome::BreakerOpen { probing: true }));
    assert!(report.result().is_err(), "nobody has waited for it");
    eventually("the probe has ended", || world.breaker("a") == "closed");
    assert_eq!((a.count(), b.count()), (6, 101));
    assert!(a.calls()[5].options.isolated);
    let key = TurnAuditEvent { request_id: Uuid::from_u128(100), ..turn() }.key();
    let taken_by = || {
        let past = world.fan_out.shared.memory.recall(&key);
        past.iter().filter(|(_, past)| matches!(past, Past::Accepted)).count()
    };
    eventually("it is remembered", || taken_by() == 2);
    assert_eq!(names(&deliver(100)), ["already_accepted"; 2]);
    assert_eq!((a.count(), b.count()), (6, 101));
    let counters = world.fan_out.counters();
    let plugin = &counters.plugins[0];
    assert_eq!((plugin.with("transient"), plugin.with("breaker_open"), plugin.opened), (5, 96, 1));
    assert_eq!((plugin.probes, plugin.accepted_probes, plugin.with("accepted")), (1, 1, 0));
}

#[test]
fn one_that_is_slow_is_left_alone_too() {
    let (world, [a, b]) = World::with(["a", "b"]);
    a.does(vec![Act::TakeAfter(Duration::from_secs(5)); 5]);
    for request in 0..5 {
        let mut event = turn();
        event.request_id = Uuid::from_u128(request);
        assert_eq!(names(&block_on(world.fan_out.deliver_turn(event))), ["accepted"; 2], "slow is late, not lost");
    }
    assert_eq!((world.breaker("a"), world.breaker("b")), ("open", "closed"));
    assert_eq!((a.count(), b.count()), (5, 5));
}

#[test]
fn permanents_in_a_row_stop_the_dead_letters() {
    let (world, [a, _b]) = World::with(["a", "b"]);
    a.does(vec![Act::Permanent; 1000]);
    let deliver = |request: u128| {
        let mut event = turn();
        event.request_id = Uuid::from_u128(request);
        block_on(world.fan_out.deliver_turn(event)).result().expect_err("a is required")
    };
    assert_eq!((0..100).filter(|request| deliver(*request).is_permanent()).count(), 20);
}

/// An event that one plugin never takes: the others miss nothing, and what stands behind it passes in the end.
#[test]
fn a_poison_event_is_given_up_for_the_plugin_that_it_poisons() {
    let world = World::new(FanOutConfig::default());
    let a = world.add("a", |_| ());
    // Other events go well in between, so its breaker stays closed.
    let b = world.add("b", |plugin| plugin.delivery = Some(delivery(|b| b.failures = 0)));
    b.does(vec![Act::Transient; 100]);
    let deliver = || block_on(world.fan_out.deliver_turn(turn()));
    let mut tries = 0;
    let last = loop {
        let report = deliver();
        tries += 1;
        if report.result().expect_err("b refuses").is_permanent() {
            break report;
        }
        world.time.pass(Duration::from_secs(60));
    };
    assert_eq!(tries, 16, "ten refusals and fifteen minutes");
    assert_eq!(last.of("b"), Some(&Outcome::Stuck { refusals: 16, last: "down".to_owned() }));
    assert_eq!((a.count(), b.count()), (1, 16));
    // Asked once more, it is not delivered once more.
    assert_eq!(names(&deliver()), ["already_accepted", "stuck"]);
    assert_eq!(b.count(), 16);
    b.script.lock().unwrap().clear();
    let mut next = turn();
    next.request_id = Uuid::from_u128(77);
    assert!(block_on(world.fan_out.deliver_turn(next)).result().is_ok());
}
