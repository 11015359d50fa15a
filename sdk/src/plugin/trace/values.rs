//! The values of a span's or event's fields, as they cross.

use std::error::Error;
use std::fmt::{Debug, Write};
use std::ops::Range;

use abi_stable::std_types::RSlice;
use mini_chat_plugin_abi::buffer::FfiStr;
use mini_chat_plugin_abi::tracing::{FfiTraceType, FfiTraceValue};
use tracing_core::callsite::Identifier;
use tracing_core::field::{Field, Visit};

/// Collects values. What they refer to is not there for longer than a visit: texts are copied.
pub(super) struct Values {
    values: Vec<Value>,
    text: String,
    callsite: Option<Identifier>,
}

struct Value {
    field: u32,
    kind: FfiTraceType,
    low: u64,
    high: u64,
    text: Range<usize>,
}

impl Values {
    pub(super) fn new() -> Self {
        Self { values: Vec::with_capacity(8), text: String::with_capacity(128), callsite: None }
    }

    /// The callsite that the values belong to; none if there are none.
    pub(super) fn callsite(&self) -> Option<Identifier> {
        self.callsite.clone()
    }

    /// Gives them in the form in which they cross.
    pub(super) fn with<R>(&self, give: impl FnOnce(RSlice<'_, FfiTraceValue<'_>>) -> R) -> R {
        let values: Vec<FfiTraceValue<'_>> = self
            .values
            .iter()
            .map(|Value { field, kind, low, high, text }| FfiTraceValue {
                field: *field,
                kind: *kind,
                low: *low,
                high: *high,
                text: FfiStr::new(&self.text[text.clone()]),
            })
            .collect();
        give(RSlice::from_slice(&values))
    }

    fn number(&mut self, field: &Field, kind: FfiTraceType, low: u64, high: u64) {
        let end = self.text.len();
        self.push(field, Value { field: 0, kind, low, high, text: end..end });
    }

    /// `write` appends to the text.
    fn text(&mut self, field: &Field, kind: FfiTraceType, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        let text = start..self.text.len();
        self.push(field, Value { field: 0, kind, low: 0, high: 0, text });
    }

    fn push(&mut self, field: &Field, value: Value) {
        self.callsite.get_or_insert_with(|| field.callsite());
        self.values.push(Value { field: u32::try_from(field.index()).unwrap_or(u32::MAX), ..value });
    }
}

/// The halves of a number's bits.
fn halves(bits: u128) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    (bits as u64, (bits >> 64) as u64)
}

impl Visit for Values {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, FfiTraceType::F64, value.to_bits(), 0);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, FfiTraceType::I64, u64::from_ne_bytes(value.to_ne_bytes()), 0);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, FfiTraceType::U64, value, 0);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        let (low, high) = halves(u128::from_ne_bytes(value.to_ne_bytes()));
        self.number(field, FfiTraceType::I128, low, high);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        let (low, high) = halves(value);
        self.number(field, FfiTraceType::U128, low, high);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, FfiTraceType::BOOL, u64::from(value), 0);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, FfiTraceType::STR, |text| text.push_str(value));
    }

    /// With what has caused it, since the host has only the text.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.text(field, FfiTraceType::ERROR, |text| {
            let _ = write!(text, "{value}");
            let mut cause = value.source();
            while let Some(error) = cause {
                let _ = write!(text, ": {error}");
                cause = error.source();
            }
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, FfiTraceType::DEBUG, |text| {
            let _ = write!(text, "{value:?}");
        });
    }
}
