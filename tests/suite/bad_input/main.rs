//! Bad input, each with its own error variant, while the host serves on.
//!
//! In every test a host serves a good plugin from the directory in which the bad thing stands. What each variant of
//! `LoadError`, `CreateError` and `PreflightError` is shown by stands in [`kinds`], which fails when one is shown by nothing.

mod cases;
mod configuration;
mod creation;
mod damaged;
mod entry;
mod files;
mod hanging;
mod kinds;
mod layout;
mod place;
mod room;
mod structure;
mod threads;
mod trial;
