//! The body of every call: `{"rid": ..., "data": ...}`.

use std::fmt;

use serde_json::value::RawValue;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What JavaScript sees as `body.data`.
#[derive(Debug)]
pub(super) enum Envelope<'a> {
    /// The body is an object with `data` (the last one, if it is named more than once).
    Data(&'a RawValue),
    /// The body is any other JSON value but null: its `data` is undefined.
    Undefined,
    /// The body is `null`, which has no properties at all.
    Null,
}

impl<'a> Deserialize<'a> for Envelope<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EnvelopeVisitor)
    }
}

struct EnvelopeVisitor;

impl<'a> Visitor<'a> for EnvelopeVisitor {
    type Value = Envelope<'a>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::Undefined;
        while let Some(name) = map.next_key::<Name>()? {
            match name {
                Name::Data => envelope = Envelope::Data(map.next_value()?),
                Name::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(envelope)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Envelope::Undefined)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Envelope::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Envelope::Undefined)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Envelope::Undefined)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Envelope::Undefined)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Envelope::Undefined)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Envelope::Undefined)
    }
}

/// The one name that matters, told apart without keeping the others.
enum Name {
    Data,
    Other,
}

impl<'a> Deserialize<'a> for Name {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'_> for NameVisitor {
            type Value = Name;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a name")
            }

            // As bytes, so that an unpaired surrogate in a name is no error, as in JavaScript.
            fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Name, E> {
                Ok(if name == b"data" { Name::Data } else { Name::Other })
            }
        }
        deserializer.deserialize_bytes(NameVisitor)
    }
}
