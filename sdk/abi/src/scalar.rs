//! Scalars that need a fixed form: [`FfiUuid`] and [`FfiTime`].
//!
//! | here | domain twin | form |
//! | --- | --- | --- |
//! | `FfiUuid` | `uuid::Uuid` | 16 bytes, big endian (RFC 9562) |
//! | `FfiTime` | `time::OffsetDateTime` | seconds since the Unix epoch, nanoseconds, offset from UTC in seconds |

use abi_stable::StableAbi;

use crate::records::layout::assert_layout;

/// A UUID as its 16 bytes in network order.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct FfiUuid {
    /// The bytes, most significant first.
    pub bytes: [u8; 16],
}

assert_layout!(FfiUuid: size 16, align 1 { bytes: 0 });

/// A point in time with the offset it is to be shown in.
///
/// A value that the receiving side cannot express (a year, a nanosecond or an offset out of range) is an error of that
/// call, never a panic.
#[repr(C)]
#[derive(StableAbi, Clone, Copy, PartialEq, Eq, Debug)]
pub struct FfiTime {
    /// Seconds since 1970-01-01T00:00:00Z; negative before.
    pub unix_seconds: i64,
    /// Nanoseconds within the second, 0 to 999,999,999.
    pub nanoseconds: u32,
    /// Offset from UTC in seconds, east positive, −93,599 to 93,599.
    pub offset_seconds: i32,
}

assert_layout!(FfiTime: size 16, align 8 { unix_seconds: 0, nanoseconds: 8, offset_seconds: 12 });
