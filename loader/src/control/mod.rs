//! The control socket: other processes ask a running host how it stands, and tell it what to do.
//!
//! [`PluginHost::serve_control`](crate::PluginHost::serve_control) makes the socket, [`Client`] is the other end; the
//! program's `status`, `swap`, `rollback` and so on are clients.
//!
//! # The protocol
//!
//! A Unix stream socket with mode 0600. A request is one line, a JSON object with at most [`LONGEST_REQUEST`] bytes; the
//! answer is one line. A connection takes any number of requests, one after the other.
//!
//! | request | answer in `ok` |
//! | --- | --- |
//! | `{"command":"status"}` | a [`HostStatus`](crate::HostStatus) |
//! | `{"command":"swap","path":"/abs/file.so"}` | a list of [`Swapped`](crate::Swapped), once the file serves |
//! | `{"command":"reload","name":"NAME"}` | a [`Swapped`](crate::Swapped) |
//! | `{"command":"rollback","name":"NAME"}` | a [`Swapped`](crate::Swapped); pinned from then on |
//! | `{"command":"unpin","name":"NAME"}` | an [`Unpinned`](crate::Unpinned) |
//! | `{"command":"unquarantine","name":"NAME"}` | a list of [`Quarantined`](crate::Quarantined): what was lifted |
//! | `{"command":"rescan"}` | `{"rescan":true}`: the host looks, what comes of it is told by events |
//! | `{"command":"events"}` | `{"following":true,"status":{…}}`, then one [`HostEvent`](crate::HostEvent) per line |
//!
//! The answer is `{"protocol":1,"ok":…}` or `{"protocol":1,"error":{"kind":"…","message":"…"}}`; [`PROTOCOL`] changes when
//! an answer means something else than before, not when there is more in it. Kinds of errors: those of
//! [`SwapError::kind`](crate::error::SwapError::kind), and
//!
//! | kind | meaning | connection |
//! | --- | --- | --- |
//! | `bad-request` | no JSON object, or not with the fields that the command has | stays |
//! | `unknown-command` | there is no such command | stays |
//! | `too-long` | the line has more than [`LONGEST_REQUEST`] bytes | ends |
//! | `timeout` | no request within [`PATIENCE`] | ends |
//! | `busy` | there are [`MOST_CONNECTIONS`] connections already | ends |
//! | `forbidden` | the other end is neither root nor the host's user | ends |
//! | `shutting-down` | the host has ended | stays |
//! | `not-expressible` | the answer has a path that is not UTF-8 | stays |
//!
//! Once events are followed, the connection takes no further requests and has no limit of time. A follower that reads too
//! slowly gets `{"event":"missed","events":N}` in place of what it missed, and is disconnected when it has read nothing for
//! [`STALLED`]. The last line is `{"event":"ended"}` if the host has ended.
//!
//! # Inside
//!
//! | file | what is in it |
//! | --- | --- |
//! | `socket.rs` | makes the socket, and removes it |
//! | `server.rs` | accepts connections |
//! | `connection.rs` | one connection: requests, events |
//! | `peer.rs` | who is at the other end |
//! | `wire.rs` | requests and answers as text |
//! | `client.rs` | the other end |
//!
//! One thread accepts, each connection has one of its own, and one that follows events a second: no client can make another
//! one, or the host, wait.

mod client;
mod connection;
mod peer;
mod server;
mod socket;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

pub use client::{Client, Following};
pub use socket::ControlSocket;
pub use wire::Request;

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// The longest request, in bytes, the end of the line not counted.
pub const LONGEST_REQUEST: usize = 64 << 10;

/// How many connections there may be at once.
pub const MOST_CONNECTIONS: usize = 16;

/// How long a client may take for a request, from its connection or the last answer on.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long a client may read nothing of what is being written to it.
pub const STALLED: Duration = Duration::from_secs(30);

/// What a connection may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) patience: Duration,
    pub(crate) stalled: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { patience: PATIENCE, stalled: STALLED }
    }
}
