//! `heap_bytes` of a record is what the allocator gives back when the record is dropped.
//!
//! A program of its own, because it counts in the global allocator.
//!
//! # Invariants
//!
//! 1. Every call is passed on to `System` unchanged, so the contract of `GlobalAlloc` is `System`'s.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use abi_stable::std_types::{RErr, ROk, RResult};
use mini_chat_plugin_abi::error::{FfiError, FfiErrorKind, FfiErrorOrigin};
use mini_chat_plugin_abi::records::FfiAuditUsageTokens;
use mini_chat_plugin_abi::state::FfiState;
use mini_chat_plugin_sdk::audit_models::AuditUsageTokens;
use mini_chat_plugin_sdk::convert::{Domain, HeapBytes};
use mini_chat_plugin_tests::{for_each_domain_type, strategies};
use proptest::prelude::*;

/// Counts the bytes that this thread has taken from the heap and not given back.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    LIVE.set(LIVE.get() + bytes);
}

// SAFETY: invariant 1; counting touches a thread-local without a destructor and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: invariant 1.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: invariant 1.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        // SAFETY: invariant 1.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// What dropping `value` gives back to the heap.
fn given_back<T>(value: T) -> usize {
    let before = LIVE.get();
    drop(value);
    (before - LIVE.get()).try_into().expect("dropping a record allocates nothing")
}

macro_rules! is_what_a_drop_gives_back {
    ($($strategy:ident: $module:ident::$ty:ident,)+) => {
        proptest! {
            $(
                #[test]
                fn $strategy(value in strategies::$strategy()) {
                    let record = value.into_record();
                    let heap = record.heap_bytes();
                    prop_assert_eq!(heap, given_back(record));
                }
            )+
        }
    };
}

for_each_domain_type!(is_what_a_drop_gives_back);

fn text(capacity: usize, text: &str) -> String {
    let mut string = String::with_capacity(capacity);
    string.push_str(text);
    string
}

/// By hand once, with spare capacity: it is the capacity that counts, not the length.
#[test]
fn a_reply_owns_what_its_value_or_error_owns() {
    let usage = AuditUsageTokens { input_tokens: 1, output_tokens: 2, model: Some(text(100, "gpt")) };
    let reply: RResult<FfiAuditUsageTokens, FfiError> = ROk(usage.into_record());
    assert_eq!(reply.heap_bytes(), 100);
    assert_eq!(given_back(reply), 100);

    let mut error = FfiError::new(FfiErrorOrigin::PLUGIN, FfiErrorKind::INTERNAL, text(50, "no"));
    error.detail = text(7, "").into();
    let reply: RResult<FfiAuditUsageTokens, FfiError> = RErr(error);
    assert_eq!(reply.heap_bytes(), 57);
    assert_eq!(given_back(reply), 57);
}

#[test]
fn a_list_owns_its_buffer_and_what_is_in_it() {
    let mut list = Vec::with_capacity(10);
    list.push(text(100, "a"));
    list.push(String::new());
    let record = list.into_record();
    assert_eq!(record.heap_bytes(), 10 * 24 + 100);
    assert_eq!(given_back(record), 10 * 24 + 100);
}

#[test]
fn a_state_owns_its_buffer() {
    let mut bytes = Vec::with_capacity(4096);
    bytes.push(1);
    let reply: RResult<FfiState, FfiError> = ROk(FfiState { bytes: bytes.into() });
    assert_eq!(reply.heap_bytes(), 4096);
    assert_eq!(given_back(reply), 4096);
}
