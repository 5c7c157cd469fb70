//! Values that can be written in more than one way.

use std::fmt;
use std::num::NonZeroU32;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::history::{self, helper_id, helper_name};

/// How many entries a map gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// So many.
    Count(NonZeroU32),
    /// One for each CPU that the kernel could ever bring up (`libbpf_num_possible_cpus`).
    Cpus,
}

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u32(count.get()),
            Self::Cpus => serializer.serialize_str("cpus"),
        }
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 1 to {} or `cpus`", u32::MAX)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Entries, E> {
                u32::try_from(number)
                    .ok()
                    .and_then(NonZeroU32::new)
                    .map(Entries::Count)
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Entries, E> {
                match text {
                    "cpus" => Ok(Entries::Cpus),
                    text => text
                        .parse()
                        .map(Entries::Count)
                        .map_err(|_| E::invalid_value(Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A BPF helper: its number in `enum bpf_func_id`, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Helper(NonZeroU32);

impl Helper {
    /// Its number.
    pub const fn id(self) -> u32 {
        self.0.get()
    }

    /// Its name; none for a number that libbpf 1.7 does not know.
    pub fn name(self) -> Option<&'static str> {
        helper_name(self.id())
    }
}

impl fmt::Display for Helper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "helper {}", self.id()),
        }
    }
}

impl Serialize for Helper {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            Some(name) => serializer.serialize_str(name),
            None => serializer.serialize_u32(self.id()),
        }
    }
}

impl<'de> Deserialize<'de> for Helper {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Helper;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a helper's name or its number from 1")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Helper, E> {
                u32::try_from(number)
                    .ok()
                    .and_then(NonZeroU32::new)
                    .map(Helper)
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Helper, E> {
                let number = helper_id(text).and_then(NonZeroU32::new);
                match number.or_else(|| text.parse().ok()) {
                    Some(number) => Ok(Helper(number)),
                    None => Err(E::unknown_variant(text, history::names("helper"))),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}
