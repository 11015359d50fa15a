//! [`HeapBytes`]: what a value on its way across takes from one side's account and adds to the other's.

use abi_stable::std_types::{ROption, RResult};
use mini_chat_plugin_abi::buffer::{FfiString, FfiVec};
use mini_chat_plugin_abi::error::FfiError;
use mini_chat_plugin_abi::scalar::{FfiTime, FfiUuid};
use mini_chat_plugin_abi::state::FfiState;

/// Bytes of heap that a record owns: the capacities of all its buffers, not their lengths.
///
/// That is what the allocator was asked for, so the sum over all that crossed balances with what it is given back.
pub trait HeapBytes {
    /// The bytes.
    fn heap_bytes(&self) -> usize;
}

macro_rules! none {
    ($($ty:ty)+) => {
        $(impl HeapBytes for $ty {
            #[inline]
            fn heap_bytes(&self) -> usize {
                0
            }
        })+
    };
}

none! { () bool u32 i32 u64 i64 f64 FfiUuid FfiTime }

impl HeapBytes for FfiString {
    #[inline]
    fn heap_bytes(&self) -> usize {
        FfiString::heap_bytes(self)
    }
}

impl<T: HeapBytes> HeapBytes for FfiVec<T> {
    fn heap_bytes(&self) -> usize {
        self.buffer_bytes() + self.as_slice().iter().map(T::heap_bytes).sum::<usize>()
    }
}

impl<T: HeapBytes> HeapBytes for ROption<T> {
    #[inline]
    fn heap_bytes(&self) -> usize {
        match self {
            ROption::RSome(value) => value.heap_bytes(),
            ROption::RNone => 0,
        }
    }
}

impl<T: HeapBytes> HeapBytes for RResult<T, FfiError> {
    #[inline]
    fn heap_bytes(&self) -> usize {
        match self {
            RResult::ROk(value) => value.heap_bytes(),
            RResult::RErr(error) => error.heap_bytes(),
        }
    }
}

impl HeapBytes for FfiState {
    #[inline]
    fn heap_bytes(&self) -> usize {
        self.bytes.buffer_bytes()
    }
}

impl HeapBytes for FfiError {
    #[inline]
    fn heap_bytes(&self) -> usize {
        FfiError::heap_bytes(self)
    }
}
