//! Load mini-chat plugins at run time.

pub mod config;
pub mod error;
pub mod method;
