//! An audit plugin that posts events to an HTTP or HTTPS endpoint, in compressed batches.
//!
//! A request is `POST url` with `Content-Type: application/x-ndjson`, `Content-Encoding: gzip`, an `Idempotency-Key`, and
//! one line per event:
//!
//! ```json
//! {"kind":"turn","idempotency_key":"TENANT:turn_completed:REQUEST","event":{…}}
//! ```
//!
//! `kind` is `turn`, `retry`, `edit` or `delete`; `event` is the event as mini-chat writes it in JSON. Any 2xx accepts all
//! of a batch; answers have no other meaning, and their bodies none.
//!
//! # When a call is answered
//!
//! | `ack` | Ok says | on a failure | events lost without an error to their caller |
//! | --- | --- | --- | --- |
//! | `delivered` (default) | the endpoint has accepted the batch | the call is told | none |
//! | `queued` | the event is in the queue | it is counted, and named in the log | see below |
//!
//! A batch is sent when `batch_events` or `batch_bytes` are reached, or its first event has waited for `flush_after_ms`;
//! what arrives while a batch is under way makes the next one. With one batch in flight events arrive in the order of their
//! calls. A caller that brings one event after the other is answered after `flush_after_ms` and one request each time: lower
//! the first if that is too slow.
//!
//! # The window of loss of `queued`
//!
//! - A host that crashes, is killed or loses its power takes with it what is held: at most `queue_events` and `queue_bytes`,
//!   usually the events of the last `flush_after_ms` and of the batch under way; while the endpoint is down, all since then.
//!   Nothing can name these.
//! - A batch that the endpoint refuses, or that is not accepted within `tries` and `retry_for_ms`.
//! - What the shutdown hook cannot send within `shutdown_ms`, and the time that the host gives it, at the host's end and at
//!   each swap.
//!
//! The last two are counted and logged as errors with the ids of the events, `TENANT:EVENT-TYPE:REQUEST` (of a retry or an
//! edit the new request). The shutdown hook then fails, which the host reports.
//!
//! # What becomes of a failure
//!
//! | what happened | tried again | `delivered` answers |
//! | --- | --- | --- |
//! | no connection, or it broke; a try took longer than `try_timeout_ms` | yes | `Transient` |
//! | 5xx, and 4xx but those below: a wrong token or address, too many requests | yes | `Transient` |
//! | 400, 409, 410, 413, 422: the events are wrong | no | `Permanent`, each call of the batch |
//! | a redirect | no | `Transient` |
//! | the call's time is over before its batch was accepted | – | `Transient` |
//! | the queue is full | – | `Transient`, also with `queued` |
//! | the plugin has been shut down | – | `Transient`, also with `queued` |
//! | an event larger than `queue_bytes`, or not expressible as JSON | – | `Permanent`, also with `queued` |
//!
//! Tries wait for each other with full jitter: anything between nothing and a bound, which begins at 100 ms and doubles up to
//! 10 s. No batch is sent before the time of the last `Retry-After` (`max_retry_after_ms` at most). Tries end with `tries`, with
//! `retry_for_ms`, and with `delivered` when no call waits any more: each is answered a little before the host's deadline
//! ([`call::remaining`](mini_chat_plugin_sdk::call::remaining)).
//!
//! # What it promises
//!
//! - Delivery is at least once. A batch has the same `Idempotency-Key` in all its tries. An event has the host's idempotency
//!   key, or else its id, which stay the same when the host brings it again; by that an endpoint keeps each event once.
//! - A call that is dropped is over at once. Its event may be delivered nevertheless: it is let go only if its batch was
//!   not put together yet.
//! - What is held is bounded, in events and bytes, and so is each wait.
//! - While an old generation drains, its calls are answered as its batches are; its shutdown hook sends the rest. The new
//!   one sends meanwhile, so between the two there is no order.
//! - Address and token are in no error, log record or `Debug` output, and neither is what users wrote. No redirect is
//!   followed, so they go nowhere else; the proxies of the environment are not used.
//! - Nothing is installed in the process: the crypto provider belongs to the client.
//!
//! Neither the constructor nor the health check asks anything of the endpoint: a webhook has no request without effect, and
//! a build must not be refused because its endpoint is down, when the one before it does no better.
//!
//! # What it logs
//!
//! | level | message | |
//! | --- | --- | --- |
//! | ERROR | `N audit events (M so far) are lost, as their calls had been answered with Ok: WHY; ids: …` | up to 100 ids each |
//! | WARN | `N audit events (M so far) were not accepted, and their calls are told so: WHY; ids: …` | at the end only |
//! | WARN | `a batch of N audit events was not accepted: WHY` | the first try that fails; DEBUG until one succeeds |
//! | WARN | `the token is sent without encryption: …` | at the start |
//! | INFO | `the audit endpoint accepts batches again` | |
//!
//! # Configuration
//!
//! | key | unit | range | default |
//! | --- | --- | --- | --- |
//! | `url` | | http, https | required |
//! | `token` | | | none |
//! | `ca_file` | | absolute path | the system's certificates |
//! | `ack` | | `delivered`, `queued` | `delivered` |
//! | `batch_events` | events | 1 to 10,000 | 500 |
//! | `batch_bytes` | bytes | 1,024 to 16,777,216 | 1,048,576 |
//! | `flush_after_ms` | ms | 1 to 60,000 | 50 |
//! | `queue_events` | events | `batch_events` to 1,000,000 | 10,000 |
//! | `queue_bytes` | bytes | `batch_bytes` to 1,073,741,824 | 67,108,864 |
//! | `batches_in_flight` | batches | 1 to 16 | 1 |
//! | `connect_timeout_ms` | ms | 1 to 600,000 | 2,000 |
//! | `try_timeout_ms` | ms | 1 to 600,000 | 5,000 |
//! | `call_timeout_ms` | ms | 1 to 600,000, only with `delivered` | 20,000 |
//! | `tries` | tries | 1 to 100,000 | 10; `queued`: 1,000 |
//! | `retry_for_ms` | ms | 1 to 86,400,000 | 20,000; `queued`: 3,600,000 |
//! | `max_retry_after_ms` | ms | 0 to 86,400,000 | 60,000 |
//! | `shutdown_ms` | ms | 1 to 600,000 | 10,000 |
//!
//! A `[plugins.…]` section of `plugins.toml`:
#![doc = concat!("```toml\n", include_str!("../plugins.toml"), "```")]

mod batch;
mod client;
mod config;
mod event;
mod failure;
mod plugin;
mod queue;
mod retry;
mod sender;
mod tls;
mod unsent;

use mini_chat_plugin_sdk::define_plugin;

pub use config::{Ack, Config};
pub use plugin::WebhookAudit;

define_plugin! {
    /// The plugin `acme.audit._.webhook.v1`.
    pub WebhookAuditPlugin {
        id: "acme.audit._.webhook.v1", vendor: "acme", priority: 100,
        serves: [audit], plugin: WebhookAudit, config: Config,
        create: WebhookAudit::create, health: WebhookAudit::health, shutdown: WebhookAudit::shutdown,
        // There are no statics here that two instances could disturb each other by.
        reentrant: true,
    }
}
