//! An audit plugin that appends one line of JSON per event to a file.
//!
//! A line is `{"kind":"turn","event":{…}}`; `kind` is `turn`, `retry`, `edit` or `delete`, `event` is the event as
//! mini-chat writes it in JSON.
//!
//! # What it promises
//!
//! - An event that was answered with Ok stands in the file as one whole line, under `fsync = "always"` also after the
//!   machine loses its power.
//! - There is never half a line between others. A line that does not fit on the disk is taken back and the event answered
//!   with Transient, so that the host brings it again; what a crash left at the end of the file is moved to `PATH.torn`
//!   at the next start.
//! - An event that was not answered with Ok (a failed fsync, a future that was dropped) may be there nevertheless:
//!   delivery is at least once, not exactly once.
//! - One writer per file: while an instance runs it holds a lock on `PATH.lock`, and a second one is refused (retryable).
//!   A new generation can therefore only follow after the old one was shut down.
//! - A file that somebody moves, deletes or truncates is noticed before the next line: logrotate may be used instead of
//!   `max_bytes`.
//!
//! The files hold what users wrote: they are created for their owner only.
//!
//! # Configuration
//!
//! A `[plugins.…]` section of `plugins.toml`:
#![doc = concat!("```toml\n", include_str!("../plugins.toml"), "```")]

mod config;
mod journal;
mod plugin;
mod writer;

use mini_chat_plugin_sdk::define_plugin;

pub use config::{Config, Fsync};
pub use plugin::JsonlAudit;

define_plugin! {
    /// The plugin `acme.audit._.jsonl.v1`.
    pub JsonlAuditPlugin {
        id: "acme.audit._.jsonl.v1", vendor: "acme", priority: 100,
        serves: [audit], plugin: JsonlAudit, config: Config,
        create: JsonlAudit::create, health: JsonlAudit::health, shutdown: JsonlAudit::shutdown,
        // There are no statics here that two instances could disturb each other by.
        reentrant: true,
    }
}
