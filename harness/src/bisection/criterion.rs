//! What counts as a difference between two versions of a kernel.

use std::fmt;

use ukci_schema::diagnosis::Code;
use ukci_schema::verdict::VerdictKind;

use super::Answer;
use crate::version_outcome::VersionOutcome;

/// What must differ from the good version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Criterion {
    /// Whether the artifact passes.
    Verdict,
    /// The verdict or the code of the diagnosis.
    Code,
    /// The instructions that the verifier processes for a program: at least so many times those of
    /// the good version or, with a factor below one, at most so many times.
    Insns(f64),
}

/// Reads `verdict`, `code` or `insns=1.5x`.
pub fn criterion(text: &str) -> Result<Criterion, String> {
    match text {
        "verdict" => return Ok(Criterion::Verdict),
        "code" => return Ok(Criterion::Code),
        _ => {}
    }
    let factor = text
        .strip_prefix("insns=")
        .and_then(|factor| factor.strip_suffix('x'));
    let factor = factor.and_then(|factor| factor.parse::<f64>().ok());
    match factor {
        Some(factor) if factor.is_finite() && factor > 0.0 && (factor - 1.0).abs() >= 0.001 => {
            Ok(Criterion::Insns(factor))
        }
        _ => Err(
            "expected `verdict`, `code`, or a factor that is not 1, such as `insns=1.5x`".into(),
        ),
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict => f.write_str("verdict"),
            Self::Code => f.write_str("code"),
            Self::Insns(factor) => write!(f, "insns={factor}x"),
        }
    }
}

impl Criterion {
    /// Whether `now` is like `good`, which has a verdict.
    pub fn answer(self, good: &VersionOutcome, now: &VersionOutcome) -> Answer {
        if !now.is_known() {
            return Answer::None;
        }
        let differs = match self {
            Self::Verdict => now.verdict != good.verdict,
            Self::Code => (now.verdict, now.code) != (good.verdict, good.code),
            Self::Insns(factor) => match cost_differs(factor, good, now) {
                Some(differs) => differs,
                None => return Answer::None,
            },
        };
        if differs { Answer::Bad } else { Answer::Good }
    }
}

/// None if no program of the good version was accepted, so that there is nothing to compare. A program
/// that the verifier gave up on costs more than any other.
#[expect(
    clippy::cast_precision_loss,
    reason = "instructions are counted in millions at most"
)]
fn cost_differs(factor: f64, good: &VersionOutcome, now: &VersionOutcome) -> Option<bool> {
    if now.verdict == VerdictKind::Fail && now.code == Some(Code::VerifierLimit) {
        return Some(factor > 1.0);
    }
    let mut pairs = (good.insns.iter())
        .filter_map(|(program, was)| Some((*was as f64, *now.insns.get(program)? as f64)))
        .peekable();
    pairs.peek()?;
    Some(pairs.any(|(was, is)| {
        if factor > 1.0 {
            is >= was * factor
        } else {
            is <= was * factor
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_criterion_is_read_and_printed_alike() {
        for text in ["verdict", "code", "insns=1.5x", "insns=0.5x", "insns=2x"] {
            assert_eq!(criterion(text).unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "insns",
            "insns=1x",
            "insns=0x",
            "insns=2",
            "insns=NaNx",
            "insns=-1x",
        ] {
            assert!(criterion(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_criterion_sees_what_it_is_for() {
        let good = VersionOutcome::in_tests(VerdictKind::Pass, None, &[("a", 1000), ("b", 10)]);
        let failed =
            VersionOutcome::in_tests(VerdictKind::Fail, Some(Code::MapRefused), &[("a", 1000)]);
        let limit =
            VersionOutcome::in_tests(VerdictKind::Fail, Some(Code::VerifierLimit), &[("b", 10)]);
        let panic = VersionOutcome::in_tests(VerdictKind::Error, Some(Code::KernelPanic), &[]);
        let grown = VersionOutcome::in_tests(VerdictKind::Pass, None, &[("a", 1400), ("b", 20)]);
        let none = VersionOutcome::in_tests(VerdictKind::Fail, Some(Code::MapRefused), &[]);
        let of = |criterion: Criterion, now: &VersionOutcome| criterion.answer(&good, now);
        for criterion in [Criterion::Verdict, Criterion::Code] {
            assert_eq!(of(criterion, &good), Answer::Good);
            assert_eq!(of(criterion, &grown), Answer::Good);
            assert_eq!(of(criterion, &failed), Answer::Bad);
            assert_eq!(of(criterion, &panic), Answer::None);
        }
        assert_eq!(Criterion::Verdict.answer(&failed, &limit), Answer::Good);
        assert_eq!(Criterion::Code.answer(&failed, &limit), Answer::Bad);
        let cost = Criterion::Insns;
        assert_eq!(of(cost(1.5), &grown), Answer::Bad, "`b` has doubled");
        assert_eq!(of(cost(2.5), &grown), Answer::Good);
        assert_eq!(of(cost(1.5), &limit), Answer::Bad);
        assert_eq!(of(cost(1.5), &failed), Answer::Good, "`a` costs the same");
        assert_eq!(of(cost(1.5), &none), Answer::None, "nobody knows its cost");
        assert_eq!(cost(0.5).answer(&grown, &good), Answer::Bad);
        assert_eq!(of(cost(0.5), &grown), Answer::Good);
    }
}
