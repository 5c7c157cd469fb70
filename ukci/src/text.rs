//! Text that may be printed: words of ours, numbers, and foreign text that was made harmless.
//!
//! [`Output`](crate::output::Output) and [`stdout`](crate::stdout) take nothing else. [`text!`]
//! makes it as `format!` makes a string, but what is put in must be [`Show`], and a `String` or a
//! `&str` of a report, an error or the command line is not: it has to go through
//! [`harmless`](ukci_harness::render::harmless) first.

use std::fmt;
use std::ops::Deref;

use anstyle::Style;
use ukci_harness::render::Shown;

/// Text for people. It may have several lines and styles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(String);

/// What text for people may be made of.
///
/// A string must be `'static`, which a literal is, and a string that was read is not.
pub(crate) trait Show {
    /// Writes it, with the width that was asked for.
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

macro_rules! show {
    ($($kind:ty),*) => {$(
        impl Show for $kind {
            fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    )*};
}

show!(
    &'static str,
    u8,
    u16,
    u32,
    u64,
    usize,
    i64,
    f64,
    Shown<String>,
    ukci_schema::cell::Arch,
    ukci_schema::diagnosis::Code,
    ukci_schema::verdict::Outcome,
    ukci_schema::verdict::Stage
);

impl Show for Text {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<T: Show> Show for &T {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (*self).show(f)
    }
}

/// An argument of [`text!`].
pub(crate) struct Argument<T>(pub(crate) T);

impl<T: Show> fmt::Display for Argument<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(f)
    }
}

/// [`Text`] as `format!` makes a string. Its arguments are [`Show`], and stand behind the format:
/// `concat!` keeps variables from being named inside of it.
macro_rules! text {
    ($format:literal $(, $argument:expr)* $(,)?) => {
        $crate::text::Text::of_arguments(format_args!(
            concat!($format)
            $(, $crate::text::Argument(&$argument))*
        ))
    };
}
pub(crate) use text;

impl Text {
    /// For [`text!`] only, which sees to it that every argument is [`Show`].
    pub(crate) fn of_arguments(arguments: fmt::Arguments<'_>) -> Self {
        Self(fmt::format(arguments))
    }

    /// Without any style.
    pub(crate) fn plain(&self) -> Self {
        Self(anstream::adapter::strip_str(&self.0).to_string())
    }

    /// In this style. [`Output`](crate::output::Output) drops styles where the stream has none.
    pub(crate) fn painted(&self, style: Style) -> Self {
        Self(format!("{style}{}{style:#}", self.0))
    }

    /// Adds text at the end.
    pub(crate) fn push(&mut self, text: &Self) {
        self.0.push_str(&text.0);
    }

    /// Adds text and the end of its line.
    pub(crate) fn push_line(&mut self, text: &Self) {
        self.push(text);
        self.0.push('\n');
    }

    /// Removes spaces and line breaks at the end.
    pub(crate) fn trim_end(&mut self) {
        self.0.truncate(self.0.trim_end().len());
    }

    /// Without spaces in front of it.
    pub(crate) fn without_indent(&self) -> Self {
        Self(self.0.trim_start().to_owned())
    }

    /// With spaces in front of it or behind it, in `width` columns.
    pub(crate) fn aligned(&self, side: Side, width: usize) -> Self {
        Self(match side {
            Side::Left => format!("{:<width$}", self.0),
            Side::Right => format!("{:>width$}", self.0),
        })
    }

    /// Parts with something between them.
    pub(crate) fn joined(parts: &[Self], between: &'static str) -> Self {
        let parts: Vec<&str> = parts.iter().map(|part| part.0.as_str()).collect();
        Self(parts.join(between))
    }
}

/// Where text is in its column.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Left,
    Right,
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<Shown<String>> for Text {
    fn from(shown: Shown<String>) -> Self {
        Self(shown.into_string())
    }
}

impl From<&'static str> for Text {
    fn from(words: &'static str) -> Self {
        Self(words.to_owned())
    }
}

/// A number of things, such as `2 cells`.
pub(crate) fn count(number: usize, noun: &'static str) -> Text {
    Text(ukci_schema::plural::count(number as u64, noun))
}

/// What was read is not [`Show`], so that none of this compiles: `text!("{}", cell.id)`,
/// `text!("{}", error)`, `text!("{name}")`. A borrowed string is not either, because its lifetime
/// is not `'static`.
#[cfg(test)]
mod tests {
    use super::Show;

    /// Does not compile if one of the types is [`Show`]: then two traits of this name apply.
    macro_rules! refused {
        ($($kind:ty),*) => {$(
            const _: fn() = || {
                trait Ambiguous<Of> {
                    fn refused() {}
                }
                struct Shows;
                impl<T: ?Sized> Ambiguous<()> for T {}
                impl<T: ?Sized + Show> Ambiguous<Shows> for T {}
                let _ = <$kind as Ambiguous<_>>::refused;
            };
        )*};
    }

    refused!(
        String,
        std::borrow::Cow<'static, str>,
        char,
        std::path::Display<'static>,
        std::fmt::Arguments<'static>,
        std::io::Error,
        serde_json::Value,
        ukci_harness::event::Event,
        ukci_schema::report::Report,
        ukci_schema::report::CellReport,
        ukci_schema::evidence::Evidence
    );

    #[test]
    fn widths_hold_for_every_argument() {
        let name = ukci_harness::render::harmless("a\nb");
        assert_eq!(&*text!("{:>8}|{:<3}|", name, 1_u8), " a\\u{a}b|1  |");
    }
}
