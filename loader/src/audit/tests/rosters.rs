//! Who is delivered to, and since when.

use futures_executor::block_on;

use super::world::{Act, World, delivery, turn};
use crate::audit::{FanOutConfig, Outcome};
use crate::config::Delivery;

#[test]
fn plugins_come_and_go() {
    let (world, [a]) = World::with(["a"]);
    assert!(block_on(world.fan_out.deliver_turn(turn())).result().is_ok());
    let b = world.add("b", |_| ());
    block_on(world.fan_out.deliver_turn(turn()));
    assert_eq!((a.count(), b.count()), (2, 1));
    // Disabled: gone. Wanted again, but serving nothing yet: it may have become something else.
    world.change("b", |plugin| (plugin.wanted, plugin.audit) = (false, None));
    assert_eq!(block_on(world.fan_out.deliver_turn(turn())).deliveries.len(), 1);
    world.change("b", |plugin| plugin.wanted = true);
    assert_eq!(block_on(world.fan_out.deliver_turn(turn())).deliveries.len(), 1);
    assert_eq!((a.count(), b.count()), (4, 1));
}

#[test]
fn one_that_does_not_serve_now_is_still_delivered_to() {
    let (world, [a, b]) = World::with(["a", "b"]);
    block_on(world.fan_out.deliver_turn(turn()));
    world.change("a", |plugin| (plugin.generation, plugin.audit) = (None, None));
    a.does([Act::Transient]);
    let report = block_on(world.fan_out.deliver_turn(turn()));
    assert!(matches!(report.of("a"), Some(Outcome::Transient(_))), "{report:?}");
    assert!(report.result().expect_err("a is required").is_transient());
    assert_eq!((a.count(), b.count()), (2, 2), "by the handle that it had");
}

#[test]
fn one_with_a_section_is_delivered_to_before_it_ever_served() {
    let world = World::new(FanOutConfig::default());
    world.add("a", |plugin| (plugin.audit, plugin.generation) = (None, None));
    assert!(block_on(world.fan_out.deliver_turn(turn())).is_dropped(), "nobody knows that it serves audit");
    world.change("a", |plugin| plugin.delivery = Some(delivery(|_| ())));
    let report = block_on(world.fan_out.deliver_turn(turn()));
    assert!(report.result().expect_err("it waits for it").is_transient());
}

#[test]
fn settings_come_from_the_host_and_from_code() {
    let mut config = FanOutConfig::default();
    config.plugins.insert("c".to_owned(), delivery(|c| c.delivery = Some(Delivery::BestEffort)));
    let world = World::new(config);
    world.add("a", |plugin| plugin.required = false);
    world.add("b", |plugin| plugin.delivery = Some(delivery(|b| b.delivery = Some(Delivery::BestEffort))));
    world.add("c", |plugin| plugin.delivery = Some(delivery(|c| c.delivery = Some(Delivery::Required))));
    world.add("d", |_| ());
    let required = || {
        let report = block_on(world.fan_out.deliver_turn(turn()));
        report.deliveries.iter().map(|delivery| delivery.required).collect::<Vec<_>>()
    };
    assert_eq!(required(), [false, false, false, true]);
    world.change("a", |plugin| plugin.required = true);
    assert_eq!(required(), [true, false, false, true]);
}

#[test]
fn another_build_gets_another_chance() {
    let (world, [a]) = World::with(["a"]);
    a.does(vec![Act::Transient; 5]);
    (0..5).for_each(|_| drop(block_on(world.fan_out.deliver_turn(turn()))));
    assert_eq!(world.breaker("a"), "open");
    // Settings alone change nothing of it.
    world.change("a", |plugin| plugin.delivery = Some(delivery(|a| a.max_in_flight = 3)));
    assert_eq!(world.breaker("a"), "open");
    world.change("a", |plugin| plugin.generation = Some(2));
    assert_eq!(world.breaker("a"), "closed");
    assert!(block_on(world.fan_out.deliver_turn(turn())).result().is_ok());
    assert_eq!(world.fan_out.counters().plugins[0].with("transient"), 5, "what was counted stays");
}
