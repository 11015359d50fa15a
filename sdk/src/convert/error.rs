//! [`ConvertError`]: what is wrong with a record, and where.

use std::borrow::Cow;
use std::fmt;

/// A record that the receiving side cannot express.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConvertError {
    /// Full path of the field, such as `model_catalog[3].tier`; empty if the record itself is wrong.
    pub field: Cow<'static, str>,
    /// What is wrong with it, such as `unknown value 7`.
    pub problem: String,
}

impl ConvertError {
    #[cold]
    pub(super) fn new(problem: String) -> Self {
        Self { field: Cow::Borrowed(""), problem }
    }

    #[cold]
    pub(super) fn unknown_value(value: u32) -> Self {
        Self::new(format!("unknown value {value}"))
    }

    /// The same, seen from the struct that has the value in `field`.
    #[cold]
    pub(super) fn in_field(self, field: &'static str) -> Self {
        let field = match &*self.field {
            "" => Cow::Borrowed(field),
            inner if inner.starts_with('[') => Cow::Owned(format!("{field}{inner}")),
            inner => Cow::Owned(format!("{field}.{inner}")),
        };
        Self { field, ..self }
    }

    /// The same, seen from the sequence that has the value at `index`.
    #[cold]
    pub(super) fn at_index(self, index: usize) -> Self {
        let field = match &*self.field {
            "" => format!("[{index}]"),
            inner if inner.starts_with('[') => format!("[{index}]{inner}"),
            inner => format!("[{index}].{inner}"),
        };
        Self { field: Cow::Owned(field), ..self }
    }
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            return f.write_str(&self.problem);
        }
        write!(f, "field `{}`: {}", self.field, self.problem)
    }
}

impl std::error::Error for ConvertError {}
