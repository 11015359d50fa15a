//! [`HeapTable`]: the host's heap, handed to a plugin before anything else of it runs.
//!
//! Implemented by: host. Called by: the plugin's global allocator, from any thread, at any time until the process ends,
//! also from thread-local destructors and after every instance of the plugin is gone. The table and what `context`
//! points at are therefore **immortal**: the host never frees them.
//!
//! Rationale: with one heap a `String` crosses by moving three words; with two, every buffer would be copied or carry a
//! destructor.

use core::ffi::c_void;

use crate::records::layout::assert_layout;

/// The host's allocator as C functions. Never extended: by `size` a plugin refuses one that is smaller than it knows.
///
/// Each function has the contract of the method of the same name of `core::alloc::GlobalAlloc`, takes `context` of this
/// table as its first argument, does not unwind, and may be called from any thread. A null result means that memory is
/// exhausted.
#[repr(C)]
pub struct HeapTable {
    /// Size of this table in bytes, as the host was compiled. A plugin refuses a table smaller than the one it knows.
    pub size: usize,
    /// Passed to every function; the host's account of this image. Never null, never freed.
    pub context: *mut c_void,
    /// `alloc(context, size, align)`: `align` is a power of two, `size` not 0.
    pub alloc: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut u8,
    /// `alloc_zeroed(context, size, align)`.
    pub alloc_zeroed: unsafe extern "C" fn(*mut c_void, usize, usize) -> *mut u8,
    /// `realloc(context, ptr, old_size, align, new_size)`.
    pub realloc: unsafe extern "C" fn(*mut c_void, *mut u8, usize, usize, usize) -> *mut u8,
    /// `dealloc(context, ptr, size, align)`.
    pub dealloc: unsafe extern "C" fn(*mut c_void, *mut u8, usize, usize),
}

assert_layout!(HeapTable: size 48, align 8 {
    size: 0, context: 8, alloc: 16, alloc_zeroed: 24, realloc: 32, dealloc: 40,
});

// SAFETY: the functions may be called from any thread (contract above) and the context is only passed back to them.
unsafe impl Sync for HeapTable {}
// SAFETY: as above.
unsafe impl Send for HeapTable {}
