//! The body of the exported C symbol: takes the host's heap, checks both sides' sizes, fills in the reply.
//!
//! # Invariants
//!
//! 1. Nothing here allocates before [`heap::install`](super::heap) has run.
//! 2. `args` and `reply` are what the ABI's entry contract says: valid for the call, `size` fields true.

use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use mini_chat_plugin_abi::entry::{
    CHECK_ABI_STABLE, EntryArgs, EntryReply, MAGIC, STATUS_CALLED_TWICE, STATUS_EARLY_ALLOCATION, STATUS_HOST_TOO_OLD,
    STATUS_OK, STATUS_PANICKED,
};
use mini_chat_plugin_abi::heap::HeapTable;

use super::{guard, heap};

static CALLED: AtomicBool = AtomicBool::new(false);
static LOADED: OnceLock<Loaded> = OnceLock::new();

/// What the host said when it loaded this image.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The host's number for this image.
    pub(crate) image: u64,
    /// Name of the host program.
    pub(crate) host_name: String,
    /// Version of the host program.
    pub(crate) host_version: String,
}

/// What the host said when it loaded this image; none when linked statically.
pub(crate) fn loaded() -> Option<&'static Loaded> {
    LOADED.get()
}

/// The body of the entry symbol.
///
/// # Safety
///
/// The contract of `mini_chat_plugin_abi::entry::EntryFn`; `module` is what the reply's `module` is to be.
pub unsafe fn enter(
    args: *const EntryArgs,
    reply: *mut EntryReply,
    module: unsafe extern "C" fn(u32) -> *const c_void,
) {
    // SAFETY: invariant 2.
    let reply_size = unsafe { (*reply).size };
    if reply_size < size_of::<EntryReply>() {
        // Even the status has no agreed place: a reply without the magic says it.
        return;
    }
    // SAFETY: invariant 2; the size was checked.
    let reply = unsafe { &mut *reply };
    reply.magic = MAGIC;
    reply.check = CHECK_ABI_STABLE;
    reply.module = Some(module);
    // SAFETY: invariant 2.
    let outcome = unsafe { accept(args) };
    let (status, message) = match outcome {
        Ok(()) => (STATUS_OK, ""),
        Err(refusal) => refusal,
    };
    reply.status = status;
    reply.message = message.as_ptr();
    reply.message_len = message.len();
}

/// # Safety
///
/// Invariant 2.
unsafe fn accept(args: *const EntryArgs) -> Result<(), (u32, &'static str)> {
    if CALLED.swap(true, Ordering::AcqRel) {
        return Err((STATUS_CALLED_TWICE, "the entry of this image was called before"));
    }
    // SAFETY: invariant 2.
    if unsafe { (*args).size } < size_of::<EntryArgs>() {
        return Err((STATUS_HOST_TOO_OLD, "the host's entry arguments are smaller than this plugin needs"));
    }
    // SAFETY: invariant 2; the size was checked.
    let args = unsafe { &*args };
    if args.heap.is_null() {
        return Err((STATUS_HOST_TOO_OLD, "the host gives no heap table"));
    }
    // SAFETY: the heap table is valid and immortal by the contract of the entry.
    if unsafe { (*args.heap).size } < size_of::<HeapTable>() {
        return Err((STATUS_HOST_TOO_OLD, "the host's heap table is smaller than this plugin needs"));
    }
    // SAFETY: as above.
    if unsafe { heap::has_null(args.heap) } {
        return Err((STATUS_HOST_TOO_OLD, "the host's heap table has null in it"));
    }
    if heap::used_early() {
        return Err((
            STATUS_EARLY_ALLOCATION,
            "memory was allocated before the host's heap was installed: look for code that runs when the library is \
             mapped (a `#[ctor]`, a C++ static)",
        ));
    }
    // SAFETY: not used early (checked), and the table is immortal.
    unsafe { heap::install(args.heap) };
    guard::catch(|| {
        // SAFETY: invariant 2: both texts are valid for the call.
        let (host_name, host_version) =
            unsafe { (text(args.host_name, args.host_name_len), text(args.host_version, args.host_version_len)) };
        let _ = LOADED.set(Loaded { image: args.image, host_name, host_version });
        guard::install_hook();
    })
    .map_err(|_| (STATUS_PANICKED, "the plugin's entry panicked"))
}

/// # Safety
///
/// `pointer` is null or valid for `length` bytes.
unsafe fn text(pointer: *const u8, length: usize) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: by the caller.
    String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(pointer, length) }).into_owned()
}

/// A cell for the abi_stable header of the library, made at the first request.
///
/// Rationale: the header is not `Sync` for the compiler, and is to be made after the heap is there.
#[derive(Debug)]
pub struct ModuleCell(OnceLock<usize>);

impl ModuleCell {
    /// An empty cell.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The header of `T`'s module for `major`, or null.
    #[must_use]
    pub fn get<T: super::definition::PluginDefinition>(&self, major: u32) -> *const c_void {
        if major != mini_chat_plugin_abi::descriptor::ABI_MAJOR {
            return ptr::null();
        }
        let made = guard::catch(|| {
            *self.0.get_or_init(|| {
                let header = abi_stable::library::LibHeader::from_module(super::vtable::module::<T>());
                Box::leak(Box::new(header)) as *const _ as usize
            })
        });
        made.map_or(ptr::null(), |address| address as *const c_void)
    }
}

impl Default for ModuleCell {
    fn default() -> Self {
        Self::new()
    }
}
