//! [`HostHeap`]: the plugin's global allocator, which forwards to the host's.
//!
//! # Invariants
//!
//! 1. `TABLE` is null until [`install`] and never changes afterwards; what it points at is immortal (contract of
//!    `HeapTable`).
//! 2. A block is freed by whoever allocated it: before `TABLE` is set that is [`System`], and such a block makes the
//!    entry refuse the plugin, so that `TABLE` stays null for the life of the process. Once `TABLE` is set, no block from
//!    `System` exists.

use std::alloc::{GlobalAlloc, Layout, System};
use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use mini_chat_plugin_abi::heap::HeapTable;

static TABLE: AtomicPtr<HeapTable> = AtomicPtr::new(ptr::null_mut());
static EARLY: AtomicBool = AtomicBool::new(false);

/// Forwards to the host's heap. [`export_plugin!`](crate::export_plugin) makes it the global allocator of the library.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostHeap;

/// Whether something was allocated before [`install`].
pub(crate) fn used_early() -> bool {
    EARLY.load(Ordering::Acquire)
}

/// Whether a host that is not ours has left one of the table's pointers null, which no Rust type lets it.
///
/// # Safety
///
/// `table` points at a table of at least the size that is known here.
pub(crate) unsafe fn has_null(table: *const HeapTable) -> bool {
    let pointers = offset_of!(HeapTable, context)..size_of::<HeapTable>();
    // SAFETY: by the caller; behind `size` there are nothing but pointers, which are read as what may be null.
    pointers.step_by(size_of::<usize>()).any(|at| unsafe { table.byte_add(at).cast::<*const ()>().read() }.is_null())
}

/// Sets the host's heap. Called once, by the entry.
///
/// # Safety
///
/// `table` points at a `HeapTable` that is valid for ever (invariant 1), and [`used_early`] is false (invariant 2).
pub(crate) unsafe fn install(table: *const HeapTable) {
    TABLE.store(table.cast_mut(), Ordering::Release);
}

#[inline]
fn table() -> Option<&'static HeapTable> {
    // SAFETY: invariant 1.
    unsafe { TABLE.load(Ordering::Acquire).as_ref() }
}

// SAFETY: invariant 2: every block goes back to the allocator it came from, whose contract is that of GlobalAlloc.
unsafe impl GlobalAlloc for HostHeap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match table() {
            // SAFETY: the contract of HeapTable is that of GlobalAlloc.
            Some(t) => unsafe { (t.alloc)(t.context, layout.size(), layout.align()) },
            None => {
                EARLY.store(true, Ordering::Release);
                // SAFETY: passed on as it came.
                unsafe { System.alloc(layout) }
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match table() {
            // SAFETY: the contract of HeapTable is that of GlobalAlloc.
            Some(t) => unsafe { (t.alloc_zeroed)(t.context, layout.size(), layout.align()) },
            None => {
                EARLY.store(true, Ordering::Release);
                // SAFETY: passed on as it came.
                unsafe { System.alloc_zeroed(layout) }
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        match table() {
            // SAFETY: invariant 2.
            Some(t) => unsafe { (t.dealloc)(t.context, ptr, layout.size(), layout.align()) },
            // SAFETY: invariant 2.
            None => unsafe { System.dealloc(ptr, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        match table() {
            // SAFETY: invariant 2.
            Some(t) => unsafe { (t.realloc)(t.context, ptr, layout.size(), layout.align(), new_size) },
            // SAFETY: invariant 2.
            None => unsafe { System.realloc(ptr, layout, new_size) },
        }
    }
}
