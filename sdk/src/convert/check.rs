//! [`Check`]: whether this side can express what a record says.

use abi_stable::std_types::ROption;
use mini_chat_plugin_abi::buffer::{FfiString, FfiVec};
use mini_chat_plugin_abi::scalar::{FfiTime, FfiUuid};
use time::{PrimitiveDateTime, UtcOffset};

use crate::convert::ConvertError;

/// Looks through a record for what has no domain value.
pub trait Check {
    /// The first thing that is wrong, if any.
    ///
    /// # Errors
    ///
    /// If the record holds an unknown value of an open enumeration or a time out of range.
    fn check(&self) -> Result<(), ConvertError>;
}

macro_rules! always_good {
    ($($ty:ty)+) => {
        $(impl Check for $ty {
            #[inline(always)]
            fn check(&self) -> Result<(), ConvertError> {
                Ok(())
            }
        })+
    };
}

always_good! { () bool u32 i32 u64 i64 f64 FfiUuid FfiString }

/// First and last second that a wall clock can show.
const WALL_CLOCK: (i64, i64) =
    (PrimitiveDateTime::MIN.assume_utc().unix_timestamp(), PrimitiveDateTime::MAX.assume_utc().unix_timestamp());

impl Check for FfiTime {
    #[inline]
    fn check(&self) -> Result<(), ConvertError> {
        let Self { unix_seconds, nanoseconds, offset_seconds } = *self;
        if UtcOffset::from_whole_seconds(offset_seconds).is_err() {
            return Err(out_of_range("offset_seconds", offset_seconds.into()));
        }
        // The wall clock is what must be in range: within a day of either end of time the same moment in UTC is not.
        let (first, last) = WALL_CLOCK;
        match unix_seconds.checked_add(offset_seconds.into()) {
            Some(wall_clock) if first <= wall_clock && wall_clock <= last => {}
            _ => return Err(out_of_range("unix_seconds", unix_seconds)),
        }
        if nanoseconds > 999_999_999 {
            return Err(out_of_range("nanoseconds", nanoseconds.into()));
        }
        Ok(())
    }
}

#[cold]
fn out_of_range(part: &str, value: i64) -> ConvertError {
    ConvertError::new(format!("{part} {value} out of range"))
}

impl<T: Check> Check for FfiVec<T> {
    #[inline]
    fn check(&self) -> Result<(), ConvertError> {
        for (index, element) in self.as_slice().iter().enumerate() {
            if let Err(error) = element.check() {
                return Err(error.at_index(index));
            }
        }
        Ok(())
    }
}

impl<T: Check> Check for ROption<T> {
    #[inline]
    fn check(&self) -> Result<(), ConvertError> {
        match self {
            ROption::RSome(value) => value.check(),
            ROption::RNone => Ok(()),
        }
    }
}
