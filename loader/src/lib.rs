//! Load mini-chat plugins at run time.

pub mod method;
