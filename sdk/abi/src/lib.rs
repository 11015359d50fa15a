//! The frozen C ABI between a mini-chat host and its plugins: every byte that crosses, and nothing else.
//!
//! The version of this crate *is* the ABI version. The rules, in short (`ABI.md`, beside this crate's manifest, has them
//! in full, with what becomes of calls between two minors):
//!
//! * a released record never changes, not even at its end; new data is a new record and a new method;
//! * vtables are prefix types: methods are appended, never moved or removed;
//! * what may get more values crosses as an integer in a newtype ([`open_enum`]);
//! * [`entry`] is plain C and frozen for ever.
//!
//! Naming: `Ffi*` crosses by value, `*Ref` is a borrowed vtable, `Plugin*` is implemented by the plugin, `Host*` by the
//! host. Conversions to the types that people program against stand in the crate `mini-chat-plugin-sdk`.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`entry`] | the exported C symbol and its two structs; in C: `include/mini_chat_plugin.h` |
//! | [`descriptor`] | what a library says of itself without running |
//! | [`heap`] | the host's heap as a C table |
//! | [`host`] | the host's functions |
//! | [`tracing`] | spans and events of plugins in the host's subscriber |
//! | [`call`], [`error`] | one call, one error |
//! | [`module`] | the plugin's functions: life cycle, model policy, audit |
//! | [`instance`] | what an instance is created with, what its end reports |
//! | [`state`] | what an instance hands to its successor |
//! | [`records`] | the frozen twins of the domain types |
//! | [`buffer`], [`scalar`] | strings, vectors, UUIDs, times |

pub mod buffer;
pub mod call;
pub mod descriptor;
pub mod entry;
pub mod error;
pub mod heap;
pub mod host;
pub mod instance;
pub mod module;
pub mod open_enum;
pub mod records;
pub mod scalar;
pub mod state;
pub mod tracing;
