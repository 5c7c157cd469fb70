//! Fails a cell that would pass but costs the verifier more than its budget allows.

use ukci_schema::budget::{Budget, Overrun};
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::verdict::Stage;

/// The diagnosis of a cell that would pass, and of which an accepted program is over budget:
/// the one that is furthest over comes first. `accepted` are programs with their counts, `before`
/// gives a program's count in the baseline.
pub fn over_budget<'a>(
    budget: &Budget,
    accepted: impl Iterator<Item = (&'a str, u64)>,
    before: impl Fn(&str) -> Option<u64>,
) -> Option<Diagnosis> {
    let mut over: Vec<(u64, &str, Overrun)> = accepted
        .filter_map(|(program, insns)| {
            let overruns = budget.overruns(insns, before(program));
            Some((insns, program, overruns.into_iter().next()?))
        })
        .collect();
    over.sort_by_key(|(insns, name, _)| (std::cmp::Reverse(*insns), *name));
    let (_, program, overrun) = over.first()?;
    let mut headline = format!("`{program}` is over its budget: {overrun}");
    if over.len() > 1 {
        headline.push_str(&format!(
            "; {} more programs are over theirs",
            over.len() - 1
        ));
    }
    Some(Diagnosis {
        code: Code::VerifierBudget,
        stage: Stage::Load,
        program: Some((*program).to_owned()),
        headline,
        at: None,
        excerpt: None,
        hints: vec![
            "`ukci report verifier` shows every program on every kernel; the kernel itself \
             accepts this one"
                .into(),
        ],
    })
}
