//! The values of a plugin's span or event, as values of the host's `tracing`.

use std::error::Error;
use std::fmt;

use mini_chat_plugin_abi::tracing::{FfiTraceType, FfiTraceValue};
use tracing_core::Metadata;
use tracing_core::field::{self, DebugValue, Value};

/// One value per field that there is.
pub(super) struct Values<'a>(Vec<Option<Held<'a>>>);

enum Held<'a> {
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    U128(u128),
    F64(f64),
    Str(&'a str),
    Debug(DebugValue<Verbatim<'a>>),
    Error(Box<dyn Error>),
}

/// Text that was formatted in the plugin.
struct Verbatim<'a>(&'a str);

impl fmt::Debug for Verbatim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What an error of the plugin's says.
#[derive(Debug)]
struct Said(String);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Said {}

impl<'a> Values<'a> {
    /// Values for the fields of a callsite; those for other fields are passed over.
    pub(super) fn of(metadata: &Metadata<'_>, values: &'a [FfiTraceValue<'a>]) -> Self {
        let mut held: Vec<Option<Held<'a>>> = Vec::new();
        held.resize_with(metadata.fields().len(), || None);
        for value in values {
            if let Some(place) = held.get_mut(value.field as usize) {
                *place = Some(Held::of(value));
            }
        }
        Self(held)
    }

    /// As `FieldSet::value_set_all` wants them. It and `value_set` are both hidden from the documentation of `tracing-core`,
    /// and both are what the macros of published releases of `tracing` expand to; this one takes any number of fields.
    pub(super) fn by_field(&self) -> Vec<Option<&dyn Value>> {
        self.0.iter().map(|held| held.as_ref().map(Held::value)).collect()
    }
}

impl<'a> Held<'a> {
    fn of(value: &'a FfiTraceValue<'a>) -> Self {
        let wide = u128::from(value.high) << 64 | u128::from(value.low);
        match value.kind {
            FfiTraceType::BOOL => Self::Bool(value.low != 0),
            FfiTraceType::I64 => Self::I64(value.low.cast_signed()),
            FfiTraceType::U64 => Self::U64(value.low),
            FfiTraceType::I128 => Self::I128(wide.cast_signed()),
            FfiTraceType::U128 => Self::U128(wide),
            FfiTraceType::F64 => Self::F64(f64::from_bits(value.low)),
            FfiTraceType::STR => Self::Str(value.text.as_str()),
            FfiTraceType::ERROR => Self::Error(Box::new(Said(value.text.as_str().to_owned()))),
            // `DEBUG`, and what a newer plugin has.
            _ => Self::Debug(field::debug(Verbatim(value.text.as_str()))),
        }
    }

    fn value(&self) -> &dyn Value {
        match self {
            Self::Bool(value) => value,
            Self::I64(value) => value,
            Self::U64(value) => value,
            Self::I128(value) => value,
            Self::U128(value) => value,
            Self::F64(value) => value,
            Self::Str(value) => value,
            Self::Debug(value) => value,
            Self::Error(value) => value,
        }
    }
}
