//! Buffers that cross by moving three words: [`FfiString`], [`FfiVec`], and the borrowed [`FfiStr`] and [`FfiBytes`].
//!
//! | here | std twin | what crosses |
//! | --- | --- | --- |
//! | `FfiString` | `String` | pointer, length, capacity; the allocation changes owner |
//! | `FfiVec<T>` | `Vec<T>` | pointer, length, capacity; the allocation changes owner |
//! | `FfiStr<'a>` | `&'a str` | pointer, length; nothing changes owner |
//! | `FfiBytes<'a>` | `&'a [u8]` | pointer, length; nothing changes owner |
//!
//! # Invariants
//!
//! 1. **One heap.** Host and plugin allocate from the same heap (a plugin's global allocator forwards to the host's
//!    through the [`HeapTable`](crate::heap::HeapTable), installed before any other code of the plugin runs), so that
//!    either side may grow or free what the other allocated. A plugin for which this does not hold is refused at load.
//! 2. `ptr`, `len`, `cap` are the parts of a live `String`/`Vec<T>` that was taken apart by this module and has not been
//!    given to anyone else; they are written nowhere else.
//! 3. The bytes of an `FfiString`/`FfiStr` are UTF-8: both sides make them from `String`/`str` only.
//! 4. Pointer and length of an `FfiBytes<'a>` are those of a `&'a [u8]`; they are written nowhere else.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::{fmt, slice, str};

use abi_stable::StableAbi;

use crate::records::layout::assert_layout;

/// An owned UTF-8 string: a `String` taken apart.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiString {
    ptr: *mut u8,
    len: usize,
    cap: usize,
}

assert_layout!(FfiString: size 24, align 8 { ptr: 0, len: 8, cap: 16 });

// SAFETY: invariant 2: an FfiString owns its bytes as a String does, and String is Send.
unsafe impl Send for FfiString {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for FfiString {}

impl FfiString {
    /// Bytes of heap that this value owns (its capacity).
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.cap
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // SAFETY: invariants 2 and 3.
        unsafe { str::from_utf8_unchecked(slice::from_raw_parts(self.ptr, self.len)) }
    }
}

impl From<String> for FfiString {
    fn from(value: String) -> Self {
        let mut value = ManuallyDrop::new(value);
        Self { ptr: value.as_mut_ptr(), len: value.len(), cap: value.capacity() }
    }
}

impl From<FfiString> for String {
    fn from(value: FfiString) -> Self {
        let value = ManuallyDrop::new(value);
        // SAFETY: invariants 1, 2 and 3; `value` is forgotten, so the parts have one owner.
        unsafe { String::from_raw_parts(value.ptr, value.len, value.cap) }
    }
}

impl Drop for FfiString {
    fn drop(&mut self) {
        // SAFETY: invariants 1 and 2; a value that was converted back is forgotten and does not come here.
        drop(unsafe { Vec::from_raw_parts(self.ptr, self.len, self.cap) });
    }
}

impl Default for FfiString {
    fn default() -> Self {
        String::new().into()
    }
}

impl fmt::Debug for FfiString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// An owned sequence: a `Vec<T>` taken apart.
#[repr(C)]
#[derive(StableAbi)]
pub struct FfiVec<T> {
    ptr: *mut T,
    len: usize,
    cap: usize,
    _owns: PhantomData<T>,
}

const _: () = assert!(size_of::<FfiVec<u64>>() == 3 * size_of::<usize>());

// SAFETY: invariant 2: an FfiVec owns its elements as a Vec does.
unsafe impl<T: Send> Send for FfiVec<T> {}
// SAFETY: as above; shared access only reads.
unsafe impl<T: Sync> Sync for FfiVec<T> {}

impl<T> FfiVec<T> {
    /// Bytes of heap that the sequence itself owns (its capacity, not what its elements own).
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.cap * size_of::<T>()
    }

    /// The elements.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: invariant 2.
        unsafe { slice::from_raw_parts(self.ptr, self.len) }
    }
}

impl<T> From<Vec<T>> for FfiVec<T> {
    fn from(value: Vec<T>) -> Self {
        let mut value = ManuallyDrop::new(value);
        Self { ptr: value.as_mut_ptr(), len: value.len(), cap: value.capacity(), _owns: PhantomData }
    }
}

impl<T> From<FfiVec<T>> for Vec<T> {
    fn from(value: FfiVec<T>) -> Self {
        let value = ManuallyDrop::new(value);
        // SAFETY: invariants 1 and 2; `value` is forgotten, so the parts have one owner.
        unsafe { Vec::from_raw_parts(value.ptr, value.len, value.cap) }
    }
}

impl<T> Drop for FfiVec<T> {
    fn drop(&mut self) {
        // SAFETY: invariants 1 and 2; a value that was converted back is forgotten and does not come here.
        drop(unsafe { Vec::from_raw_parts(self.ptr, self.len, self.cap) });
    }
}

impl<T> Default for FfiVec<T> {
    fn default() -> Self {
        Vec::new().into()
    }
}

impl<T: fmt::Debug> fmt::Debug for FfiVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_slice(), f)
    }
}

/// A borrowed UTF-8 string: valid for `'a`, which at the boundary is the duration of the call it is an argument of.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct FfiStr<'a> {
    ptr: *const u8,
    len: usize,
    _borrows: PhantomData<&'a u8>,
}

assert_layout!(FfiStr: size 16, align 8 { ptr: 0, len: 8, _borrows: 16 });

// SAFETY: an FfiStr is a `&'a str` taken apart, and `&str` is Send.
unsafe impl Send for FfiStr<'_> {}
// SAFETY: as above.
unsafe impl Sync for FfiStr<'_> {}

impl<'a> FfiStr<'a> {
    /// Borrows a text.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len(), _borrows: PhantomData }
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        // SAFETY: invariant 3; made from a `&'a str` only, so pointer and length are valid for `'a`.
        unsafe { str::from_utf8_unchecked(slice::from_raw_parts(self.ptr, self.len)) }
    }
}

impl<'a> From<&'a str> for FfiStr<'a> {
    fn from(text: &'a str) -> Self {
        Self::new(text)
    }
}

impl fmt::Debug for FfiStr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Borrowed bytes: valid for `'a`, which at the boundary is the duration of the call they are an argument of.
#[repr(C)]
#[derive(StableAbi, Clone, Copy)]
pub struct FfiBytes<'a> {
    ptr: *const u8,
    len: usize,
    _borrows: PhantomData<&'a u8>,
}

assert_layout!(FfiBytes: size 16, align 8 { ptr: 0, len: 8, _borrows: 16 });

// SAFETY: an FfiBytes is a `&'a [u8]` taken apart, and `&[u8]` is Send.
unsafe impl Send for FfiBytes<'_> {}
// SAFETY: as above.
unsafe impl Sync for FfiBytes<'_> {}

impl<'a> FfiBytes<'a> {
    /// Borrows bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len(), _borrows: PhantomData }
    }

    /// The bytes.
    #[must_use]
    pub const fn as_slice(self) -> &'a [u8] {
        // SAFETY: made from a `&'a [u8]` only (invariant 4), so pointer and length are valid for `'a`.
        unsafe { slice::from_raw_parts(self.ptr, self.len) }
    }
}

/// Says how many there are, not which: they may be secret.
impl fmt::Debug for FfiBytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FfiBytes({} bytes)", self.len)
    }
}
