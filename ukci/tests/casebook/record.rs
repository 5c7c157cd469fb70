//! `make evidence CASE=NAME`: runs one case of the casebook, or one example of `docs/examples`, and
//! keeps what the agent sent as evidence for the tests of the judge, in the canonical form.

use std::path::PathBuf;

use ukci_judge::canonical;
use ukci_schema::evidence::Evidence;

use crate::case::{self, answer, root};
use crate::run;

/// Records the evidence of a case on each of these kernels that it is for.
pub(crate) fn record(name: &str, kernels: &str) {
    let cases = case::all();
    let case = cases.get(name);
    let mut recorded = 0;
    for kernel in kernels
        .split([',', ' '])
        .filter(|kernel| !kernel.is_empty())
    {
        let (mut cmdline, mut manifests) = (Vec::new(), Vec::new());
        let object = if let Some(case) = case {
            let Some(expect) = case.on(kernel) else {
                eprintln!("skipped: `{name}` is not a case for {kernel}");
                continue;
            };
            cmdline.clone_from(&expect.cmdline);
            let objects = case::objects(kernel);
            manifests.extend(case.manifest_option(name, &objects));
            objects.join(format!("{name}.bpf.o"))
        } else {
            root().join(format!("target/examples/{name}.bpf.o"))
        };
        assert!(
            object.is_file(),
            "there is no case and no example `{name}`: {} does not exist",
            object.display()
        );
        let of = kernel.replace('/', "-");
        let out = root().join(format!("target/evidence-out/{of}-{name}"));
        let report = run(&[object], &manifests, kernel, &cmdline, &out);
        let [cell] = &report.cells[..] else {
            panic!(
                "{name} on {kernel}: {} cells instead of one",
                report.cells.len()
            );
        };
        let raw = out.join(&cell.evidence).join("evidence.json");
        let raw = std::fs::read_to_string(&raw)
            .unwrap_or_else(|error| panic!("{}: {error}", raw.display()));
        let evidence: Evidence = serde_json::from_str(&raw).unwrap();
        let path = destination(&of, name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, canonical::text(&evidence) + "\n").unwrap();
        let (verdict, code) = answer(cell);
        let path = path.strip_prefix(root()).unwrap().display();
        eprintln!("recorded {path}: {verdict} {}", code.unwrap_or_default());
        recorded += 1;
    }
    assert!(recorded > 0, "no evidence of `{name}` was recorded");
}

/// Where the tests of the judge look for it.
fn destination(kernel: &str, name: &str) -> PathBuf {
    root().join(format!("harness/judge/tests/evidence/{kernel}/{name}.json"))
}
