//! The two macros that make all conversions of structs and enumerations.

/// Both conversions of a struct, and the heap of its record.
///
/// The patterns name every field of either side, and so do the literals: a field that only one side has, or that is not
/// listed, does not compile.
macro_rules! record {
    ($domain:ident as $record:ident { $($field:ident),+ $(,)? }) => {
        impl $crate::convert::Domain for $domain {
            type Record = $record;

            #[inline]
            fn into_record(self) -> $record {
                let Self { $($field),+ } = self;
                $record { $($field: $crate::convert::Domain::into_record($field)),+ }
            }

            #[inline]
            fn from_record(record: $record) -> Result<Self, $crate::convert::ConvertError> {
                let $record { $($field),+ } = record;
                Ok(Self {
                    $($field: match $crate::convert::Domain::from_record($field) {
                        Ok(value) => value,
                        Err(error) => return Err(error.in_field(stringify!($field))),
                    }),+
                })
            }
        }

        impl $crate::convert::HeapBytes for $record {
            #[inline]
            fn heap_bytes(&self) -> usize {
                let Self { $($field),+ } = self;
                0 $(+ $crate::convert::HeapBytes::heap_bytes($field))+
            }
        }
    };
}

/// Both conversions of an enumeration.
///
/// Outwards the `match` is closed: a domain value without a number does not compile. Inwards a number without a domain
/// value is an error that names it.
macro_rules! enumeration {
    ($domain:ident as $record:ident { $($value:ident = $number:ident),+ $(,)? }) => {
        impl $crate::convert::Domain for $domain {
            type Record = $record;

            #[inline]
            fn into_record(self) -> $record {
                match self {
                    $(Self::$value => $record::$number,)+
                }
            }

            #[inline]
            fn from_record(record: $record) -> Result<Self, $crate::convert::ConvertError> {
                match record {
                    $($record::$number => Ok(Self::$value),)+
                    $record { value } => Err($crate::convert::ConvertError::new(format!("unknown value {value}"))),
                }
            }
        }

        impl $crate::convert::HeapBytes for $record {
            #[inline]
            fn heap_bytes(&self) -> usize {
                0
            }
        }
    };
}

pub(super) use {enumeration, record};
