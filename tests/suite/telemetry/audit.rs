//! What audit fan-outs count.

use futures::executor::block_on;
use mini_chat_plugin_loader::audit::FanOutConfig;
use mini_chat_plugin_loader::sanitize::Class;
use mini_chat_plugin_sdk::plugin_api::MiniChatAuditPluginClientV1;
use mini_chat_plugin_tests::serving::eventually;
use mini_chat_plugin_tests::site::turn_audit_event;
use mini_chat_plugin_tests::stamped::{ID, bad, good};

use crate::world::World;

fn config(count_emits: bool) -> FanOutConfig {
    let mut config = FanOutConfig::default();
    config.count_emits = count_emits;
    config
}

impl World {
    fn emits(&self, result: &str) -> Option<f64> {
        self.of_host(&format!("audit_emit_total{{result={result}}}"))
    }

    fn deliveries(&self, result: &str) -> Option<f64> {
        self.value("audit_deliveries_total", &format!("result={result}"))
    }

    fn truncations(&self) -> Option<f64> {
        self.of_host("truncations_total")
    }

    fn redactions(&self, class: &str) -> Option<f64> {
        self.of_host(&format!("redactions_total{{class={class}}}"))
    }
}

/// Emits an event with a secret and a text that is too long.
pub(crate) fn emit(fan_out: &dyn MiniChatAuditPluginClientV1) {
    let mut event = turn_audit_event();
    event.prompt = Some("curl -H 'Authorization: Bearer abcdefgh12345678'".to_owned());
    event.response = Some("word ".repeat(4000));
    // The answer is what is counted.
    drop(block_on(fan_out.emit_turn_audit(event)));
}

#[test]
fn events_deliveries_and_redactions_are_counted_over_fan_outs_and_generations() {
    let world = World::new("audited", good(1), "");
    assert_eq!((world.emits("ok"), world.deliveries("accepted")), (None, None), "there is no fan-out");
    let fan_out = world.host.audit_fan_out(FanOutConfig::default());
    emit(&*fan_out);
    let counted = |world: &World| ["ok", "failed", "dropped"].map(|result| world.emits(result).expect("it is shown"));
    assert_eq!(counted(&world), [1.0, 0.0, 0.0]);
    assert_eq!((world.deliveries("accepted"), world.deliveries("transient")), (Some(1.0), Some(0.0)));
    assert_eq!(world.redactions("bearer_token"), Some(1.0));
    assert_eq!(world.truncations(), Some(1.0));
    for class in Class::ALL.into_iter().filter(|class| *class != Class::BearerToken) {
        assert_eq!(world.redactions(class.name()), Some(0.0), "{class}");
    }

    // Another one, and another build: it is counted on.
    drop(fan_out);
    let fan_out = world.host.audit_fan_out(FanOutConfig::default());
    assert_eq!((counted(&world), world.deliveries("accepted")), ([1.0, 0.0, 0.0], Some(1.0)), "what is gone counts");
    world.drop_in(good(2));
    world.until_generation(2);
    emit(&*fan_out);
    assert_eq!((counted(&world), world.deliveries("accepted")), ([2.0, 0.0, 0.0], Some(2.0)));

    // A host that counts events itself has the deliveries all the same.
    let silent = world.host.audit_fan_out(config(false));
    emit(&*silent);
    assert_eq!((counted(&world), world.deliveries("accepted")), ([2.0, 0.0, 0.0], Some(3.0)));
    assert_eq!(world.redactions("bearer_token"), Some(3.0));

    // One that nobody takes, and one for which there is nobody.
    world.drop_in(bad(3, "internal"));
    world.until_generation(3);
    emit(&*fan_out);
    assert_eq!(counted(&world), [2.0, 1.0, 0.0]);
    world.configure("enabled = false");
    eventually("there is nobody", || {
        emit(&*fan_out);
        counted(&world)[2] > 0.0
    });
    assert!(!world.series().iter().any(|series| series.contains(ID)), "{:#?}", world.series());
    world.end();
}

#[test]
fn without_a_count_of_events_there_is_no_series() {
    let world = World::new("uncounted", good(1), "");
    let fan_out = world.host.audit_fan_out(config(false));
    emit(&*fan_out);
    assert_eq!((world.emits("ok"), world.deliveries("accepted")), (None, Some(1.0)));
    world.end();
}
