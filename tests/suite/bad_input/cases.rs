//! A case: a test that produces an error and gives its kind.

/// Makes a test of each case, and `COVERED`: the kinds that the tests of this module really produce, since each of them
/// fails if it produces another.
macro_rules! cases {
    ($($case:ident => $kind:literal),+ $(,)?) => {
        pub(crate) const COVERED: &[&str] = &[$($kind),+];

        mod case {
            $(#[test]
            fn $case() {
                assert_eq!(super::$case(), $kind);
            })+
        }
    };
}

pub(crate) use cases;
