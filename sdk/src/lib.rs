//! Write a mini-chat plugin in plain async Rust.

pub mod audit_models;
#[doc(hidden)]
pub mod convert;
pub mod error;
pub mod models;
pub mod plugin_api;
