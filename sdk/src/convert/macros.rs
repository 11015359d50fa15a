//! The macros that make all conversions of structs and enumerations.

/// Both conversions of a struct, the check and the heap of its record.
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
            fn from_checked(record: $record) -> Self {
                let $record { $($field),+ } = record;
                Self { $($field: $crate::convert::Domain::from_checked($field)),+ }
            }
        }

        $crate::convert::macros::fields!($record { $($field),+ });
    };
}

/// The conversions of a struct to and from a record of an earlier minor, by way of [`Older`](crate::convert::Older).
///
/// `without` lists the domain fields that the record lacks, each with the value that it has where the record came from an
/// older peer; outwards they are dropped. A field of either side that is in neither list does not compile.
#[cfg(mini_chat_abi = "1.2")]
macro_rules! older_record {
    ($domain:ident as $record:ident { $($field:ident),+ $(,)? } without { $($lacking:ident = $default:expr),+ $(,)? }) => {
        impl $crate::convert::Domain for $crate::convert::Older<$domain> {
            type Record = $record;

            #[inline]
            fn into_record(self) -> $record {
                let $domain { $($field),+, $($lacking: _),+ } = self.0;
                $record { $($field: $crate::convert::Domain::into_record($field)),+ }
            }

            #[inline]
            fn from_checked(record: $record) -> Self {
                let $record { $($field),+ } = record;
                Self($domain { $($field: $crate::convert::Domain::from_checked($field)),+, $($lacking: $default),+ })
            }
        }

        $crate::convert::macros::fields!($record { $($field),+ });
    };
}

/// The check and the heap of a record, field by field.
macro_rules! fields {
    ($record:ident { $($field:ident),+ }) => {
        impl $crate::convert::Check for $record {
            #[inline]
            fn check(&self) -> Result<(), $crate::convert::ConvertError> {
                let Self { $($field),+ } = self;
                $(
                    if let Err(error) = $crate::convert::Check::check($field) {
                        return Err(error.in_field(stringify!($field)));
                    }
                )+
                Ok(())
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

/// Both conversions of an enumeration, and the check of its record.
///
/// Outwards the `match` is closed: a domain value without a number does not compile. Inwards a number without a domain
/// value is an error that names it.
macro_rules! enumeration {
    ($domain:ident as $record:ident { $first:ident = $one:ident $(, $value:ident = $number:ident)* $(,)? }) => {
        impl $crate::convert::Domain for $domain {
            type Record = $record;

            #[inline]
            fn into_record(self) -> $record {
                match self {
                    Self::$first => $record::$one,
                    $(Self::$value => $record::$number,)*
                }
            }

            #[inline]
            fn from_checked(record: $record) -> Self {
                match record {
                    $($record::$number => Self::$value,)*
                    _ => Self::$first,
                }
            }
        }

        impl $crate::convert::Check for $record {
            #[inline]
            fn check(&self) -> Result<(), $crate::convert::ConvertError> {
                match *self {
                    $record::$one $(| $record::$number)* => Ok(()),
                    $record { value } => Err($crate::convert::ConvertError::unknown_value(value)),
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

#[cfg(mini_chat_abi = "1.2")]
pub(super) use older_record;
pub(super) use {enumeration, fields, record};
