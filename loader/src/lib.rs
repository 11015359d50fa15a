//! Load mini-chat plugins at run time, and call them as async trait objects.
//!
//! The life of a plugin, each state a type that only the one before can make:
//!
//! 1. [`find`]: a directory entry becomes a [`find::Candidate`];
//! 2. [`verify`]: its bytes, read once ([`verify::ReadImage`]), are judged without executing anything
//!    ([`verify::VerifiedImage`]);
//! 3. [`image_dir`]: the very same bytes are written to a private file ([`image_dir::StoredImage`]);
//! 4. [`preflight`]: a process of its own tries that file first;
//! 5. `open`: that file is mapped (`MappedImage`), its entry called, the layouts compared both ways (`OpenedImage`);
//! 6. `instance`: an instance is opened with its configuration (`OpenedInstance`), created and found healthy (`Instance`);
//! 7. `slot`: it serves under its name; handles point at the slot ([`PluginHost::model_policy`], [`PluginHost::audit`]),
//!    until a newer build has come the same way and takes its place;
//! 8. [`PluginHost::shutdown`]: drain, shutdown hook, close. A mapped library stays mapped.
//!
//! | to know | see |
//! | --- | --- |
//! | which plugins with which settings | [`config`] |
//! | what serves, and what replaces it when | `supervisor`; its rules `swap` |
//! | what stands in the plugin directories, and when to look | `scan`, `watch` |
//! | what a host knows of its last life | `state` |
//! | the plugins by their GTS identifiers | [`registry`] |
//! | how a call crosses | `call`, `client` |
//! | how cancellation crosses | `cancel` |
//! | who may still use an instance that ends | `gate` |
//! | how events reach every audit plugin, and what they are cleaned of | [`audit`], [`sanitize`] |
//! | how plugins share the host's heap | `heap` |
//! | what plugins may ask of the host | `services` |
//! | how what plugins trace gets into the host's log | `trace` |
//! | whether there is room for one more | `budget` |
//! | what can be asked of a host | `handle`, [`Probe`] |
//! | how another process asks it | [`control`] |
//! | what is counted | [`metrics`] |
//! | which thread keeps time | `housekeeping` |
//! | who notices a plugin that blocks | `watchdog` |

// A host of ABI 1.0, which only tests build, has no slots for spans and events.
#![cfg_attr(mini_chat_abi = "1.0", allow(dead_code, unused_imports))]

// What the tests beside the source and those under `tests` share; it names this crate as the latter do.
#[cfg(test)]
extern crate self as mini_chat_plugin_loader;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod test_support;

pub mod audit;
mod budget;
mod builder;
mod call;
mod cancel;
mod client;
pub mod config;
mod contain;
pub mod control;
mod counter;
mod door;
pub mod error;
mod events;
pub mod find;
mod gate;
mod handle;
mod heap;
mod host;
mod housekeeping;
pub mod image_dir;
mod instance;
pub mod method;
pub mod metrics;
mod open;
mod per_thread;
pub mod preflight;
mod probe;
mod process_state;
pub mod registry;
pub mod sanitize;
mod scan;
mod services;
mod slot;
mod start;
mod state;
mod status;
mod supervisor;
mod swap;
mod sync;
mod trace;
pub mod verify;
mod watch;
mod watchdog;

pub use budget::Headroom;
pub use builder::{OnFailure, PluginHostBuilder};
pub use call::CallOptions;
pub use events::{HostEvent, Phases};
pub use host::PluginHost;
pub use preflight::{Preflight, preflight_child};
pub use probe::Probe;
pub use state::StateDirChoice;
pub use status::{
    BuildStatus, EndedPlugin, HostFacts, HostSnapshot, HostStatus, InstanceStatus, PluginSnapshot, PluginStatus,
    Quarantined, Readiness, RefusedFile, Retry, ShutdownReport, StateStatus, SwapStatus, Swapped, Unpinned, Zombie,
};
