//! Load mini-chat plugins at run time.
//!
//! From a file to bytes that may be mapped, each state a type that only the one before can make:
//!
//! 1. [`find`]: a directory entry becomes a [`find::Candidate`];
//! 2. [`verify`]: its bytes, read once ([`verify::ReadImage`]), are judged without executing anything
//!    ([`verify::VerifiedImage`]);
//! 3. [`image_dir`]: the very same bytes are written to a private file ([`image_dir::StoredImage`]).

pub mod config;
pub mod error;
pub mod find;
pub mod image_dir;
pub mod method;
pub mod verify;
