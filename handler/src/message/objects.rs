//! JSON whose structs are objects. A derived `Deserialize` also reads a struct from an array, field by field: a list of the
//! right length would pass as an envelope or a payload by position. Here it never does, at any depth.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::{Deserialize, de};

/// Reads JSON text as a `T` whose structs, and those inside it, are JSON objects.
///
/// Serde reads the variants of an untagged enum from a copy of its own, which this does not reach.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Point { x: i64, y: i64 }
///
/// assert!(drumline::message::from_json::<Point>(r#"{"x":1,"y":2}"#).is_ok());
/// let error = drumline::message::from_json::<Vec<Point>>("[[1,2]]").err().map(|error| error.to_string());
/// assert_eq!(error.as_deref(), Some("invalid type: sequence, expected a JSON object at line 1 column 1"));
/// # let point: Point = drumline::message::from_json(r#"{"x":1,"y":2}"#)?;
/// # assert_eq!(point.x + point.y, 3);
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn from_json<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = T::deserialize(Objects(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// Like [`from_json`], for a value that was already read.
pub(crate) fn from_value<T: de::DeserializeOwned>(value: serde_json::Value) -> Result<T, serde_json::Error> {
    T::deserialize(Objects(value))
}

/// A value of serde's, and all values in it, with structs read only from maps.
struct Objects<T>(T);

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*)),* $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* Objects(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    forward! {
        deserialize_any(), deserialize_bool(), deserialize_i8(), deserialize_i16(), deserialize_i32(),
        deserialize_i64(), deserialize_i128(), deserialize_u8(), deserialize_u16(), deserialize_u32(),
        deserialize_u64(), deserialize_u128(), deserialize_f32(), deserialize_f64(), deserialize_char(),
        deserialize_str(), deserialize_string(), deserialize_bytes(), deserialize_byte_buf(), deserialize_option(),
        deserialize_unit(), deserialize_unit_struct(name: &'static str), deserialize_seq(),
        deserialize_tuple(len: usize), deserialize_tuple_struct(name: &'static str, len: usize), deserialize_map(),
        deserialize_enum(name: &'static str, variants: &'static [&'static str]), deserialize_identifier(),
        deserialize_ignored_any(),
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        // A map, which an array is not.
        self.0.deserialize_map(ObjectOnly(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        // Types that read the format's own text, for example serde_json's `RawValue`, have a private name of the format.
        if name.starts_with("$serde_json::private") {
            return self.0.deserialize_newtype_struct(name, visitor);
        }
        self.0.deserialize_newtype_struct(name, Objects(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! visit {
    ($($method:ident($type:ty)),* $(,)?) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.0.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Objects<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expecting(f)
    }

    visit! {
        visit_bool(bool), visit_i8(i8), visit_i16(i16), visit_i32(i32), visit_i64(i64), visit_i128(i128),
        visit_u8(u8), visit_u16(u16), visit_u32(u32), visit_u64(u64), visit_u128(u128), visit_f32(f32),
        visit_f64(f64), visit_char(char), visit_str(&str), visit_borrowed_str(&'de str), visit_string(String),
        visit_bytes(&[u8]), visit_borrowed_bytes(&'de [u8]), visit_byte_buf(Vec<u8>),
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Objects(deserializer))
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Objects(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Objects(access))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(access))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Objects(access))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.0.next_key_seed(Objects(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Objects<A> {
    type Error = A::Error;
    type Variant = Objects<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(Objects(seed))?;
        Ok((value, Objects(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Objects(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Objects(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, ObjectOnly(visitor))
    }
}

/// The visitor of a struct, which accepts only maps: also for an enum's struct variant, for which serde has no such call.
struct ObjectOnly<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for ObjectOnly<V> {
    type Value = V::Value;

    /// In the terms of the message's producer, who knows no names of structs.
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(access))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Point {
        x: i64,
        #[serde(default)]
        y: Option<i64>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Newtype(Point);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Pair(i64, String);

    #[derive(Debug, Deserialize, PartialEq)]
    enum Shape {
        Dot,
        At(Point),
        Box { from: Point, to: Point },
        Line(i64, i64),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(tag = "kind")]
    enum Tagged {
        #[serde(rename = "point")]
        Point(Point),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Untagged {
        Point(Point),
        Text(String),
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct All<'a> {
        text: &'a str,
        point: Point,
        points: Vec<Point>,
        by_name: BTreeMap<String, Point>,
        pair: Pair,
        shapes: Vec<Shape>,
        flag: bool,
        float: f64,
        #[serde(flatten)]
        rest: BTreeMap<String, Value>,
    }

    fn point(x: i64) -> Point {
        Point { x, y: None }
    }

    #[test]
    fn whatever_is_an_object_reads_as_usual() {
        let text = r#"{"text":"t","point":{"x":1},"points":[{"x":2,"y":3}],"by_name":{"a":{"x":4}},"pair":[5,"s"],
            "shapes":["Dot",{"At":{"x":6}},{"Box":{"from":{"x":7},"to":{"x":8}}},{"Line":[1,2]}],"flag":true,
            "float":1.5,"more":[1]}"#;
        let all: All<'_> = from_json(text).unwrap();
        assert_eq!(all, serde_json::from_str(text).unwrap());
        assert_eq!(from_json::<Newtype>(r#"{"x":1}"#).unwrap(), Newtype(point(1)));
        assert_eq!(from_json::<Vec<u8>>("[1,2]").unwrap(), [1, 2]);
        assert_eq!(from_json::<Pair>(r#"[1,"a"]"#).unwrap(), Pair(1, "a".into()), "a tuple is an array");
        assert_eq!(from_json::<Option<Point>>("null").unwrap(), None);
        assert_eq!(from_json::<Tagged>(r#"{"kind":"point","x":1}"#).unwrap(), Tagged::Point(point(1)));
        assert_eq!(from_json::<Untagged>("\"a\"").unwrap(), Untagged::Text("a".into()));
        assert_eq!(from_json::<Untagged>(r#"{"x":1}"#).unwrap(), Untagged::Point(point(1)));
        assert_eq!(from_json::<Value>(text).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(from_json::<&RawValue>(" [1, 2]").unwrap().get(), "[1, 2]");
        assert_eq!(from_value::<Point>(json!({ "x": 1 })).unwrap(), point(1));
        assert!(from_json::<Point>(r#"{"x":1} trailing"#).is_err());
    }

    #[test]
    fn an_array_is_never_a_struct() {
        let array = |length: usize| serde_json::to_string(&vec![1; length]).unwrap();
        for length in 0..16 {
            let error = from_json::<Point>(&array(length)).unwrap_err().to_string();
            assert!(error.contains("sequence, expected a JSON object"), "{error}");
            assert!(!error.contains("element"), "{error}");
            assert!(from_value::<Point>(serde_json::from_str(&array(length)).unwrap()).is_err());
            for nested in [
                format!("[{}]", array(length)),
                format!(r#"{{"At":{}}}"#, array(length)),
                format!(r#"{{"Box":{}}}"#, array(length)),
            ] {
                assert!(from_json::<Vec<Point>>(&nested).is_err(), "{nested}");
                assert!(from_json::<Shape>(&nested).is_err(), "{nested}");
            }
        }
        assert!(from_json::<Newtype>("[1]").is_err());
        assert!(from_json::<Option<Point>>("[1,2]").is_err());
        assert!(from_json::<BTreeMap<String, Point>>(r#"{"a":[1,2]}"#).is_err());
    }
}
