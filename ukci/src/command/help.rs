//! `ukci help`: print the help of a command, or a topic that no command has.

use clap::CommandFactory;
use ukci_harness::render::harmless_lines;
use ukci_matrix::authored::instead_of;

use crate::args::{Cli, Help};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::Output;
use crate::stdout::print;
use crate::terminal::wrap::hanging;
use crate::text::Text;
use crate::{environment, exit};

/// Runs the command.
pub(crate) fn run(args: &Help, output: Output) -> Result<Exit, Failure> {
    match args.topic.as_slice() {
        [topic] if topic == "environment" => return print(environment::help(output.width)),
        [topic] if topic == "exit-status" => {
            let mut text = Text::from(harmless_lines(&exit::table()));
            text.push(&hanging(0, exit::HANDED_THROUGH, 0, output.width));
            return print(text);
        }
        _ => {}
    }
    let mut command = Cli::command();
    command.build();
    for name in &args.topic {
        let Some(found) = command.find_subcommand(name) else {
            let mut known: Vec<&str> = command
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            known.extend(["environment", "exit-status"]);
            let hint = instead_of(name, &known);
            let message = format!("there is no help about `{name}`");
            return Err(Failure::says(Exit::Usage, &message, hint));
        };
        command = found.clone();
    }
    print(harmless_lines(&command.render_long_help().to_string()))
}
