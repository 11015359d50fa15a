//! A deserialiser over a JSON value whose errors are [`ConfigFault`]s with the key path.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde_json::{Map, Value};

use super::fault::{ConfigFault, Step};

/// Deserialises from one value.
#[derive(Clone, Copy)]
pub(super) struct ValueDeserializer<'a> {
    value: &'a Value,
}

impl<'a> ValueDeserializer<'a> {
    pub(super) fn new(value: &'a Value) -> Self {
        Self { value }
    }
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_> {
    type Error = ConfigFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigFault> {
        match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(text) => visitor.visit_str(text),
            Value::Array(items) => visitor.visit_seq(Items { items, at: 0 }),
            Value::Object(table) => visitor.visit_map(Entries { entries: table.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ConfigFault> {
        if self.value.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ConfigFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigFault> {
        match self.value {
            Value::String(variant) => visitor.visit_enum(Variant { name: variant, value: None }),
            Value::Object(table) => match single(table) {
                Some((name, value)) => visitor.visit_enum(Variant { name, value: Some(value) }),
                None => Err(ConfigFault::invalid_length(table.len(), &"a table with one key, the variant's name")),
            },
            other => Err(ConfigFault::invalid_type(unexpected(other), &"a variant's name, or a table with one key")),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

fn single(table: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = table.iter();
    match (entries.next(), entries.next()) {
        (Some((name, value)), None) => Some((name, value)),
        _ => None,
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(number) => number.as_i64().map_or(Unexpected::Float(0.0), Unexpected::Signed),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Items<'a> {
    items: &'a [Value],
    at: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = ConfigFault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ConfigFault> {
        let Some(value) = self.items.get(self.at) else { return Ok(None) };
        let index = self.at;
        self.at += 1;
        seed.deserialize(ValueDeserializer::new(value)).map(Some).map_err(|fault| fault.inside(Step::Index(index)))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len() - self.at)
    }
}

struct Entries<'a> {
    entries: serde_json::map::Iter<'a>,
    value: Option<(&'a str, &'a Value)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ConfigFault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ConfigFault> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ConfigFault> {
        let Some((key, value)) = self.value.take() else {
            return Err(ConfigFault::broken("a value was asked for before its key"));
        };
        seed.deserialize(ValueDeserializer::new(value)).map_err(|fault| fault.inside(Step::Key(key.to_owned())))
    }
}

struct Variant<'a> {
    name: &'a str,
    value: Option<&'a Value>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = ConfigFault;
    type Variant = VariantBody<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, VariantBody<'a>), ConfigFault> {
        let variant = seed.deserialize(self.name.into_deserializer())?;
        Ok((variant, VariantBody { name: self.name, value: self.value }))
    }
}

struct VariantBody<'a> {
    name: &'a str,
    value: Option<&'a Value>,
}

impl<'de> VariantAccess<'de> for VariantBody<'_> {
    type Error = ConfigFault;

    fn unit_variant(self) -> Result<(), ConfigFault> {
        match self.value {
            None | Some(Value::Null) => Ok(()),
            Some(other) => Err(ConfigFault::invalid_type(unexpected(other), &"nothing")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ConfigFault> {
        let value = self.value.unwrap_or(&Value::Null);
        seed.deserialize(ValueDeserializer::new(value)).map_err(|fault| fault.inside(Step::Key(self.name.to_owned())))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ConfigFault> {
        let value = self.value.unwrap_or(&Value::Null);
        ValueDeserializer::new(value)
            .deserialize_any(visitor)
            .map_err(|fault| fault.inside(Step::Key(self.name.to_owned())))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ConfigFault> {
        self.tuple_variant(0, visitor)
    }
}
