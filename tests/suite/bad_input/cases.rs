//! A case: a test that produces an error and gives its kind.

/// Makes a test of each case, and `COVERED`: each with its name and the kind that it really produces, since it fails if it
/// produces another.
macro_rules! cases {
    ($($case:ident => $kind:literal),+ $(,)?) => {
        pub(crate) const COVERED: &[(&str, &str)] =
            &[$((concat!(module_path!(), "::", stringify!($case)), $kind)),+];

        mod case {
            $(#[test]
            fn $case() {
                assert_eq!(super::$case(), $kind);
            })+
        }
    };
}

pub(crate) use cases;
