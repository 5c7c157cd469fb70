//! Turns the messages of a compiler into a diagnosis.

use std::path::Path;

use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::{Code, Diagnosis, Excerpt, SourceLine};
use ukci_schema::verdict::Stage;

use crate::input_file;

/// Lines of a compiler's output that are shown.
const SHOWN: usize = 20;

/// What to do about a stack that is too large.
const STACK: &str = "move large variables off the stack, for example into a `BPF_MAP_TYPE_PERCPU_ARRAY` map with one entry; the kernel refuses a larger stack whatever the compiler allows";

/// What the compiler of LLVM `major` said about a source.
pub(crate) fn diagnosis(major: &str, arch: Arch, said: &str) -> Diagnosis {
    let lines: Vec<&str> = said.lines().collect();
    let first = lines
        .iter()
        .position(|line| line.contains(": error: ") || line.contains(": fatal error: "))
        .or_else(|| lines.iter().position(|line| line.starts_with("error: ")));
    let line = first.map_or("it did not say why", |n| lines[n]);
    let message = line
        .split_once("error: ")
        .map_or(line, |(_, message)| message);
    // The rest is advice, of which a part is for other uses than the kernel's.
    let is_stack = message.contains("BPF stack limit is exceeded");
    let message = if is_stack {
        "the stack of a function is larger than 512 bytes"
    } else {
        message
    };
    let at = first.and_then(|n| place(lines[n], lines.get(n + 1).copied()));
    let from = first.unwrap_or(0);
    let shown = &lines[from..lines.len().min(from + SHOWN)];
    Diagnosis {
        code: Code::CompileError,
        stage: Stage::Compile,
        program: None,
        headline: format!("clang {major} refuses the source for {arch}: {message}"),
        at,
        excerpt: Some(Excerpt {
            of: "clang".to_owned(),
            lines: shown.iter().map(|line| (*line).to_owned()).collect(),
            omitted: from,
        }),
        hints: if is_stack {
            vec![STACK.to_owned()]
        } else {
            hints(message)
        },
    }
}

/// `file:line:column: error: …`, and the source that clang repeats below: `   12 |   text`, or the
/// bare text before LLVM 17.
fn place(line: &str, below: Option<&str>) -> Option<SourceLine> {
    let head = line.split(": error: ").next()?;
    let head = head.split(": fatal error: ").next()?;
    let mut parts = head.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let number = parts.next()?.parse().ok()?;
    let file = parts.next()?.to_owned();
    let below = below.unwrap_or_default();
    let text = match below.split_once('|') {
        Some((margin, text)) if margin.trim().parse() == Ok(number) => text,
        _ => below,
    };
    // An error of the back end repeats no text, only an empty margin.
    if text.trim().is_empty() {
        return Some(SourceLine {
            file: file.clone(),
            line: number,
            column,
            text: source_line(&file, number).unwrap_or_default(),
        });
    }
    Some(SourceLine {
        file,
        line: number,
        column,
        text: text.trim().to_owned(),
    })
}

/// The line of the source itself, if it can be read.
fn source_line(file: &str, number: u32) -> Option<String> {
    let bytes = input_file::read(Path::new(file), input_file::TEXT_LIMIT).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let place = usize::try_from(number).ok()?.checked_sub(1)?;
    text.lines().nth(place).map(|line| line.trim().to_owned())
}

fn hints(message: &str) -> Vec<String> {
    let hint = if message.contains("'vmlinux.h' file not found") {
        "add `--vmlinux-h auto` to generate it from the BTF of a pinned kernel, or `--vmlinux-h FILE` to use your own"
    } else if message.contains("'bpf/") && message.contains("file not found") {
        "name the directory of libbpf's headers with `-I`, or `apt-get install libbpf-dev`"
    } else if message.contains("file not found") {
        "name its directory with `-I`"
    } else {
        return Vec::new();
    };
    vec![hint.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_the_headline_and_the_place() {
        let said = "x.bpf.c:2:9: warning: unused variable 'a' [-Wunused-variable]\n    \
                    2 |     int a;\n      |         ^\n\
                    src/x.bpf.c:7:12: error: use of undeclared identifier 'b'\n    \
                    7 |     return b;\n      |            ^\n1 warning and 1 error generated.\n";
        let diagnosis = diagnosis("19", Arch::Aarch64, said);
        assert_eq!(
            diagnosis.headline,
            "clang 19 refuses the source for aarch64: use of undeclared identifier 'b'"
        );
        let at = diagnosis.at.unwrap();
        assert_eq!(
            (at.file.as_str(), at.line, at.column),
            ("src/x.bpf.c", 7, 12)
        );
        assert_eq!(at.text, "return b;");
        let excerpt = diagnosis.excerpt.unwrap();
        assert_eq!((excerpt.lines.len(), excerpt.omitted), (4, 3));
    }

    #[test]
    fn a_stack_that_is_too_large_has_its_line_and_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.bpf.c");
        std::fs::write(&file, "// one\n  int k(void) { char b[700]; }\n").unwrap();
        let said = format!(
            "{}:2:7: error: Looks like the BPF stack limit is exceeded. Please move large on stack \
             variables into BPF per-cpu array map. For non-kernel uses, the stack can be increased \
             using -mllvm -bpf-stack-size.\n\n    2 | \n      | ^\n1 error generated.\n",
            file.display()
        );
        let diagnosis = diagnosis("19", Arch::X86_64, &said);
        assert_eq!(
            diagnosis.headline,
            "clang 19 refuses the source for x86_64: the stack of a function is larger than 512 bytes"
        );
        assert_eq!(diagnosis.at.unwrap().text, "int k(void) { char b[700]; }");
        assert!(diagnosis.hints[0].contains("BPF_MAP_TYPE_PERCPU_ARRAY"));
    }

    #[test]
    fn older_compilers_repeat_the_line_bare() {
        let said =
            "x.bpf.c:1:10: fatal error: 'vmlinux.h' file not found\n#include \"vmlinux.h\"\n";
        let diagnosis = diagnosis("14", Arch::X86_64, said);
        assert_eq!(diagnosis.at.unwrap().text, "#include \"vmlinux.h\"");
        assert!(diagnosis.hints[0].contains("--vmlinux-h auto"));
    }

    #[test]
    fn an_error_without_a_place_is_an_error_still() {
        let diagnosis = diagnosis("22", Arch::X86_64, "error: unable to open output file\n");
        assert_eq!(diagnosis.at, None);
        assert!(diagnosis.headline.ends_with("unable to open output file"));
        assert!(
            super::diagnosis("22", Arch::X86_64, "")
                .headline
                .ends_with("it did not say why")
        );
    }
}
