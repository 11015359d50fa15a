//! Every type that crosses, as a text; one is committed per minor of the ABI, in `sdk/abi/golden`.
//!
//! `./scripts/layout check` says what differs from it and what to do instead; `write` writes the text of a minor that has none,
//! or, with `--candidate`, that of a release candidate anew. [`current`] reads the layout of the ABI crate that this is compiled
//! with; [`same`] and [`appends`] compare.

mod compare;
mod describe;
mod golden;
mod text;

#[cfg(test)]
mod tests;

pub use compare::{Difference, appends, same};
pub use describe::current;
pub use golden::{Golden, Refused, State, Texts};
pub use text::{Kind, Layout, Section};
