//! Strategies for what the domain types are made of.

use proptest::collection::vec;
use proptest::num::f64 as floats;
use proptest::prelude::*;
use time::{Date, OffsetDateTime, Time, UtcOffset};
use uuid::Uuid;

/// Any number, the edges often.
macro_rules! integers {
    ($($name:ident: $ty:ident)+) => {
        $(
            #[doc = concat!("Any `", stringify!($ty), "`; smallest and largest often.")]
            pub fn $name() -> impl Strategy<Value = $ty> {
                prop_oneof![Just($ty::MIN), Just($ty::MAX), Just(0), any::<$ty>()]
            }
        )+
    };
}

integers! { u32s: u32 i32s: i32 u64s: u64 i64s: i64 }

/// Any `f64` but NaN, also infinite, subnormal and −0.
pub fn f64s() -> impl Strategy<Value = f64> {
    floats::NORMAL | floats::SUBNORMAL | floats::ZERO | floats::INFINITE | floats::POSITIVE | floats::NEGATIVE
}

/// Any text: empty, short, not ASCII, of 8 KiB and more, and with spare capacity.
pub fn text() -> BoxedStrategy<String> {
    let content = prop_oneof![
        4 => Just(String::new()),
        12 => any::<String>(),
        4 => "[äöü—模型😀\u{0}\u{10ffff}]{1,40}",
        1 => (8 * 1024..9 * 1024_usize, any::<char>()).prop_map(|(bytes, c)| c.to_string().repeat(bytes / c.len_utf8() + 1)),
    ];
    (content, prop_oneof![3 => Just(0), 1 => 1..100_usize])
        .prop_map(|(mut text, spare)| {
            text.reserve_exact(spare);
            text
        })
        .boxed()
}

/// Up to three elements, often none, now and then with spare capacity.
pub fn list<T: std::fmt::Debug + 'static>(element: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Vec<T>> {
    (vec(element, 0..4), prop_oneof![3 => Just(0), 1 => 1..5_usize])
        .prop_map(|(mut list, spare)| {
            list.reserve_exact(spare);
            list
        })
        .boxed()
}

/// Any UUID, also nil and max.
pub fn uuid() -> impl Strategy<Value = Uuid> {
    prop_oneof![1 => Just(Uuid::nil()), 1 => Just(Uuid::max()), 8 => any::<[u8; 16]>().prop_map(Uuid::from_bytes)]
}

/// Any time that an `OffsetDateTime` can hold: every year, nanosecond and offset (to the second), the edges often.
///
/// That includes times whose *local* date is the last possible one while their date in UTC lies a day beyond it.
pub fn time() -> BoxedStrategy<OffsetDateTime> {
    let day = prop_oneof![
        1 => Just(Date::MIN.to_julian_day()),
        1 => Just(Date::MAX.to_julian_day()),
        1 => Just(2_440_588), // 1970-01-01
        6 => Date::MIN.to_julian_day()..=Date::MAX.to_julian_day(),
    ];
    let second = prop_oneof![1 => Just(0), 1 => Just(86_399), 4 => 0..86_400_u32];
    let nanosecond = prop_oneof![1 => Just(0), 1 => Just(999_999_999), 4 => 0..1_000_000_000_u32];
    let offset = prop_oneof![
        2 => Just(0),
        1 => Just(-93_599),
        1 => Just(93_599),
        1 => Just(19_800), // +05:30
        4 => -93_599..=93_599_i32,
    ];
    (day, second, nanosecond, offset)
        .prop_map(|(day, s, nanosecond, offset)| {
            let (hour, minute, second) = ((s / 3_600) as u8, (s / 60 % 60) as u8, (s % 60) as u8);
            Date::from_julian_day(day)
                .unwrap()
                .with_time(Time::from_hms_nano(hour, minute, second, nanosecond).unwrap())
                .assume_offset(UtcOffset::from_whole_seconds(offset).unwrap())
        })
        .boxed()
}
