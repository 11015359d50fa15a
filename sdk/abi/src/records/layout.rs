//! [`assert_layout!`]: the layout of a record, written down beside it and checked by the compiler.

/// Asserts size, alignment and the offset of *every* field: a field that is not listed does not compile.
///
/// On 64-bit targets only: the numbers of a 32-bit target are others, and no plugin is built for one.
macro_rules! assert_layout {
    ($record:ident: size $size:literal, align $align:literal { $($field:ident: $offset:literal),+ $(,)? }) => {
        const _: fn(&$record) = |record| {
            let $record { $($field: _),+ } = record;
        };
        #[cfg(target_pointer_width = "64")]
        const _: () = {
            assert!(size_of::<$record>() == $size);
            assert!(align_of::<$record>() == $align);
            $(assert!(core::mem::offset_of!($record, $field) == $offset);)+
        };
    };
}

pub(crate) use assert_layout;
