//! The plugin's side of the boundary: what [`export_plugin!`](crate::export_plugin) expands to.
//!
//! | step | file |
//! | --- | --- |
//! | what an author states | [`definition`], checked by [`gts`] |
//! | how a library describes itself | [`descriptor`] |
//! | what the macros emit, and how they read an author's keys | `export`, `keys` |
//! | the host's heap | [`heap`] |
//! | the exported C symbol | [`entry`] |
//! | vtables of a definition | [`vtable`] |
//! | one created plugin | [`instance`] |
//! | one call | [`drive`] |
//! | mirrors of the host's tokens | [`token`] |
//! | panics become data | [`guard`] |
//! | the host's services | [`host`] |
//! | spans, events and records in the host's log | [`trace`] |
//! | a subscriber that keeps them from it | [`own_subscriber`] |

pub(crate) mod definition;
pub(crate) mod descriptor;
pub(crate) mod drive;
#[cfg(mini_chat_elf)]
pub(crate) mod entry;
mod export;
pub(crate) mod gts;
pub(crate) mod guard;
#[cfg(mini_chat_elf)]
pub(crate) mod heap;
pub(crate) mod host;
pub(crate) mod instance;
mod keys;
pub(crate) mod own_subscriber;
pub(crate) mod reply;
pub(crate) mod token;
pub(crate) mod trace;
pub(crate) mod vtable;

/// What the host said when it loaded this image: its name and version; none when the plugin is linked statically.
pub(crate) fn loaded_by() -> Option<(&'static str, &'static str)> {
    #[cfg(mini_chat_elf)]
    return entry::loaded().map(|loaded| (loaded.host_name.as_str(), loaded.host_version.as_str()));
    #[cfg(not(mini_chat_elf))]
    return None;
}
