//! The host's heap as plugins see it, with an account of live bytes per image.
//!
//! A plugin's allocator calls the functions here with its image's [`Account`]. A buffer that crosses changes accounts by
//! [`Account::moved_in`] and [`Account::moved_out`], so that an account shows what the plugin itself holds.
//!
//! # Invariants
//!
//! 1. An `Account` is leaked: plugin threads and thread-local destructors may use it until the process ends.
//! 2. The context of every call is the account that [`table`] put into the table.

use std::alloc::{self, Layout};
use std::ffi::c_void;

use mini_chat_plugin_abi::heap::HeapTable;

use crate::counter::Sharded;

/// Live bytes of one image.
#[derive(Debug, Default)]
pub(crate) struct Account(Sharded);

impl Account {
    fn add(&self, bytes: i64) {
        self.0.add(bytes);
    }

    /// A buffer of the host's became the plugin's.
    pub(crate) fn moved_in(&self, bytes: usize) {
        self.add(signed(bytes));
    }

    /// A buffer of the plugin's became the host's.
    pub(crate) fn moved_out(&self, bytes: usize) {
        self.add(-signed(bytes));
    }

    /// Bytes that the plugin holds now. Exact while the plugin is idle, near while it works.
    pub(crate) fn live(&self) -> i64 {
        self.0.sum()
    }
}

/// No allocation is larger than `isize::MAX`, so this is exact for what comes here.
fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A heap table with an account of its own; both live until the process ends.
pub(crate) fn table() -> (&'static HeapTable, &'static Account) {
    // Invariant 1.
    let account: &'static Account = Box::leak(Box::default());
    let table = HeapTable {
        size: size_of::<HeapTable>(),
        context: std::ptr::from_ref(account).cast_mut().cast(),
        alloc: heap_alloc,
        alloc_zeroed: heap_alloc_zeroed,
        realloc: heap_realloc,
        dealloc: heap_dealloc,
    };
    (Box::leak(Box::new(table)), account)
}

/// # Safety
///
/// Invariant 2.
unsafe fn account<'a>(context: *mut c_void) -> &'a Account {
    // SAFETY: invariants 1 and 2.
    unsafe { &*context.cast::<Account>() }
}

unsafe extern "C" fn heap_alloc(context: *mut c_void, size: usize, align: usize) -> *mut u8 {
    // SAFETY: the caller keeps the contract of GlobalAlloc: `align` is a power of two, `size` is not 0 and fits.
    let block = unsafe { alloc::alloc(Layout::from_size_align_unchecked(size, align)) };
    if !block.is_null() {
        // SAFETY: invariant 2.
        unsafe { account(context) }.add(signed(size));
    }
    block
}

unsafe extern "C" fn heap_alloc_zeroed(context: *mut c_void, size: usize, align: usize) -> *mut u8 {
    // SAFETY: as in `heap_alloc`.
    let block = unsafe { alloc::alloc_zeroed(Layout::from_size_align_unchecked(size, align)) };
    if !block.is_null() {
        // SAFETY: invariant 2.
        unsafe { account(context) }.add(signed(size));
    }
    block
}

unsafe extern "C" fn heap_realloc(
    context: *mut c_void,
    block: *mut u8,
    old_size: usize,
    align: usize,
    new_size: usize,
) -> *mut u8 {
    // SAFETY: the caller keeps the contract of GlobalAlloc; with one heap the block may come from either side.
    let new = unsafe { alloc::realloc(block, Layout::from_size_align_unchecked(old_size, align), new_size) };
    if !new.is_null() {
        // SAFETY: invariant 2.
        unsafe { account(context) }.add(signed(new_size) - signed(old_size));
    }
    new
}

unsafe extern "C" fn heap_dealloc(context: *mut c_void, block: *mut u8, size: usize, align: usize) {
    // SAFETY: the caller keeps the contract of GlobalAlloc; with one heap the block may come from either side.
    unsafe { alloc::dealloc(block, Layout::from_size_align_unchecked(size, align)) };
    // SAFETY: invariant 2.
    unsafe { account(context) }.add(-signed(size));
}
