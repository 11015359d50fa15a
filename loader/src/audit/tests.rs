//! Tests of the fan-out on plugins that are made up here; `tests/suite/fan_out.rs` has real ones.

mod breaker;
mod deliveries;
mod memory;
mod reports;
mod rosters;
mod stopwatch;
mod world;
