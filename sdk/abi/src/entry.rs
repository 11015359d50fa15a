//! The entry: one exported C symbol with a tiny signature, frozen for ever.
//!
//! Everything else may change with an ABI major; this module may not. It is plain C, and `include/mini_chat_plugin.h` says the
//! same in C: a loader can call it without knowing anything of the library but its name.
//!
//! Life cycle: the host calls the symbol [`ENTRY_SYMBOL`] once per image, right after mapping it, from one thread,
//! before anything else. It then asks [`EntryReply::module`] for the major it wants.

use core::ffi::c_void;

use crate::heap::HeapTable;
use crate::records::layout::assert_layout;

/// Name of the exported symbol, of type [`EntryFn`].
pub const ENTRY_SYMBOL: &str = "mini_chat_plugin_entry";

/// First 16 bytes that a plugin writes into its reply.
pub const MAGIC: [u8; 16] = *b"mini-chat-plugin";

/// `extern "C"` type of the entry symbol.
///
/// `args` and `reply` are valid for the call. Does not unwind. The plugin keeps the pointers inside `args.heap`
/// (immortal), copies the rest.
pub type EntryFn = unsafe extern "C" fn(args: *const EntryArgs, reply: *mut EntryReply);

/// What the host says. Never extended: by `size` either side refuses one that is smaller than it knows.
#[repr(C)]
pub struct EntryArgs {
    /// Size of this struct in bytes, as the host was compiled.
    pub size: usize,
    /// The host's heap for this image; see [`HeapTable`]. Never null.
    pub heap: *const HeapTable,
    /// The host's number for this image, unique in the process, for logs.
    pub image: u64,
    /// Name of the host program: UTF-8, not terminated.
    pub host_name: *const u8,
    /// Bytes of `host_name`.
    pub host_name_len: usize,
    /// Version of the host program: UTF-8, not terminated.
    pub host_version: *const u8,
    /// Bytes of `host_version`.
    pub host_version_len: usize,
}

/// What the plugin answers. The host zeroes it and sets `size`; the plugin fills it in.
#[repr(C)]
pub struct EntryReply {
    /// Size of this struct in bytes, as the *host* was compiled; a plugin writes nothing behind it.
    pub size: usize,
    /// [`MAGIC`].
    pub magic: [u8; 16],
    /// One of the `STATUS_…` constants.
    pub status: u32,
    /// One of the `CHECK_…` constants: how the host is to check the module before using it.
    pub check: u32,
    /// For a status other than [`STATUS_OK`]: what happened. UTF-8, not terminated, static. May be null.
    pub message: *const u8,
    /// Bytes of `message`.
    pub message_len: usize,
    /// The module for an ABI major, or null if this library does not serve it. May be called from any thread, any number
    /// of times; the result is valid until the process ends. With [`CHECK_ABI_STABLE`] it is an abi_stable library
    /// header (`abi_stable::library::AbiHeader`), whose root module is that major's `PluginModule`.
    pub module: Option<unsafe extern "C" fn(major: u32) -> *const c_void>,
}

/// The plugin is ready.
pub const STATUS_OK: u32 = 0;
/// The plugin allocated before the host's heap was installed (code that runs before `main`).
pub const STATUS_EARLY_ALLOCATION: u32 = 1;
/// The entry of this image was called before.
pub const STATUS_CALLED_TWICE: u32 = 2;
/// The host's structs are smaller than this plugin needs: the host is too old.
pub const STATUS_HOST_TOO_OLD: u32 = 3;
/// The plugin's entry panicked.
pub const STATUS_PANICKED: u32 = 4;

/// The module is described by an abi_stable library header and is to be checked with it.
pub const CHECK_ABI_STABLE: u32 = 1;

assert_layout!(EntryArgs: size 56, align 8 {
    size: 0, heap: 8, image: 16, host_name: 24, host_name_len: 32, host_version: 40,
    host_version_len: 48,
});
assert_layout!(EntryReply: size 56, align 8 {
    size: 0, magic: 8, status: 24, check: 28, message: 32, message_len: 40, module: 48,
});
