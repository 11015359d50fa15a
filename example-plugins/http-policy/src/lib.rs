//! A model-policy plugin that asks a policy service over HTTP or HTTPS.
//!
//! | method | request | 404 is |
//! | --- | --- | --- |
//! | current version | `GET {base_url}/v1/users/{user}/policy-version` | `NotFound` |
//! | snapshot | `GET {base_url}/v1/users/{user}/policies/{version}` | `NotFound` |
//! | limits | `GET {base_url}/v1/users/{user}/policies/{version}/limits` | `NotFound` |
//! | licence | `GET {base_url}/v1/users/{user}/license` | not licensed |
//! | publish usage | `POST {base_url}/v1/usage` with an `Idempotency-Key` | `Transient` |
//! | health | `GET {base_url}/healthz` | not healthy |
//!
//! # What becomes of a failure
//!
//! | what happened | tried again | policy methods | publish usage |
//! | --- | --- | --- | --- |
//! | no connection, or it broke; a try took longer than `try_timeout_ms` | yes | `Internal` | `Transient` |
//! | 429, 502, 503, 504 | yes, not before its `Retry-After` | `Internal` | `Transient` |
//! | 408, another 5xx, a redirect | no | `Internal` | `Transient` |
//! | 401, 403, 404: a wrong token or address | no | `Internal` (404: above) | `Transient`: the event is kept |
//! | another 4xx | no | `Internal` | `Permanent` |
//! | an answer that is too large or not understood | no | `Internal` | (its body is not read) |
//! | the call's time is over, or its token is cancelled | – | `Internal` | `Transient` |
//!
//! Tries wait for each other with a growing, jittered back-off, and never past the time the host gives the call
//! ([`call::remaining`](mini_chat_plugin_sdk::call::remaining)): the plugin keeps a margin, so that its own error, which
//! says more than "deadline", comes first. Publishing may be repeated because the service keeps one event per key: the
//! host's idempotency key, or else the event's `request_id`.
//!
//! # What it promises
//!
//! - Dropping a call's future, or cancelling its token, closes the connection of its request.
//! - A snapshot never changes, so it is kept, per user and version, up to `cached_snapshots`; callers that ask for the same
//!   one at the same time share one request. When the caller that makes it goes away, another makes its own. Versions,
//!   limits and licences are asked for each time.
//! - The caller's `traceparent` is passed on.
//! - The token is in no error, log record or `Debug` output. No redirect is followed, so it goes nowhere else; the
//!   proxies of the environment are not used.
//! - Nothing is installed in the process: the crypto provider belongs to the client.
//!
//! The constructor asks nothing of the service, so that a host starts without it; the health check does.
//!
//! # Configuration
//!
//! A `[plugins.…]` section of `plugins.toml`:
#![doc = concat!("```toml\n", include_str!("../plugins.toml"), "```")]

mod answer;
mod cache;
mod client;
mod config;
mod failure;
mod plugin;
mod time_limit;
mod tls;

use mini_chat_plugin_sdk::define_plugin;

pub use config::Config;
pub use plugin::HttpPolicy;

define_plugin! {
    /// The plugin `acme.policy._.http.v1`.
    pub HttpPolicyPlugin {
        id: "acme.policy._.http.v1", vendor: "acme", priority: 100,
        serves: [model_policy], plugin: HttpPolicy, config: Config,
        create: HttpPolicy::create, health: HttpPolicy::health,
        // There are no statics here that two instances could disturb each other by.
        reentrant: true,
    }
}
