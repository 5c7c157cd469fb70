//! Wraps sentences to the width of the terminal.

use textwrap::{Options, WordSplitter};
use ukci_harness::render::harmless;

use crate::text::{Text, text};

/// The narrowest width that text is wrapped for.
const NARROWEST: usize = 40;

/// The text in lines of at most `width`, broken between words only. Each line begins with
/// `indent`, those after the first with `more` further spaces. Ends with a newline.
pub(crate) fn hanging(indent: usize, text: &str, more: usize, width: usize) -> Text {
    let indent = " ".repeat(indent);
    let subsequent = format!("{indent}{}", " ".repeat(more));
    let options = Options::new(width.max(NARROWEST))
        .initial_indent(&indent)
        .subsequent_indent(&subsequent)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    let mut wrapped = Text::default();
    // What is foreign in it stays on its line.
    for line in textwrap::wrap(&harmless(text), options) {
        wrapped.push_line(&harmless(&line).into());
    }
    wrapped
}

/// One line of at most `width`, cut with an ellipsis.
pub(crate) fn fit(line: &str, width: usize) -> Text {
    let line = harmless(line);
    if line.chars().count() <= width {
        return line.into();
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    text!("{}…", harmless(kept.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::{fit, hanging};

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        let text =
            "the kernel has no helper `bpf_loop`, which `handle_getppid_of_the_program` calls";
        let wrapped = hanging(2, text, 2, 44);
        insta::assert_snapshot!(&*wrapped, @r"
          the kernel has no helper `bpf_loop`, which
            `handle_getppid_of_the_program` calls
        ");
        assert_eq!(&*fit("abcdef", 4), "abc…");
    }
}
