//! `ukci explain`: print the explanation of a diagnosis.

use ukci_harness::render::harmless_lines;
use ukci_judge::explain;
use ukci_matrix::authored::instead_of;
use ukci_schema::diagnosis::Code;

use crate::args::Explain;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::stdout;
use crate::terminal::wrap::hanging;
use crate::text::Text;

/// Runs the command.
pub(crate) fn run(args: &Explain, output: Output) -> Result<Exit, Failure> {
    let Some(name) = &args.code else {
        return stdout::show(list(output.width));
    };
    let code: Code = name
        .parse()
        .map_err(|error: ukci_schema::diagnosis::UnknownCode| {
            let names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
            let hint = instead_of(&name.to_uppercase().replace('-', "_"), &names)
                .or_else(|| Some("see `ukci explain` for all of them".into()));
            Failure::says(Exit::Usage, &error.to_string(), hint)
        })?;
    stdout::print(harmless_lines(&explain::explain(code)))
}

/// A line for each code, with the rest of its summary below it where a line is too short.
fn list(width: usize) -> Text {
    /// Columns of the longest code, and the spaces before and behind it.
    const CODES: usize = 28;
    let mut text = Text::default();
    for code in Code::ALL {
        let line = format!("{code:<27} {}", explain::summary(*code));
        text.push(&hanging(0, &line, CODES, width));
    }
    text
}
