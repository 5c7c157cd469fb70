//! `ukci explain`: print the explanation of a diagnosis.

use std::fmt::Write;

use ukci_harness::render::harmless_lines;
use ukci_judge::explain;
use ukci_matrix::authored::instead_of;
use ukci_schema::diagnosis::Code;

use crate::args::Explain;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::stdout::print;

/// Runs the command.
pub(crate) fn run(args: &Explain) -> Result<Exit, Failure> {
    let text = if let Some(name) = &args.code {
        let code: Code = name
            .parse()
            .map_err(|error: ukci_schema::diagnosis::UnknownCode| {
                let names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
                let hint = instead_of(&name.to_uppercase().replace('-', "_"), &names)
                    .or_else(|| Some("see `ukci explain` for all of them".into()));
                Failure::says(Exit::Usage, &error.to_string(), hint)
            })?;
        explain::explain(code)
    } else {
        let mut text = String::new();
        for code in Code::ALL {
            let _ = writeln!(text, "{code:<27} {}", explain::summary(*code));
        }
        text
    };
    print(harmless_lines(&text))
}
