//! Matrices as text, and the cells or the refusals they come to.

use super::{Groups, KnownKernel, Matrix, MatrixError};
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::cell::Arch;
use ukci_schema::plan::PlannedCell;
use ukci_schema::verdict::{Expectation, VerdictKind};

const KNOWN: &[KnownKernel<'_>] = &[
    KnownKernel {
        name: "debian-11-5.10",
        arch: Arch::X86_64,
        version: None,
        is_verified: true,
    },
    KnownKernel {
        name: "debian-12-6.1",
        arch: Arch::X86_64,
        version: None,
        is_verified: true,
    },
    KnownKernel {
        name: "debian-12-6.1",
        arch: Arch::Aarch64,
        version: None,
        is_verified: true,
    },
];

fn artifact(form: Form) -> Artifact {
    Artifact {
        name: "x".into(),
        path: "x.bpf.o".into(),
        sha256: String::new(),
        size: 0,
        form,
        manifest: None,
    }
}

fn expand(text: &str, form: Form) -> Result<Vec<String>, MatrixError> {
    let matrix = Matrix::parse(text, "matrices/full.toml")?;
    let expansion = matrix.expand(&[artifact(form)], KNOWN)?;
    Ok(expansion
        .cells
        .iter()
        .map(|planned| {
            let code = planned
                .expected
                .code
                .map(|code| format!(" {code}"))
                .unwrap_or_default();
            format!("{}{code}", planned.cell)
        })
        .collect())
}

fn refusal(text: &str) -> String {
    told(&expand(text, Form::Object).unwrap_err())
}

fn told(error: &MatrixError) -> String {
    let hint = error.hint().map(|hint| format!("\nhint: {hint}"));
    format!("{error}{}", hint.unwrap_or_default())
}

#[test]
fn cells_are_products_minus_exclusions() {
    let text = r#"
        [[cells]]
        kernels = ["debian-11-5.10", "debian-12-6.1"]
        llvms = ["16", "22"]
        [[cells]]
        kernels = ["debian-12-6.1"]
        llvms = ["22"]
        arches = ["x86_64", "aarch64"]
        [[exclude]]
        kernels = "debian-11-5.10"
        llvms = "16"
        reason = "old with old"
        [[expect]]
        kernels = "debian-11-5.10"
        verdict = "fail"
        code = "UNSUPPORTED_HELPER"
        reason = "bpf_loop"
    "#;
    assert_eq!(
        expand(text, Form::Source).unwrap(),
        [
            "x/debian-11-5.10/x86_64/llvm-22 UNSUPPORTED_HELPER",
            "x/debian-12-6.1/x86_64/llvm-16",
            "x/debian-12-6.1/x86_64/llvm-22",
            "x/debian-12-6.1/aarch64/llvm-22",
        ]
    );
}

#[test]
fn a_prebuilt_object_collapses_the_llvm_axis() {
    let text = "[[cells]]\nkernels = [\"debian-12-6.1\"]\nllvms = [\"16\", \"22\"]\n";
    assert_eq!(
        expand(text, Form::Object).unwrap(),
        ["x/debian-12-6.1/x86_64"]
    );
}

#[test]
fn mistakes_have_a_place_and_a_hint() {
    insta::assert_snapshot!(refusal("[[cells]]\nkernels = [\"debian-12-6.2\"]\n"));
    insta::assert_snapshot!(refusal("[[cells]]\nkernels = [6.1]\n"));
    insta::assert_snapshot!(refusal("[[cells]]\nkernals = [\"debian-12-6.1\"]\n"));
    let base = "[[cells]]\nkernels = [\"debian-12-6.1\"]\n";
    insta::assert_snapshot!(refusal(&format!(
        "{base}[[exclude]]\nkernels = \"debian-11-5.10\"\nreason = \"stale\"\n"
    )));
    insta::assert_snapshot!(refusal(&format!("{base}[[exclude]]\nreason = \"all\"\n")));
    insta::assert_snapshot!(refusal(&format!(
        "{base}[[expect]]\nkernels = \"debian-12-6.1\"\nverdict = \"fail\"\ncode = \"VERIFIER_REJECTED\"\nreason = \"x\"\n"
    )));
    insta::assert_snapshot!(refusal(""));
}

#[test]
fn values_are_checked_where_they_stand() {
    let base = "[[cells]]\nkernels = [\"debian-12-6.1\"]\n";
    insta::assert_snapshot!(refusal(&format!("{base}memory = 1\n")));
    for (text, word) in [
        (format!("cpus = 0\n{base}"), "1 to 64 CPUs"),
        (format!("{base}cpus = 65\n"), "1 to 64 CPUs"),
        (format!("memory = 63\n{base}"), "at least 64 MiB"),
        (format!("name = \"\"\n{base}"), "the name is empty"),
        (format!("sysctl = [\"=1\"]\n{base}"), "is not `key=value`"),
        (
            format!("{base}[[exclude]]\nkernels = \"debian-12-6.1\"\nreason = \" \"\n"),
            "reason is empty",
        ),
    ] {
        assert!(refusal(&text).contains(word), "{}", refusal(&text));
    }
}

#[test]
fn a_rule_covers_something_that_is_left_whichever_artifacts_run() {
    let base = "[[cells]]\nkernels = [\"debian-11-5.10\", \"debian-12-6.1\"]\nllvms = [\"16\"]\n";
    let expect = |axes: &str| {
        format!("[[expect]]\n{axes}\nverdict = \"fail\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n")
    };
    let excluded = "[[exclude]]\nkernels = \"debian-12-6.1\"\nreason = \"x\"\n";
    let stale = expect("kernels = \"debian-12-6.1\"");
    insta::assert_snapshot!(refusal(&format!("{base}{excluded}{stale}")));
    let misspelt = expect("artifacts = \"other\"\nkernels = \"debian-12-6.2\"");
    insta::assert_snapshot!(refusal(&format!("{base}{misspelt}")));
    // The axis is collapsed for an object, and the rule is right for source.
    assert_eq!(
        expand(&format!("{base}{}", expect("llvms = \"16\"")), Form::Object)
            .unwrap()
            .len(),
        2
    );
    assert!(refusal(&format!("{base}{}", expect("llvms = \"17\""))).contains("covers no cell"));
}

#[test]
fn a_rule_about_an_artifact_that_is_not_run_is_told() {
    let text = "name = \"mine\"\n[[cells]]\nkernels = [\"debian-12-6.1\"]\n\
        [[expect]]\nartifacts = \"y\"\nverdict = \"fail\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n";
    let matrix = Matrix::parse(text, "m.toml").unwrap();
    assert_eq!(matrix.name, "mine");
    let expansion = matrix.expand(&[artifact(Form::Object)], KNOWN).unwrap();
    assert_eq!(expansion.cells[0].expected, Expectation::default());
    assert_eq!(
        expansion.warnings,
        ["the rule at `m.toml:4:1` names artifact `y`, which is not part of this run"]
    );
}

#[test]
fn the_words_of_the_release_before_are_understood_with_a_warning() {
    let base = "[[cells]]\nkernels = \"debian-*\"\narches = [\"x86_64\", \"aarch64\"]\n";
    let expand = |rules: &str| {
        let matrix = Matrix::parse(&format!("{base}{rules}"), "m.toml")?;
        matrix.expand(&[artifact(Form::Object)], &KNOWN[1..])
    };
    let old = "[[exclude]]\nartifact = \"x\"\narch = \"aarch64\"\nreason = \"x\"\n";
    let new = "[[exclude]]\nartifacts = \"x\"\narches = \"aarch64\"\nreason = \"x\"\n";
    let (old, new) = (expand(old).unwrap(), expand(new).unwrap());
    assert_eq!((&old.cells, old.excluded), (&new.cells, 1));
    assert_eq!(new.warnings, Vec::<String>::new());
    insta::assert_snapshot!(old.warnings.join("\n"));
    let both = "[[exclude]]\nkernel = \"x\"\nkernels = \"y\"\nreason = \"x\"\n";
    insta::assert_snapshot!(told(&expand(both).unwrap_err()));
}

#[test]
fn every_entry_of_a_rule_must_cover_something() {
    let base = "[[cells]]\nkernels = [\"debian-11-5.10\", \"debian-12-6.1\"]\nllvms = \"19\"\n";
    let rule = |axes: &str| format!("{base}[[exclude]]\n{axes}\nreason = \"x\"\n");
    let left = |axes: &str| expand(&rule(axes), Form::Source).unwrap();
    assert_eq!(
        left("kernels = \"debian-11-*\""),
        ["x/debian-12-6.1/x86_64/llvm-19"]
    );
    assert_eq!(left("artifacts = [\"x*\", \"y\"]\nllvms = \"1*\"").len(), 0);
    assert_eq!(left("artifacts = \"y*\"\nkernels = \"*\"").len(), 2);
    insta::assert_snapshot!(refusal(&rule(
        "kernels = [\"debian-11-5.10\", \"debian-12-6.2\"]"
    )));
    insta::assert_snapshot!(refusal(&rule("kernels = []")));
    insta::assert_snapshot!(refusal(&rule("artifacts = \"@lts\"")));
    insta::assert_snapshot!(refusal(&rule("arches = [\"x86_64\", \"arm64\"]")));
    let no_llvm =
        "[[cells]]\nkernels = \"debian-*\"\n[[exclude]]\nllvms = \"19\"\nreason = \"x\"\n";
    insta::assert_snapshot!(refusal(no_llvm));
}

#[test]
fn cells_that_are_named_twice_must_agree() {
    let base = "[[cells]]\nkernels = [\"debian-12-6.1\"]\n";
    assert_eq!(
        expand(&format!("{base}{base}"), Form::Object)
            .unwrap()
            .len(),
        1
    );
    insta::assert_snapshot!(refusal(&format!("{base}{base}memory = 512\n")));
}

#[test]
fn ten_thousand_cells_expand_at_once() {
    let llvms: Vec<String> = (0..40).map(|n| format!("\"{n}\"")).collect();
    let kernels: Vec<String> = (0..250).map(|n| format!("k{n}")).collect();
    let known: Vec<KnownKernel<'_>> = kernels
        .iter()
        .map(|name| KnownKernel {
            name,
            arch: Arch::X86_64,
            version: None,
            is_verified: true,
        })
        .collect();
    let names: Vec<String> = kernels.iter().map(|name| format!("\"{name}\"")).collect();
    let rule = "[[expect]]\nkernels = \"k7\"\nverdict = \"fail\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n";
    let text = format!(
        "[[cells]]\nkernels = [{}]\nllvms = [{}]\n{rule}",
        names.join(","),
        llvms.join(",")
    );
    let started = std::time::Instant::now();
    let matrix = Matrix::parse(&text, "m.toml").unwrap();
    let cells = matrix
        .expand(&[artifact(Form::Source)], &known)
        .unwrap()
        .cells;
    let expected = cells
        .iter()
        .filter(|cell| cell.expected != Expectation::default());
    assert_eq!((cells.len(), expected.count()), (10_000, 40));
    // A second in a release; unoptimised, on a busy machine, some more.
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}

fn groups() -> Groups {
    let text = include_str!("../../../../kernels/groups.toml");
    Groups::parse(text, "kernels/groups.toml").unwrap()
}

#[test]
fn groups_stand_for_their_locked_kernels_and_all_for_every_one() {
    let known = [
        ("debian-11-5.10", Arch::X86_64),
        ("debian-12-6.1", Arch::X86_64),
        ("debian-12-6.1", Arch::Aarch64),
        ("debian-13-6.12", Arch::Aarch64),
        ("ubuntu-24.04-6.8", Arch::X86_64),
    ]
    .map(|(name, arch)| KnownKernel {
        name,
        arch,
        version: None,
        is_verified: true,
    });
    let expanded = |authored: &str| {
        let text = format!("[[cells]]\nkernels = {authored}\narches = [\"x86_64\", \"aarch64\"]\n");
        let matrix = Matrix::parse(&text, "m.toml")
            .unwrap()
            .with_groups(groups());
        let expansion = matrix.expand(&[artifact(Form::Object)], &known);
        expansion.map(|e| {
            e.cells
                .iter()
                .map(|p| p.cell.kernel_key())
                .collect::<Vec<String>>()
        })
    };
    assert_eq!(
        expanded("[\"@lts\"]").unwrap(),
        [
            "debian-11-5.10/x86_64",
            "debian-12-6.1/x86_64",
            "debian-12-6.1/aarch64",
            "debian-13-6.12/aarch64"
        ]
    );
    assert_eq!(expanded("[\"@all\"]").unwrap().len(), known.len());
    // A cell that a group and a name both name is one cell.
    assert_eq!(expanded("[\"@lts\", \"debian-12-6.1\"]").unwrap().len(), 4);
    insta::assert_snapshot!("unknown_group", expanded("[\"@ltss\"]").unwrap_err());
    let nothing = expanded("[\"@next\"]").unwrap_err().to_string();
    assert!(nothing.contains("no kernel of group `@next`"), "{nothing}");
}

#[test]
fn a_group_in_a_rule_stands_for_its_kernels() {
    let known = [
        ("debian-11-5.10", Arch::X86_64),
        ("debian-12-6.1", Arch::X86_64),
        ("debian-12-6.1", Arch::Aarch64),
        ("debian-sid-7.2", Arch::X86_64),
    ]
    .map(|(name, arch)| KnownKernel {
        name,
        arch,
        version: None,
        is_verified: true,
    });
    let base = "[[cells]]\nkernels = [\"@all\"]\narches = [\"x86_64\", \"aarch64\"]\n";
    let expand = |rules: &str| {
        let matrix = Matrix::parse(&format!("{base}{rules}"), "m.toml").unwrap();
        let matrix = matrix.with_groups(groups());
        matrix.expand(&[artifact(Form::Object)], &known)
    };
    let fails = "verdict = \"fail\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n";
    let excluded = expand("[[exclude]]\nkernels = \"@lts\"\nreason = \"x\"\n").unwrap();
    let keys = |cells: &[PlannedCell]| -> Vec<String> {
        cells.iter().map(|p| p.cell.kernel_key()).collect()
    };
    assert_eq!(keys(&excluded.cells), ["debian-sid-7.2/x86_64"]);
    assert_eq!(excluded.excluded, 3);

    // With another axis, and a later rule for one of the group.
    let rules = format!(
        "[[expect]]\nkernels = \"@lts\"\narches = \"x86_64\"\nrequired = false\n{fails}\
         [[expect]]\nkernels = \"debian-12-6.1\"\nverdict = \"pass\"\nreason = \"x\"\n"
    );
    let mut cells = expand(&rules).unwrap().cells;
    cells.retain(|planned| planned.expected.verdict == VerdictKind::Fail);
    assert_eq!(keys(&cells), ["debian-11-5.10/x86_64"]);
    assert!(!cells[0].required);

    let unknown = expand("[[exclude]]\nkernels = \"@ltss\"\nreason = \"x\"\n").unwrap_err();
    insta::assert_snapshot!("unknown_group_in_a_rule", told(&unknown));
    let nothing = format!("[[expect]]\nkernels = \"@next\"\n{fails}");
    insta::assert_snapshot!("group_covers_nothing", told(&expand(&nothing).unwrap_err()));
    let elsewhere = format!("[[expect]]\nkernels = \"@lts\"\narches = \"riscv64\"\n{fails}");
    let elsewhere = told(&expand(&elsewhere).unwrap_err());
    assert!(elsewhere.contains("| arches = \"riscv64\""), "{elsewhere}");
}

#[test]
fn groups_name_only_locked_kernels() {
    let lock: ukci_schema::lock::Lock =
        serde_json::from_str(include_str!("../../../../kernels/lock.json")).unwrap();
    for kernel in groups().kernels() {
        assert!(
            lock.names().any(|name| name == kernel),
            "{kernel} is not locked"
        );
    }
}

#[test]
fn a_blessed_run_is_as_expected_and_what_was_written_stays() {
    let mut report: ukci_schema::report::Report =
        serde_json::from_str(include_str!("../../../tests/fixtures/report.json")).unwrap();
    report.cells[2].diagnosis.as_mut().unwrap().headline = "it says \"no\" \\ and\nmore".into();
    let text =
        "# by hand\n[[cells]]\nkernels = [\"debian-11-5.10-cloud\", \"debian-12-6.1-cloud\"]";
    let blessed = super::bless(text, "m.toml", &report, &[]).unwrap();
    assert!(blessed.text.starts_with("# by hand\n"));
    assert_eq!(blessed.cells.len(), report.summary.fail);
    let known = ["debian-11-5.10-cloud", "debian-12-6.1-cloud"].map(|name| KnownKernel {
        name,
        arch: Arch::X86_64,
        version: None,
        is_verified: true,
    });
    let matrix = Matrix::parse(&blessed.text, "m.toml").unwrap();
    let expansion = matrix.expand(&report.artifacts, &known).unwrap();
    for planned in expansion.cells {
        let cell = report
            .cells
            .iter()
            .find(|cell| cell.id == planned.cell.id())
            .unwrap();
        let fails = blessed.cells.contains(&cell.id);
        assert_eq!(
            planned.expected.verdict == VerdictKind::Fail,
            fails,
            "{}",
            cell.id
        );
        if fails {
            assert_eq!(planned.expected.code, cell.code());
        }
    }
    insta::assert_snapshot!("blessed", blessed.text);
}

#[test]
fn a_budget_is_of_the_matrix() {
    let text = "max_insns = 500000\nmax_growth_percent = 10\n[[cells]]\nkernels = [\"k\"]\n";
    let budget = Matrix::parse(text, "m.toml").unwrap().budget();
    assert_eq!(
        (budget.max_insns, budget.max_growth_percent),
        (Some(500_000), Some(10))
    );
}

/// A kernel by its version is none of what a pattern or the bare name means.
#[test]
fn a_matrix_names_a_version_of_a_kernel() {
    let text = "[[cells]]\nkernels = [\"debian-12-6.1-cloud@6.1.187-1\"]\n";
    let kernel = |version, arch| KnownKernel {
        name: "debian-12-6.1-cloud",
        version,
        arch,
        is_verified: true,
    };
    let old = Some("6.1.187-1");
    let known = [kernel(None, Arch::X86_64), kernel(old, Arch::X86_64)];
    let names = |text: &str, known: &[KnownKernel<'_>]| {
        let matrix = Matrix::parse(text, "m.toml").unwrap();
        let cells = matrix.expand(&[artifact(Form::Object)], known)?.cells;
        Ok::<_, MatrixError>(cells.into_iter().map(|c| c.cell.kernel).collect::<Vec<_>>())
    };
    assert_eq!(
        names(text, &known).unwrap(),
        ["debian-12-6.1-cloud@6.1.187-1"]
    );
    for all in ["debian-12-6.1-cloud", "debian-*"] {
        let text = format!("[[cells]]\nkernels = [\"{all}\"]\n");
        assert_eq!(names(&text, &known).unwrap(), ["debian-12-6.1-cloud"]);
    }
    let wrong = text.replace(".187", ".188");
    let error = names(&wrong, &known).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("unknown kernel `debian-12-6.1-cloud@6.1.188-1`"),
        "{error}"
    );
    assert!(
        format!("{error:?}").contains("debian-12-6.1-cloud@6.1.187-1"),
        "{error:?}"
    );
    let known = [kernel(None, Arch::X86_64), kernel(old, Arch::Aarch64)];
    let error = names(text, &known).unwrap_err();
    assert!(
        error.to_string().contains("is not locked for x86_64"),
        "{error}"
    );
}
