//! Between domain types and their frozen records, both directions of a type in one place.
//!
//! Used by both sides of the boundary: the caller turns domain into record, the callee turns record into domain, and back
//! for the answer. Not part of the public interface of this crate: loader and exported plugins use it, authors do not.
//!
//! # Rules
//!
//! 1. Strings and vectors move: an allocation changes owner, no text is copied. (Outwards, a vector of records that are
//!    larger than the domain values is a new allocation.)
//! 2. Domain to record cannot fail. Record to domain fails only for what the other side may know better: an unknown value
//!    of an open enumeration, a time out of range. Neither panics, whatever the record says.
//! 3. Both sides of a type are taken apart exhaustively (`macros.rs`): a field that either side lacks does not compile.
//! 4. A record is checked by reference first and then converted by code that cannot fail. Rationale: a result per field
//!    costs a copy of every element of a vector (measured: a third of a snapshot's crossing) and a clean-up path per field.
//! 5. The path of a field is put together only once something is wrong with it.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `scalar` | strings, numbers, UUIDs, times, vectors, options |
//! | `check` | whether a record can be converted |
//! | `heap_bytes` | how much heap a record owns |
//! | `error` | what is wrong with a record |
//! | the others | one per file of the same name in `records` of the crate `mini-chat-plugin-abi` |

mod audit;
mod audit_parts;
mod catalog;
mod check;
mod error;
mod heap_bytes;
mod limits;
mod macros;
mod model_config;
mod policy;
mod scalar;
mod usage;

pub use check::Check;
pub use error::ConvertError;
pub use heap_bytes::HeapBytes;

/// A domain value that crosses as the record of an earlier minor: what that record lacks is dropped outwards, and has its
/// documented default inwards.
#[cfg(mini_chat_abi = "1.2")]
#[derive(Debug)]
pub struct Older<T>(pub T);

/// A domain type and its frozen twin.
pub trait Domain: Sized {
    /// What crosses.
    type Record: Check;

    /// To what crosses; takes the buffers along.
    fn into_record(self) -> Self::Record;

    /// From what crossed and [`Check`] has passed; takes the buffers along.
    ///
    /// What the check would refuse becomes some value, it does not matter which: nothing here panics.
    fn from_checked(record: Self::Record) -> Self;

    /// From what crossed; takes the buffers along.
    ///
    /// # Errors
    ///
    /// If the record holds something that this side cannot express; the record is dropped.
    #[inline]
    fn from_record(record: Self::Record) -> Result<Self, ConvertError> {
        record.check()?;
        Ok(Self::from_checked(record))
    }
}
