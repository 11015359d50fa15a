//! Enumerations that may get more values: integers in a newtype.
//!
//! An unknown discriminant of a Rust `enum` is undefined behaviour, so nothing that may grow crosses as one. What an
//! unknown value becomes is decided, per enumeration and direction, where records are converted (`sdk/src/convert`).

macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $value:ident = $number:literal),+ $(,)? }) => {
        $(#[$meta])*
        ///
        /// An open enumeration: a value that is not listed here comes from a newer peer.
        #[repr(C)]
        #[derive(::abi_stable::StableAbi, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $name {
            /// The number that crosses.
            pub value: u32,
        }

        impl $name {
            $($(#[$vmeta])* pub const $value: Self = Self { value: $number };)+

            /// Names and numbers of all values known to this release.
            pub const VALUES: &'static [(&'static str, u32)] = &[$((stringify!($value), $number)),+];

            /// The name of a value known to this release.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.value {
                    $($number => Some(stringify!($value)),)+
                    _ => None,
                }
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "unknown({})", self.value),
                }
            }
        }

        const _: () = assert!(size_of::<$name>() == 4 && align_of::<$name>() == 4);
    };
}

pub(crate) use open_enum;
