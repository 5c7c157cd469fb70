//! Values of read-only variables, and the bytes that represent them.

use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The value of a `const volatile` variable, which its loader sets between open and load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// For a `bool`, or any integer: 0 or 1.
    Bool(bool),
    /// For an integer: a negative number.
    Negative(i64),
    /// For an integer: a number from 0.
    Number(u64),
    /// For an array of `char`: the text, then zeroes.
    Text(String),
    /// For an array: its elements, then zeroes.
    List(Vec<Constant>),
    /// For anything: the bytes as they lie in memory, written as `{ bytes = "00ff" }`.
    Bytes(Vec<u8>),
}

/// What a variable is, as its BTF says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A number, an enum or a `bool` of so many bytes.
    Number {
        /// 1, 2, 4 or 8.
        bytes: usize,
        /// Whether it can be negative.
        signed: bool,
    },
    /// An array.
    Array {
        /// Elements.
        length: usize,
        /// What each is.
        element: Box<Shape>,
    },
    /// A structure, a union, anything else: only [`Constant::Bytes`] fit.
    Other {
        /// Its size.
        bytes: usize,
    },
}

impl Shape {
    /// The size in bytes, as far as one can be counted.
    pub fn size(&self) -> usize {
        match self {
            Self::Number { bytes, .. } | Self::Other { bytes } => *bytes,
            Self::Array { length, element } => length.saturating_mul(element.size()),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { bytes, signed } => {
                let sign = if *signed { "a signed" } else { "an unsigned" };
                write!(f, "{sign} number of {bytes} bytes")
            }
            Self::Array { length, element } => write!(f, "an array of {length}, each {element}"),
            Self::Other { bytes } => write!(f, "a structure of {bytes} bytes"),
        }
    }
}

/// A constant that does not fit its variable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("put {value} into {shape}")]
pub struct Misfit {
    /// What was to be put.
    pub value: String,
    /// Where.
    pub shape: String,
}

/// The largest variable whose bytes are written out; a `.rodata` map is seldom over a page.
const MOST_BYTES: usize = 1024 * 1024;

impl Constant {
    /// The bytes of this value in a variable of that shape, little-endian as all architectures
    /// here are; as many bytes as the shape has.
    pub fn encode(&self, shape: &Shape) -> Result<Vec<u8>, Misfit> {
        let misfit = || Misfit {
            value: self.to_string(),
            shape: shape.to_string(),
        };
        if shape.size() > MOST_BYTES {
            return Err(misfit());
        }
        let mut bytes = match (self, shape) {
            (Self::Bool(value), Shape::Number { bytes, signed }) => {
                number(i128::from(*value), *bytes, *signed).ok_or_else(misfit)?
            }
            (Self::Negative(value), Shape::Number { bytes, signed }) => {
                number(i128::from(*value), *bytes, *signed).ok_or_else(misfit)?
            }
            (Self::Number(value), Shape::Number { bytes, signed }) => {
                number(i128::from(*value), *bytes, *signed).ok_or_else(misfit)?
            }
            // The last byte stays zero: what reads a `char` array reads a C string.
            (Self::Text(text), Shape::Array { length, element })
                if element.size() == 1 && text.len() < *length =>
            {
                text.as_bytes().to_vec()
            }
            (Self::List(items), Shape::Array { length, element }) if items.len() <= *length => {
                let mut bytes = Vec::new();
                for item in items {
                    bytes.extend(item.encode(element)?);
                }
                bytes
            }
            (Self::Bytes(bytes), shape) if bytes.len() == shape.size() => bytes.clone(),
            _ => return Err(misfit()),
        };
        bytes.resize(shape.size(), 0);
        Ok(bytes)
    }
}

/// A number in so many bytes; none if it does not fit.
fn number(value: i128, bytes: usize, signed: bool) -> Option<Vec<u8>> {
    let bits = u32::try_from(bytes)
        .ok()?
        .checked_mul(8)
        .filter(|bits| (8..=64).contains(bits))?;
    let (least, most) = if signed {
        (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1)
    } else {
        (0, (1i128 << bits) - 1)
    };
    (least..=most)
        .contains(&value)
        .then(|| value.to_le_bytes()[..bytes].to_vec())
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "`{value}`"),
            Self::Negative(number) => write!(f, "`{number}`"),
            Self::Number(number) => write!(f, "`{number}`"),
            Self::Text(text) => write!(f, "the text `{text}`"),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl Serialize for Constant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Negative(number) => serializer.serialize_i64(*number),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => items.serialize(serializer),
            Self::Bytes(bytes) => {
                let digits = |byte: &u8| {
                    [byte >> 4, byte & 15]
                        .map(|half| b"0123456789abcdef"[usize::from(half)] as char)
                };
                let hex: String = bytes.iter().flat_map(digits).collect();
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("bytes", &hex)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Constant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyConstant)
    }
}

struct AnyConstant;

impl<'de> Visitor<'de> for AnyConstant {
    type Value = Constant;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean, a whole number, a text, a list of them or `{ bytes = \"00ff\" }`")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Constant, E> {
        Ok(Constant::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Constant, E> {
        Ok(u64::try_from(number).map_or(Constant::Negative(number), Constant::Number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Constant, E> {
        Ok(Constant::Number(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Constant, E> {
        if text.contains('\0') {
            return Err(E::invalid_value(
                Unexpected::Other("a text with a zero byte"),
                &self,
            ));
        }
        Ok(Constant::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Constant, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Constant::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Constant, A::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "snake_case")]
        enum Key {
            Bytes,
        }
        let Some(Key::Bytes) = map.next_key()? else {
            return Err(A::Error::missing_field("bytes"));
        };
        let Hex(bytes) = map.next_value()?;
        if let Some(Key::Bytes) = map.next_key()? {
            return Err(A::Error::duplicate_field("bytes"));
        }
        Ok(Constant::Bytes(bytes))
    }
}

/// Bytes as pairs of hexadecimal digits.
struct Hex(Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Hex;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("pairs of hexadecimal digits")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Hex, E> {
                let digit = |byte: u8| {
                    (byte as char)
                        .to_digit(16)
                        .and_then(|d| u8::try_from(d).ok())
                };
                let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
                    [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                    _ => None,
                });
                pairs
                    .collect::<Option<_>>()
                    .map(Hex)
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Digits)
    }
}

#[cfg(test)]
mod tests {
    use super::{Constant, Shape};

    const INT: Shape = Shape::Number {
        bytes: 4,
        signed: true,
    };
    const CHAR: Shape = Shape::Number {
        bytes: 1,
        signed: true,
    };

    fn array(length: usize, element: Shape) -> Shape {
        Shape::Array {
            length,
            element: Box::new(element),
        }
    }

    #[test]
    fn constants_become_the_bytes_of_their_variable() {
        let of = |constant: Constant, shape: &Shape| constant.encode(shape).unwrap();
        assert_eq!(of(Constant::Negative(-2), &INT), [0xfe, 0xff, 0xff, 0xff]);
        assert_eq!(
            of(
                Constant::Bool(true),
                &Shape::Number {
                    bytes: 1,
                    signed: false
                }
            ),
            [1]
        );
        assert_eq!(
            of(
                Constant::Number(u64::MAX),
                &Shape::Number {
                    bytes: 8,
                    signed: false
                }
            ),
            [0xff; 8]
        );
        assert_eq!(
            of(Constant::Text("ab".into()), &array(4, CHAR)),
            [b'a', b'b', 0, 0]
        );
        assert_eq!(
            of(Constant::List(vec![Constant::Number(258)]), &array(2, INT)),
            [2, 1, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(
            of(Constant::Bytes(vec![1, 2]), &Shape::Other { bytes: 2 }),
            [1, 2]
        );
    }

    #[test]
    fn what_does_not_fit_is_said_and_not_cut() {
        let why =
            |constant: Constant, shape: &Shape| constant.encode(shape).unwrap_err().to_string();
        assert_eq!(
            why(Constant::Number(1 << 31), &INT),
            "put `2147483648` into a signed number of 4 bytes"
        );
        assert_eq!(
            why(
                Constant::Negative(-1),
                &Shape::Number {
                    bytes: 8,
                    signed: false
                }
            ),
            "put `-1` into an unsigned number of 8 bytes"
        );
        // Four letters leave no room for the zero that ends a C string.
        why(Constant::Text("abcd".into()), &array(4, CHAR));
        why(Constant::Text("ab".into()), &array(4, INT));
        why(
            Constant::List(vec![Constant::Bool(true); 3]),
            &array(2, INT),
        );
        why(Constant::Number(1), &Shape::Other { bytes: 8 });
        why(Constant::Bytes(vec![0; 3]), &INT);
        why(Constant::List(Vec::new()), &array(usize::MAX, INT));
    }
}
