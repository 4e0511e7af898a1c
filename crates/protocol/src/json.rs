//! Reading JSON objects field by field, so that every refusal can name the field and its rule.
//!
//! Values are kept as the text they came as. Stricter than JSON itself where two readers could understand the same
//! text differently: a field that occurs twice and half a surrogate pair are refused.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{ErrorCode, Invalid};
use crate::limits::{BATCH_MAX, INTEGER_MAX, JSON_DEPTH_MAX};

pub(crate) mod inspect;

/// The fields of one JSON object: `values[i]` belongs to `names[i]`.
pub(crate) struct Object<'a, const N: usize> {
    names: &'static [&'static str; N],
    values: [Option<&'a RawValue>; N],
    duplicate: Option<&'static str>,
    /// Levels of nesting in fields without a name here, which are ignored otherwise.
    unknown_depth: usize,
}

/// Reads a body that must be one object.
pub(crate) fn object<'a, const N: usize>(
    body: &'a [u8],
    names: &'static [&'static str; N],
) -> Result<Object<'a, N>, Invalid> {
    let mut reader = serde_json::Deserializer::from_str(utf8(body)?);
    let read = ObjectSeed { names }.deserialize(&mut reader);
    let object = read.and_then(|object| reader.end().map(|()| object));
    object.map_err(|error| match error.is_data() {
        true => Invalid::new(
            ErrorCode::InvalidJson,
            None,
            "the body must be a JSON object",
        ),
        false => syntax(&error),
    })
}

/// Reads a body that must be an array of objects, at most [`BATCH_MAX`] of them.
pub(crate) fn objects<'a, const N: usize>(
    body: &'a [u8],
    names: &'static [&'static str; N],
) -> Result<Vec<Object<'a, N>>, Invalid> {
    let mut reader = serde_json::Deserializer::from_str(utf8(body)?);
    let begun = Cell::new(0);
    let read = reader.deserialize_seq(ObjectsVisitor {
        names,
        begun: &begun,
    });
    let objects = read.and_then(|objects| reader.end().map(|()| objects));
    objects.map_err(|error| match (error.is_data(), begun.get()) {
        (false, _) => syntax(&error),
        (true, 0) => Invalid::new(
            ErrorCode::InvalidJson,
            None,
            "the body must be a JSON array",
        ),
        (true, begun) if begun > BATCH_MAX => Invalid::field(
            format!("[{BATCH_MAX}]"),
            format!("is one too many: a batch has at most {BATCH_MAX} messages"),
        ),
        (true, begun) => Invalid::field(format!("[{}]", begun - 1), "must be a JSON object"),
    })
}

/// Reads a body that may be any JSON.
pub(crate) fn any(body: &[u8]) -> Result<&RawValue, Invalid> {
    serde_json::from_str(utf8(body)?).map_err(|error| syntax(&error))
}

pub(crate) fn utf8(body: &[u8]) -> Result<&str, Invalid> {
    std::str::from_utf8(body).map_err(|error| {
        let detail = format!(
            "the body is not UTF-8: byte {} is out of place",
            error.valid_up_to()
        );
        Invalid::new(ErrorCode::InvalidJson, None, detail)
    })
}

fn syntax(error: &serde_json::Error) -> Invalid {
    Invalid::new(
        ErrorCode::InvalidJson,
        None,
        format!("the body is not valid JSON: {error}"),
    )
}

impl<'a, const N: usize> Object<'a, N> {
    /// Refuses an object that names one of its fields twice, since readers would disagree about which one counts, and
    /// one that hides deep nesting in a field that is ignored.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if let Some(name) = self.duplicate {
            return Err(Invalid::field(name, "must not occur twice"));
        }
        // The braces of the object itself are one level.
        if self.unknown_depth >= JSON_DEPTH_MAX {
            let detail = format!("must not nest deeper than {JSON_DEPTH_MAX} levels in any field");
            return Err(Invalid::new(ErrorCode::InvalidJson, None, detail));
        }
        Ok(())
    }

    /// The text of a field, also where it is `null`.
    pub(crate) fn raw(&self, field: usize) -> Option<&'a RawValue> {
        self.values[field]
    }

    /// The text of an optional field; `null` means that it is absent.
    pub(crate) fn optional(&self, field: usize) -> Option<&'a RawValue> {
        self.values[field].filter(|raw| raw.get() != "null")
    }

    pub(crate) fn string(&self, field: usize) -> Result<Option<Cow<'a, str>>, Invalid> {
        self.decode(field, string)
    }

    /// A whole number that every reader keeps exact.
    pub(crate) fn integer(&self, field: usize) -> Result<Option<u64>, Invalid> {
        self.decode(field, |raw, name| parse_integer(raw.get(), name))
    }

    pub(crate) fn boolean(&self, field: usize) -> Result<Option<bool>, Invalid> {
        self.decode(field, |raw, name| match raw.get() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(Invalid::field(name, "must be true or false")),
        })
    }

    pub(crate) fn decode<T>(
        &self,
        field: usize,
        decode: impl FnOnce(&'a RawValue, &'static str) -> Result<T, Invalid>,
    ) -> Result<Option<T>, Invalid> {
        self.optional(field)
            .map(|raw| decode(raw, self.names[field]))
            .transpose()
    }
}

/// Reads a string; borrowed unless it has escapes.
pub(crate) fn string<'a>(raw: &'a RawValue, field: &str) -> Result<Cow<'a, str>, Invalid> {
    let text = raw.get();
    match text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        Some(_) => match serde_json::from_str(text) {
            Ok(decoded) => Ok(Cow::Owned(decoded)),
            Err(_) => Err(Invalid::field(
                field,
                "must not contain half a surrogate pair",
            )),
        },
        None => Err(Invalid::field(field, "must be a string")),
    }
}

/// Reads a whole number from 0 to [`INTEGER_MAX`] as JSON, headers and queries write it: digits, without a sign, a
/// fraction or an exponent; `field` is the name that a refusal gives.
pub fn parse_integer(text: &str, field: &str) -> Result<u64, Invalid> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|number| digits && *number <= INTEGER_MAX);
    number.ok_or_else(|| {
        Invalid::field(
            field,
            format!("must be a whole number from 0 to {INTEGER_MAX}"),
        )
    })
}

struct ObjectSeed<const N: usize> {
    names: &'static [&'static str; N],
}

impl<'de, const N: usize> DeserializeSeed<'de> for ObjectSeed<N> {
    type Value = Object<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for ObjectSeed<N> {
    type Value = Object<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let names = self.names;
        let mut object = Object {
            names,
            values: [None; N],
            duplicate: None,
            unknown_depth: 0,
        };
        while let Some(known) = map.next_key_seed(NameSeed { names })? {
            let value: &RawValue = map.next_value()?;
            match known {
                Some(field) if object.values[field].is_some() => {
                    object.duplicate = Some(names[field]);
                }
                Some(field) => object.values[field] = Some(value),
                None => {
                    object.unknown_depth = object.unknown_depth.max(inspect::inspect(value).depth);
                }
            }
        }
        Ok(object)
    }
}

struct NameSeed<'n> {
    names: &'n [&'static str],
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.names.iter().position(|known| *known == name))
    }
}

struct ObjectsVisitor<'c, const N: usize> {
    names: &'static [&'static str; N],
    /// How many items have been begun, so that a failure can name its item.
    begun: &'c Cell<usize>,
}

impl<'de, const N: usize> Visitor<'de> for ObjectsVisitor<'_, N> {
    type Value = Vec<Object<'de, N>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut objects = Vec::new();
        while let Some(object) = items.next_element_seed(CountedSeed { visitor: &self })? {
            objects.push(object);
        }
        Ok(objects)
    }
}

struct CountedSeed<'v, 'c, const N: usize> {
    visitor: &'v ObjectsVisitor<'c, N>,
}

impl<'de, const N: usize> DeserializeSeed<'de> for CountedSeed<'_, '_, N> {
    type Value = Object<'de, N>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let begun = &self.visitor.begun;
        begun.set(begun.get() + 1);
        if begun.get() > BATCH_MAX {
            return Err(serde::de::Error::custom("too many items"));
        }
        ObjectSeed {
            names: self.visitor.names,
        }
        .deserialize(deserializer)
    }
}
