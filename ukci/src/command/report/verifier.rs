//! `ukci report verifier`: show what programs cost the verifier, and check it against limits.

use ukci_harness::render::{self, harmless};
use ukci_schema::budget::Budget;

use crate::args::report::{Shape, Verifier};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{BAD, Output, for_people, paint};
use crate::report_file;
use crate::stdout::{pretty, print};

/// Runs the command.
pub(super) fn run(args: &Verifier, output: Output) -> Result<Exit, Failure> {
    let reports = report_file::read_all(&args.reports)?;
    let baseline = args
        .baseline
        .as_deref()
        .map(report_file::read)
        .transpose()?;
    let mut rows = render::verifier_rows(&reports, baseline.as_ref());
    if let Some(name) = (args.program.iter()).find(|name| rows.iter().all(|r| r.program != **name))
    {
        let message = format!("no program `{name}` was verified in these reports");
        return Err(Failure::says(Exit::NoCells, &message, None));
    }
    if !args.program.is_empty() {
        rows.retain(|row| args.program.contains(&row.program));
    }
    if rows.is_empty() {
        let message = "no program was verified in these reports";
        return Err(Failure::says(Exit::NoCells, message, None));
    }
    let shown = match args.top {
        Some(top) => render::top(&rows, top.into()),
        None => &rows,
    };
    print(&match args.format {
        Shape::Text => for_people(&render::verifier(shown)),
        Shape::Markdown => render::verifier_markdown(shown),
        Shape::Json => pretty(&shown),
    })?;
    let budget = Budget {
        max_insns: args.max_insns,
        max_growth_percent: args.max_growth_percent,
    };
    let over = render::over_budget(&rows, &budget);
    for sentence in &over {
        let sentence = harmless(sentence);
        output.say(&format!("{} {sentence}", paint(BAD, "over budget:")));
    }
    Ok(if over.is_empty() {
        Exit::Met
    } else {
        Exit::Unmet
    })
}
