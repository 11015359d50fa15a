//! What structs are made of: strings, numbers, UUIDs, times, vectors, options.

use abi_stable::std_types::ROption;
use mini_chat_plugin_abi::buffer::{FfiString, FfiVec};
use mini_chat_plugin_abi::scalar::{FfiTime, FfiUuid};
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use crate::convert::{ConvertError, Domain};

macro_rules! as_is {
    ($($ty:ty)+) => {
        $(impl Domain for $ty {
            type Record = $ty;

            #[inline]
            fn into_record(self) -> $ty {
                self
            }

            #[inline]
            fn from_record(record: $ty) -> Result<Self, ConvertError> {
                Ok(record)
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
    fn from_record(record: FfiString) -> Result<Self, ConvertError> {
        Ok(record.into())
    }
}

impl Domain for Uuid {
    type Record = FfiUuid;

    #[inline]
    fn into_record(self) -> FfiUuid {
        FfiUuid { bytes: self.into_bytes() }
    }

    #[inline]
    fn from_record(record: FfiUuid) -> Result<Self, ConvertError> {
        Ok(Uuid::from_bytes(record.bytes))
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
    fn from_record(record: FfiTime) -> Result<Self, ConvertError> {
        let FfiTime { unix_seconds, nanoseconds, offset_seconds } = record;
        let Ok(offset) = UtcOffset::from_whole_seconds(offset_seconds) else {
            return Err(out_of_range("offset_seconds", offset_seconds.into()));
        };
        // The wall clock is what must be in range: within a day of either end of time the same moment in UTC is not.
        let time = unix_seconds
            .checked_add(offset_seconds.into())
            .and_then(|wall_clock| OffsetDateTime::from_unix_timestamp(wall_clock).ok());
        let Some(time) = time else {
            return Err(out_of_range("unix_seconds", unix_seconds));
        };
        match time.replace_nanosecond(nanoseconds) {
            Ok(time) => Ok(time.replace_offset(offset)),
            Err(_) => Err(out_of_range("nanoseconds", nanoseconds.into())),
        }
    }
}

#[cold]
fn out_of_range(part: &str, value: i64) -> ConvertError {
    ConvertError::new(format!("{part} {value} out of range"))
}

impl<T: Domain> Domain for Vec<T> {
    type Record = FfiVec<T::Record>;

    #[inline]
    fn into_record(self) -> Self::Record {
        self.into_iter().map(T::into_record).collect::<Vec<_>>().into()
    }

    #[inline]
    fn from_record(record: Self::Record) -> Result<Self, ConvertError> {
        let elements = Vec::from(record).into_iter().enumerate();
        elements.map(|(index, element)| T::from_record(element).map_err(|e| e.at_index(index))).collect()
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
    fn from_record(record: Self::Record) -> Result<Self, ConvertError> {
        match record {
            ROption::RSome(value) => T::from_record(value).map(Some),
            ROption::RNone => Ok(None),
        }
    }
}
