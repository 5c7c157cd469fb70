//! Values that can be written in more than one way.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A time such as `10s`, `1m 30s` or `200ms`, as the command line takes it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(Duration);

impl Timeout {
    /// The longest that a functional test may take: five minutes.
    pub const MOST: Duration = Duration::from_mins(5);

    /// The time itself.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// Reads a time; none for what is not, or not within 1 ns and [`Self::MOST`].
    fn parse(text: &str) -> Option<Self> {
        let time = humantime::parse_duration(text).ok()?;
        (!time.is_zero() && time <= Self::MOST).then_some(Self(time))
    }
}

impl Default for Timeout {
    /// Ten seconds.
    fn default() -> Self {
        Self(Duration::from_secs(10))
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl Serialize for Timeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Timeout;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of at most 5m with its unit, like `10s` or `1m 30s`,")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Timeout, E> {
                Timeout::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// The value of a kernel configuration option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KconfigValue {
    /// `y`, `n` or `m`.
    Tristate(char),
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl fmt::Display for KconfigValue {
    /// As a line of `.config` has it after the `=`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tristate(letter) => write!(f, "{letter}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "\"{text}\""),
        }
    }
}

impl Serialize for KconfigValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Tristate(letter) => serializer.serialize_char(*letter),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for KconfigValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = KconfigValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`y`, `n`, `m`, a number of 64 bits or a text without quotes")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<KconfigValue, E> {
                Ok(KconfigValue::Tristate(if value { 'y' } else { 'n' }))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<KconfigValue, E> {
                Ok(KconfigValue::Number(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<KconfigValue, E> {
                i64::try_from(number)
                    .map(KconfigValue::Number)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<KconfigValue, E> {
                match text {
                    "y" => Ok(KconfigValue::Tristate('y')),
                    "n" => Ok(KconfigValue::Tristate('n')),
                    "m" => Ok(KconfigValue::Tristate('m')),
                    // libbpf cuts lines at 4095 bytes, and takes what stands between the first
                    // and the last quote as it is.
                    text if text.len() > 2048
                        || text.contains(|c: char| c.is_control() || c == '"') =>
                    {
                        Err(E::invalid_value(Unexpected::Str(text), &self))
                    }
                    text => Ok(KconfigValue::Text(text.to_owned())),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Timeout};

    #[test]
    fn times_are_those_of_the_command_line() {
        let millis = |text| Timeout::parse(text).map(|time| time.duration().as_millis());
        assert_eq!(millis("10s"), Some(10_000));
        assert_eq!(millis("1m30s"), Some(90_000));
        assert_eq!(millis("1m 30s"), Some(90_000));
        assert_eq!(millis("200ms"), Some(200));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(
            Timeout::parse("7us").unwrap().duration(),
            Duration::from_micros(7)
        );
        for wrong in [
            "",
            "0s",
            "-1s",
            "10",
            "s",
            "5m1ns",
            "1h",
            "1e3s",
            "99999999999999999999h",
        ] {
            assert_eq!(Timeout::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_time_is_written_as_it_can_be_read() {
        for text in ["10s", "1m 30s", "1s 500ms", "7us", "13ns"] {
            assert_eq!(Timeout::parse(text).unwrap().to_string(), text);
        }
    }
}
