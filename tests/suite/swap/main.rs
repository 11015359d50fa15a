//! Hot swap: what a host does when something new is to serve, seen by those who call meanwhile.

mod api;
mod bad_builds;
mod configuration;
mod exclusive;
mod files;
mod kinds;
mod turns;
mod world;
