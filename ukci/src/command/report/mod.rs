//! `ukci report`: one file per subcommand.

mod diff;
mod merge;
mod render;
mod verifier;

use crate::args;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::stdout::{pretty, print};

/// Runs the command.
pub(crate) fn run(args: &args::report::Report, output: Output) -> Result<Exit, Failure> {
    match args {
        args::report::Report::Render(args) => render::run(args, output),
        args::report::Report::Merge(args) => merge::run(args, output),
        args::report::Report::Diff(args) => diff::run(args, output),
        args::report::Report::Verifier(args) => verifier::run(args, output),
        args::report::Report::Schema => {
            let schema = ukci_schema::json_schema::report();
            print(pretty(&schema))
        }
    }
}
