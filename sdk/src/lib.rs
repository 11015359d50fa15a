//! Write a mini-chat plugin in plain async Rust.

pub mod audit_models;
pub mod error;
pub mod models;
pub mod plugin_api;
