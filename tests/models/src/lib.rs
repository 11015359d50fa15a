//! Three protocols of the loader, model-checked: which instance a call gets while the slot's contents change (`door`), who may still
//! use an instance that ends (`gate`), and which mirror belongs to which token (`cancel::links`).
//!
//! The files are the loader's own, compiled here with `sync` and `per_thread` in place of the loader's modules of these
//! names: loom's primitives, and fakes of what tokio and arc-swap bring, which cannot run under loom. `cargo test -p
//! mini-chat-plugin-models` runs the models.

#![cfg(test)]

#[path = "../../../loader/src/counter.rs"]
#[allow(dead_code, reason = "the gate needs a part of it")]
mod counter;
#[path = "../../../loader/src/door.rs"]
#[allow(dead_code, reason = "the models look at a part of it")]
mod door;
#[path = "../../../loader/src/gate.rs"]
mod gate;
#[path = "../../../loader/src/cancel/links.rs"]
#[allow(dead_code, reason = "the models look at a part of it")]
mod links;
mod notify;
mod per_thread;
mod sync;
mod token;

mod models;
