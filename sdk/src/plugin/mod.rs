//! The plugin's side of the boundary: what [`export_plugin!`](crate::export_plugin) expands to.
//!
//! | step | file |
//! | --- | --- |
//! | what an author states | [`definition`], checked by [`gts`] |
//! | how a library describes itself | [`descriptor`] |
//! | what the macro emits | `export` |
//! | the host's heap | [`heap`] |
//! | the exported C symbol | [`entry`] |
//! | vtables of a definition | [`vtable`] |
//! | one created plugin | [`instance`] |
//! | one call | [`drive`] |
//! | mirrors of the host's tokens | [`token`] |
//! | panics become data | [`guard`] |
//! | the host's services | [`host`] |

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
pub(crate) mod reply;
pub(crate) mod token;
pub(crate) mod vtable;

/// The host's number for this image; none when the plugin is linked statically.
pub(crate) fn entry_image() -> Option<u64> {
    #[cfg(mini_chat_elf)]
    return entry::image();
    #[cfg(not(mini_chat_elf))]
    return None;
}
