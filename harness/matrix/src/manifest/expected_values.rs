//! What a test expects where it can be written in more than one way: a number or its name, a flag or
//! a field.

use std::fmt;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a program returns, as UAPI names it.
const NAMES: &[(&str, i32)] = &[
    ("XDP_ABORTED", 0),
    ("XDP_DROP", 1),
    ("XDP_PASS", 2),
    ("XDP_TX", 3),
    ("XDP_REDIRECT", 4),
    ("TC_ACT_UNSPEC", -1),
    ("TC_ACT_OK", 0),
    ("TC_ACT_RECLASSIFY", 1),
    ("TC_ACT_SHOT", 2),
    ("TC_ACT_PIPE", 3),
    ("TC_ACT_STOLEN", 4),
    ("TC_ACT_QUEUED", 5),
    ("TC_ACT_REPEAT", 6),
    ("TC_ACT_REDIRECT", 7),
    ("TC_ACT_TRAP", 8),
    ("SK_DROP", 0),
    ("SK_PASS", 1),
    ("NF_DROP", 0),
    ("NF_ACCEPT", 1),
];

/// What a program returns: a number, or a name such as `XDP_DROP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned(u32);

impl Returned {
    /// The number, as the kernel has it: without a sign.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Serialize for Returned {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for Returned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Returned;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of 32 bits, or a name such as `XDP_DROP` or `TC_ACT_SHOT`")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Returned, E> {
                (i32::try_from(number).map(i32::cast_unsigned))
                    .or_else(|_| u32::try_from(number))
                    .map(Returned)
                    .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Returned, E> {
                u32::try_from(number)
                    .map(Returned)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Returned, E> {
                NAMES
                    .iter()
                    .find(|(name, _)| *name == text)
                    .map(|(_, number)| Returned(number.cast_unsigned()))
                    .ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The number of a value that must grow: the value itself, or a field of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grows {
    /// Whether the value itself must grow.
    Value(bool),
    /// The names of the fields that lead to the number.
    Field(Vec<String>),
}

impl Grows {
    /// Whether anything must grow.
    pub(super) fn is_wanted(&self) -> bool {
        *self != Self::Value(false)
    }

    /// The names of the fields that lead to the number.
    pub(super) fn path(&self) -> Vec<String> {
        match self {
            Self::Value(_) => Vec::new(),
            Self::Field(path) => path.clone(),
        }
    }
}

impl Serialize for Grows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Value(on) => serializer.serialize_bool(*on),
            Self::Field(path) => serializer.serialize_str(&path.join(".")),
        }
    }
}

impl<'de> Deserialize<'de> for Grows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Grows;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, or the path of a field such as `rx.packets`")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<Grows, E> {
                Ok(Grows::Value(on))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Grows, E> {
                let path: Vec<String> = text.split('.').map(str::to_owned).collect();
                if path.iter().any(String::is_empty) {
                    return Err(E::invalid_value(Unexpected::Str(text), &self));
                }
                Ok(Grows::Field(path))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
