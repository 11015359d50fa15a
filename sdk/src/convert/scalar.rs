//! What structs are made of: strings, numbers, UUIDs, times, vectors, options.

use abi_stable::std_types::ROption;
use mini_chat_plugin_abi::buffer::{FfiString, FfiVec};
use mini_chat_plugin_abi::scalar::{FfiTime, FfiUuid};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::convert::Domain;

macro_rules! as_is {
    ($($ty:ty)+) => {
        $(impl Domain for $ty {
            type Record = $ty;

            #[inline]
            fn into_record(self) -> $ty {
                self
            }

            #[inline]
            fn from_checked(record: $ty) -> Self {
                record
            }
        })+
    };
}

as_is! { () bool u32 i32 u64 i64 f64 }

impl Domain for String {
    type Record = FfiString;

    #[inline]
    fn into_record(self) -> FfiString {
        self.into()
    }

    #[inline]
    fn from_checked(record: FfiString) -> Self {
        record.into()
    }
}

impl Domain for Uuid {
    type Record = FfiUuid;

    #[inline]
    fn into_record(self) -> FfiUuid {
        FfiUuid { bytes: self.into_bytes() }
    }

    #[inline]
    fn from_checked(record: FfiUuid) -> Self {
        Uuid::from_bytes(record.bytes)
    }
}

impl Domain for OffsetDateTime {
    type Record = FfiTime;

    #[inline]
    fn into_record(self) -> FfiTime {
        FfiTime {
            unix_seconds: self.unix_timestamp(),
            nanoseconds: self.nanosecond(),
            offset_seconds: self.offset().whole_seconds(),
        }
    }

    #[inline]
    fn from_checked(record: FfiTime) -> Self {
        let FfiTime { unix_seconds, nanoseconds, offset_seconds } = record;
        let offset = UtcOffset::from_whole_seconds(offset_seconds).unwrap_or(UtcOffset::UTC);
        // By way of the wall clock, which is in range where the same moment in UTC may not be.
        let wall_clock = unix_seconds.saturating_add(offset_seconds.into());
        let time = OffsetDateTime::from_unix_timestamp(wall_clock).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        time.replace_nanosecond(nanoseconds).unwrap_or(time).replace_offset(offset)
    }
}

impl<T: Domain> Domain for Vec<T> {
    type Record = FfiVec<T::Record>;

    // `collect` reuses the allocation if the new elements fit into it: always inwards, where records are never smaller
    // than domain values, outwards for elements of the same size.

    #[inline]
    fn into_record(self) -> Self::Record {
        self.into_iter().map(T::into_record).collect::<Vec<_>>().into()
    }

    #[inline]
    fn from_checked(record: Self::Record) -> Self {
        Vec::from(record).into_iter().map(T::from_checked).collect()
    }
}

impl<T: Domain> Domain for Option<T> {
    type Record = ROption<T::Record>;

    #[inline]
    fn into_record(self) -> Self::Record {
        match self {
            Some(value) => ROption::RSome(value.into_record()),
            None => ROption::RNone,
        }
    }

    #[inline]
    fn from_checked(record: Self::Record) -> Self {
        match record {
            ROption::RSome(value) => Some(T::from_checked(value)),
            ROption::RNone => None,
        }
    }
}
