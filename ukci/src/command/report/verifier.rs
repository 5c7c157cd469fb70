//! `ukci report verifier`: show what programs cost the verifier, and check it against limits.

use ukci_harness::render::{self, Shown, harmless};
use ukci_schema::budget::Budget;

use crate::args::report::{Shape, Verifier};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{BAD, Output, paint};
use crate::report_file;
use crate::stdout::{pretty, print, show};
use crate::text::text;

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
    let for_people = Shown::of(&shown.to_vec());
    match args.format {
        Shape::Text => show(render::verifier(&for_people)),
        Shape::Markdown => print(render::verifier_markdown(&for_people)),
        Shape::Json => print(pretty(&shown)),
    }?;
    let budget = Budget {
        max_insns: args.max_insns,
        max_growth_percent: args.max_growth_percent,
    };
    let over = render::over_budget(&rows, &budget);
    for sentence in &over {
        output.say(&text!(
            "{} {}",
            paint(BAD, "over budget:"),
            harmless(sentence)
        ));
    }
    Ok(if over.is_empty() {
        Exit::Met
    } else {
        Exit::Unmet
    })
}
