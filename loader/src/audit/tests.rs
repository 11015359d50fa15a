//! Tests of the fan-out on plugins that are made up here; `tests/suite/fan_out.rs` has real ones.

mod breaker;
mod deliveries;
mod held;
mod lookouts;
mod memory;
mod reports;
mod rescues;
mod rosters;
mod stopwatch;
mod world;
