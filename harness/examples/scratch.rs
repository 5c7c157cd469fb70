//! scratch
use std::collections::BTreeMap; use std::path::PathBuf; use std::time::Duration;
use ukci_harness::{catalogue::*, machine::{*, qemu::*}, run::*};
use ukci_schema::{artifact::*, cell::*, plan::*, report::*};
fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let lock: ukci_schema::lock::Lock = serde_json::from_str(&std::fs::read_to_string("kernels/lock.json").unwrap()).unwrap();
    let cache = cache_dir();
    let cat = Catalogue::open(lock, &cache, false).unwrap();
    let kernels: Vec<String> = args[0].split(',').map(Into::into).collect();
    let mut ks = BTreeMap::new();
    for k in &kernels { let p = cat.prepare(cat.lock().kernel(k).unwrap(), &|_| {}).unwrap(); ks.insert(k.clone(), p.kernel); }
    let mut arts = BTreeMap::new(); let mut cells = vec![];
    for a in &args[1..] {
        let name = name_of(PathBuf::from(a).file_name().unwrap().to_str().unwrap()).to_owned();
        let bytes = std::fs::read(a).unwrap();
        arts.insert(name.clone(), PlannedArtifact { artifact: Artifact { name: name.clone(), path: a.clone(), sha256: "0".into(), size: bytes.len() as u64, form: Form::Object }, file: FileRef { path: a.into(), sha256: "0".into() } });
        for k in &kernels { cells.push(PlannedCell { cell: Cell { artifact: name.clone(), kernel: k.clone(), llvm: None, arch: Arch::X86_64 }, expected: Default::default(), required: true, memory: 256, cpus: 1 }); }
    }
    let agent = PathBuf::from("target/release/ukci-guest-x86_64");
    let plan = Plan { schema: "x".into(), matrix: "m".into(), artifacts: arts, kernels: ks, agents: BTreeMap::from([(Arch::X86_64, FileRef { path: agent.clone(), sha256: std::process::Command::new("sha256sum").arg(&agent).output().map(|o| String::from_utf8(o.stdout).unwrap()[..64].to_owned()).unwrap() })]), cells, excluded: 0 };
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    rt.block_on(async {
        let q = Qemu::detect(Settings { accel: Some(accel::Accel::Tcg), arches: vec![Arch::X86_64], cache: cache.clone(), transport: None }, None).await.unwrap();
        println!("{:?}", q.transport());
        let (_s, c) = tokio::sync::watch::channel(false);
        let o = Options { mode: Default::default(), strict: false, jobs: 2, timeout: Duration::from_secs(60), fail_fast: false, out: "/tmp/scratch-out".into(), cache, info: RunInfo { ukci: "".into(), matrix: "".into(), started: "".into(), seconds: 0., jobs: 2, qemu: q.versions().clone(), accel: q.accel().clone(), transport: q.transport().clone(), agents: BTreeMap::new(), hermetic: true, interrupted: false, warnings: vec![] } };
        let r = run(plan, q, o, c, |e| { if let ukci_harness::event::Event::Finished { report, .. } = e { println!("{} {:?} {:.2}s {:.2}cpu {:?}", report.id, report.verdict, report.seconds, report.cpu_seconds, report.fault); for p in &report.programs { println!("    {} {:?} {:?} {:?}", p.name, p.load, p.attach, p.reason); } } }).await.unwrap();
        println!("{:.2}", r.run.seconds);
    });
}
