//! Write a mini-chat plugin in plain async Rust.
