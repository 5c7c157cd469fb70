//! How much a program may cost the verifier: a limit that the user sets below the kernel's own.
//!
//! If a verifier becomes slower, or a compiler makes the code harder to verify, this limit shows it
//! before users meet `E2BIG`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a matrix, or a command line, allows. Neither is checked where it is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Most instructions that the verifier may process for a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_insns: Option<u64>,
    /// By how many percent that number may exceed a baseline's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_growth_percent: Option<u32>,
}

/// How a program is over its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overrun {
    /// Over [`Budget::max_insns`].
    Insns {
        /// Instructions processed.
        insns: u64,
        /// What is allowed.
        most: u64,
    },
    /// Over [`Budget::max_growth_percent`].
    Growth {
        /// Instructions processed.
        insns: u64,
        /// Instructions of the baseline.
        before: u64,
        /// What is allowed.
        percent: u32,
    },
}

impl fmt::Display for Overrun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Insns { insns, most } => {
                write!(
                    f,
                    "the verifier processed {insns} instructions; the budget is {most}"
                )
            }
            Self::Growth {
                insns,
                before,
                percent,
            } => write!(
                f,
                "the verifier processed {insns} instructions, {:.1} % more than the {before} of \
                 the baseline; the budget is {percent} %",
                growth_percent(before, insns)
            ),
        }
    }
}

/// By how many percent `after` is more than `before`; negative where it is less.
#[expect(
    clippy::cast_precision_loss,
    reason = "instruction counts are far below 2^52"
)]
pub fn growth_percent(before: u64, after: u64) -> f64 {
    (after as f64 / before.max(1) as f64 - 1.0) * 100.0
}

impl Budget {
    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How a program that took `insns` instructions, and `before` in the baseline, is over.
    pub fn overruns(&self, insns: u64, before: Option<u64>) -> Vec<Overrun> {
        let mut overruns = Vec::new();
        if let Some(most) = self.max_insns.filter(|&most| insns > most) {
            overruns.push(Overrun::Insns { insns, most });
        }
        if let (Some(percent), Some(before)) = (self.max_growth_percent, before) {
            // In whole numbers, so that 100 to 110 is not more than ten percent.
            let allowed = u128::from(before) * u128::from(100 + u64::from(percent));
            if before > 0 && u128::from(insns) * 100 > allowed {
                overruns.push(Overrun::Growth {
                    insns,
                    before,
                    percent,
                });
            }
        }
        overruns
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Overrun};

    #[test]
    fn a_budget_is_a_limit_and_ten_percent_is_not_more_than_ten_percent() {
        let budget = Budget {
            max_insns: Some(1000),
            max_growth_percent: Some(10),
        };
        assert_eq!(budget.overruns(1000, None), []);
        assert_eq!(budget.overruns(110, Some(100)), []);
        assert_eq!(budget.overruns(5, Some(0)), []);
        let over = budget.overruns(1101, Some(1000));
        assert_eq!(
            over,
            [
                Overrun::Insns {
                    insns: 1101,
                    most: 1000
                },
                Overrun::Growth {
                    insns: 1101,
                    before: 1000,
                    percent: 10
                },
            ]
        );
        assert!(over[1].to_string().contains("10.1 % more than the 1000"));
    }
}
