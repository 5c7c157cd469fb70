//! What the casebook must have, whatever is run: a case for every code, and a result for every case.

use std::collections::BTreeSet;

use ukci_schema::diagnosis::Code;

use crate::case::{self, root};
use crate::results;

/// Codes that no object can produce on a locked kernel of x86-64, why not, and the test that
/// produces each all the same.
const ELSEWHERE: &[(Code, &str, &str)] = &[
    (
        Code::CapabilityFailure,
        "the agent has every capability",
        "harness/judge/tests/judge/program.rs",
    ),
    (
        Code::Unclassified,
        "a case that ends so shows that a rule is missing",
        "harness/judge/tests/judge/object.rs",
    ),
    (
        Code::KernelPanic,
        "no known object panics a locked kernel: a scripted guest does",
        "harness/tests/conversation/main.rs",
    ),
];

/// Codes of stages that come before a kernel or after the attachment: other tests are theirs.
const OTHER_STAGES: &[Code] = &[
    Code::CompileError,
    Code::VerifierBudget,
    Code::UnsupportedTransport,
    Code::CommandValidationFailure,
];

#[test]
fn every_code_of_open_load_and_attach_has_a_case_or_is_produced_elsewhere() {
    let cases = case::all();
    let expected: BTreeSet<&str> = cases
        .values()
        .flat_map(|case| &case.expect)
        .filter_map(|expect| expect.code.as_deref())
        .collect();
    for code in Code::ALL {
        let listed = ELSEWHERE.iter().any(|(of, ..)| of == code) || OTHER_STAGES.contains(code);
        assert_ne!(
            expected.contains(code.name()),
            listed,
            "{code}: it has a case, or stands in this test's lists with the reason"
        );
    }
    for name in &expected {
        assert!(Code::ALL.iter().any(|code| code.name() == *name), "{name}");
    }
    for (code, why, file) in ELSEWHERE {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(
            text.contains(&format!("Code::{code:?}")) || text.contains(code.name()),
            "{code} ({why}): {file} does not produce it"
        );
    }
}

#[test]
fn every_case_that_is_run_has_a_result_on_five_kernels_and_none_is_unclassified() {
    let kept = results::kept();
    let cases = case::all();
    let kernels: BTreeSet<&str> = kept.keys().map(|(_, kernel)| kernel.as_str()).collect();
    assert!(kernels.len() >= 5, "{kernels:?}");
    for (name, case) in &cases {
        for kernel in &kernels {
            let has = kept.contains_key(&(name.clone(), (*kernel).to_owned()));
            assert_eq!(
                has,
                case.on(kernel).is_some(),
                "{name} on {kernel}: run `make casebook` with UKCI_UPDATE=1"
            );
        }
    }
    for ((case, kernel), (_, code)) in &kept {
        assert!(cases.contains_key(case), "{case} is no case any more");
        assert_ne!(code, Code::Unclassified.name(), "{case} on {kernel}");
    }
}
