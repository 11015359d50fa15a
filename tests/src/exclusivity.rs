//! Instances of the fixture `exclusive`, of which one at a time can have an address.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};

use mini_chat_plugin_loader::config::PluginEntry;
use mini_chat_plugin_sdk::InProcessPlugin;
use mini_chat_plugin_sdk::models::UserLimits;
use serde_json::{Value, json};

use crate::serving::{Fixture, Way};

/// The fixture.
#[must_use]
pub fn fixture() -> Fixture {
    let linked = InProcessPlugin::of::<exclusive::ExclusivePlugin>();
    Fixture { package: "exclusive-plugin", id: "tests.exclusive._.policy.v1", linked }
}

/// An entry that listens on `address` (of [`exclusive::free_address`]), with these `faults`: an object of step and fault,
/// such as `{"resume": "retryable"}`.
///
/// # Panics
///
/// Never: it is a configuration.
#[must_use]
pub fn entry(name: &str, way: Way, address: SocketAddr, faults: Value) -> PluginEntry {
    let config = json!({ "listen": address, "faults": faults });
    fixture().entry(name, way).with_config(config).expect("a configuration")
}

/// What `get_user_limits` of the fixture says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// The number of the call: 1, 2, 3, … across generations.
    pub number: i64,
    /// The generation that answered.
    pub generation: i64,
    /// The count that it took over.
    pub taken_over: i64,
    /// What it was handed: 0 nothing, 1 a hint, 2 an exact state.
    pub handed: i64,
}

impl From<UserLimits> for Counted {
    fn from(limits: UserLimits) -> Self {
        Self {
            number: limits.standard.limit_daily_credits_micro,
            generation: limits.standard.limit_monthly_credits_micro,
            taken_over: limits.premium.limit_daily_credits_micro,
            handed: limits.premium.limit_monthly_credits_micro,
        }
    }
}

/// Generation and count of the instance that listens on an address; nothing if none does, or if it stops just then.
#[must_use]
pub fn listening(address: SocketAddr) -> Option<(u64, u64)> {
    let mut text = String::new();
    TcpStream::connect(address).ok()?.read_to_string(&mut text).ok()?;
    let (generation, count) = text.trim_end().split_once(' ')?;
    Some((generation.parse().ok()?, count.parse().ok()?))
}
