//! Names to cells: what is refused before anything is fetched, and what stays apart.

use std::fs;
use std::path::PathBuf;

use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::Code;
use ukci_schema::lock::Lock;
use ukci_schema::plan::PlannedArtifact;

use super::{
    ArtifactFile, Error, LOCK, Manifests, Selected, Selection, artifacts, manifest,
    named_artifacts, select,
};
use crate::catalogue::Catalogue;
use crate::evidence_dir::artifact_path;

/// A directory with an object, a matrix, and two kernels of the same name.
struct Place {
    dir: tempfile::TempDir,
    artifacts: Vec<PlannedArtifact>,
    catalogue: Catalogue,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        // The begin of an ELF header, which only a loader can judge.
        fs::write(path("x.bpf.o"), b"\x7fELF").unwrap();
        for name in ["a", "b"] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("bzImage"), bz_image()).unwrap();
        }
        fs::write(path("debian-12-6.1"), "kernel").unwrap();
        let matrix = "memory = 512\ncmdline = [\"lsm=bpf\"]\n\
            [[cells]]\nkernels = [\"debian-12-6.1\", \"debian-13-6.12\"]\n\
            [[expect]]\nkernels = \"debian-12-6.1\"\nverdict = \"fail\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n\
            [[expect]]\nartifacts = \"y\"\nverdict = \"fail\"\ncode = \"MISSING_BTF\"\nreason = \"x\"\n";
        fs::write(path("m.toml"), matrix).unwrap();
        let lock: Lock = serde_json::from_str(LOCK).unwrap();
        Self {
            artifacts: artifacts(&[path("x.bpf.o")]).unwrap(),
            catalogue: Catalogue::open(lock, &path("cache")).unwrap(),
            dir,
        }
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn select(&self, matrix: Option<&str>, kernels: &[&str]) -> Result<Selected, Error> {
        self.select_on(matrix, kernels, &[])
    }

    fn select_on(
        &self,
        matrix: Option<&str>,
        kernels: &[&str],
        arches: &[Arch],
    ) -> Result<Selected, Error> {
        let selection = Selection {
            matrix: matrix.map(|name| self.path(name)),
            kernels: kernels.iter().map(|&name| name.to_owned()).collect(),
            arches: arches.to_vec(),
            llvms: Vec::new(),
            modules: Vec::new(),
        };
        select(
            &selection,
            &self.artifacts,
            &Manifests::new(),
            &self.catalogue,
        )
    }
}

/// As much of a `bzImage` as says that it is one.
fn bz_image() -> Vec<u8> {
    let mut image = vec![0; 0x300];
    image[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
    image
}

fn ids(selected: &Selected) -> Vec<String> {
    selected.cells.iter().map(|p| p.cell.id()).collect()
}

#[test]
fn kernels_without_a_matrix_are_run_on_as_they_are() {
    let place = Place::new();
    let own = place.path("a/bzImage");
    let selected = place
        .select(None, &["debian-12-6.1", &own, "debian-12-6.1"])
        .unwrap();
    assert_eq!(
        ids(&selected),
        ["x/debian-12-6.1/x86_64", "x/bzImage/x86_64"]
    );
    assert_eq!(selected.own["bzImage"], PathBuf::from(own));
}

#[test]
fn kernels_are_run_on_the_architectures_that_are_asked_for() {
    let place = Place::new();
    let both = [Arch::X86_64, Arch::Riscv64];
    let selected = place.select_on(None, &["debian-13-6.12"], &both).unwrap();
    assert_eq!(
        ids(&selected),
        ["x/debian-13-6.12/x86_64", "x/debian-13-6.12/riscv64"]
    );
    let cloud = ["debian-12-6.1-cloud"];
    let error = place.select_on(None, &cloud, &[Arch::Riscv64]).unwrap_err();
    insta::assert_snapshot!(error, @"kernel `debian-12-6.1-cloud` is not available for riscv64, only for x86_64, aarch64");

    // The user's own is for what it is for.
    let own = place.path("a/Image");
    let mut image = vec![0; 0x40];
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    fs::write(&own, image).unwrap();
    let selected = place.select(None, &[&own]).unwrap();
    assert_eq!(ids(&selected), ["x/Image/aarch64"]);
    let error = place.select_on(None, &[&own], &both).unwrap_err();
    assert_eq!(error.hint().unwrap(), "run it with `--arch aarch64`");
}

#[test]
fn an_architecture_of_a_matrix_keeps_its_cells_alone() {
    let place = Place::new();
    let error = place
        .select_on(Some("m.toml"), &[], &[Arch::Aarch64])
        .unwrap_err();
    assert!(error.to_string().ends_with("only for x86_64"), "{error}");
    let selection = Selection {
        matrix: Some("archs".to_owned()),
        kernels: vec![
            "debian-13-6.12".to_owned(),
            "debian-13-6.12-cloud".to_owned(),
        ],
        arches: vec![Arch::Riscv64, Arch::Aarch64],
        ..Selection::default()
    };
    let selected = select(
        &selection,
        &place.artifacts,
        &Manifests::new(),
        &place.catalogue,
    )
    .unwrap();
    assert_eq!(
        ids(&selected),
        ["x/debian-13-6.12-cloud/aarch64", "x/debian-13-6.12/riscv64"]
    );
}

#[test]
fn kernels_of_a_matrix_keep_what_it_says_of_them() {
    let place = Place::new();
    let selected = place.select(Some("m.toml"), &["debian-12-6.1"]).unwrap();
    assert_eq!(ids(&selected), ["x/debian-12-6.1/x86_64"]);
    let cell = &selected.cells[0];
    assert_eq!(cell.memory, 512);
    assert_eq!(cell.expected.code, Some(Code::MissingBtf));
    assert_eq!(selected.cmdline, ["lsm=bpf"]);
    assert!(
        selected.warnings[0].contains("names artifact `y`"),
        "{:?}",
        selected.warnings
    );
}

#[test]
fn a_kernel_that_the_matrix_does_not_have_is_refused() {
    let place = Place::new();
    let error = place
        .select(Some("m.toml"), &["debian-12-6.1-cloud"])
        .unwrap_err();
    assert!(matches!(error, Error::NotInMatrix { .. }), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        "the nearest kernels in it are `debian-12-6.1` (x86_64), `debian-13-6.12` (x86_64, riscv64)"
    );
    let own = place.path("a/bzImage");
    let error = place.select(Some("m.toml"), &[&own]).unwrap_err();
    assert!(error.hint().unwrap().contains("leave `--matrix` out"));
}

#[test]
fn kernels_of_one_name_are_never_taken_for_each_other() {
    let place = Place::new();
    let (a, b) = (place.path("a/bzImage"), place.path("b/bzImage"));
    let error = place.select(None, &[&a, &b]).unwrap_err();
    assert!(matches!(error, Error::SameKernel { .. }), "{error}");
    assert_eq!(ids(&place.select(None, &[&a, &a]).unwrap()).len(), 1);
    // The file has a catalogue's name: a verdict on it must not be read as one on Debian's.
    let error = place
        .select(None, &[&place.path("debian-12-6.1")])
        .unwrap_err();
    assert!(matches!(error, Error::SameKernel { .. }), "{error}");
}

#[test]
fn what_is_missing_is_said_before_anything_is_fetched() {
    let place = Place::new();
    let error = place.select(None, &["./absent/bzImage"]).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
    let error = place.select(None, &["debian-12-6.2"]).unwrap_err();
    assert!(error.hint().unwrap().contains("`debian-12-6.1`"));
    let error = artifacts(&[place.dir.path().to_owned()]).unwrap_err();
    assert!(matches!(error, Error::Read { .. }), "{error}");
}

#[test]
fn a_kept_object_goes_by_the_name_of_the_report() {
    let place = Place::new();
    let kept = place.dir.path().join("artifacts");
    fs::create_dir(&kept).unwrap();
    for name in ["xdp-bench", "a b", "v1.2", &"n".repeat(200)] {
        let path = place.dir.path().join(artifact_path(name));
        fs::write(&path, b"\x7fELF").unwrap();
        let file = ArtifactFile {
            path,
            name: Some(name.to_owned()),
        };
        let named = named_artifacts(&[file]).unwrap();
        assert_eq!(named[0].artifact.name, name);
    }
}

#[test]
fn the_shipped_matrices_expand() {
    let place = Place::new();
    for (name, cells) in [("quick", 5), ("full", 17), ("archs", 10)] {
        let selection = Selection {
            matrix: Some(name.to_owned()),
            ..Selection::default()
        };
        let none = Manifests::new();
        let selected = select(&selection, &place.artifacts, &none, &place.catalogue).unwrap();
        assert_eq!(selected.cells.len(), cells, "{name}");
        assert!(selected.warnings.is_empty());
    }
}

#[test]
fn a_btf_file_of_a_manifest_has_btf() {
    let place = Place::new();
    let path = |name: &str| place.dir.path().join(name);
    let file = path("m.manifest.toml");
    fs::write(&file, "btf_custom_path = \"of.btf\"\n").unwrap();
    for (bytes, is) in [
        (&b"\x9f\xeb\x01\x00"[..], true),
        (b"\xeb\x9f\x01\x00", true),
        (b"no BTF", false),
        (b"\x7fELF", false),
        (b"", false),
    ] {
        fs::write(path("of.btf"), bytes).unwrap();
        let read = manifest(&file, &mut place.artifacts[0].clone());
        match read {
            Ok(_) => assert!(is, "{bytes:?}"),
            Err(error) => {
                assert!(!is, "{bytes:?}: {error}");
                assert!(error.to_string().ends_with("of.btf` has no BTF"), "{error}");
            }
        }
    }
}

#[test]
fn a_manifest_says_its_cells_and_is_held_against_the_catalogue() {
    let mut place = Place::new();
    let path = |name: &str| place.dir.path().join(name);
    fs::write(path("victim"), "elf").unwrap();
    let text = "kernel_arguments = [\"lockdown=integrity\"]\n\
        [[programs]]\nname = \"p\"\n\
        attach = { kind = \"uprobe\", binary = \"victim\", symbol = \"main\" }\n\
        [[expect]]\nkernels = [\"debian-1*\"]\nverdict = \"fail\"\ncode = \"MISSING_BTF\"\n\
        reason = \"x\"\n\
        [[expect]]\nprogram = \"p\"\nverdict = \"pass\"\nreason = \"x\"\n";
    let (good, stale) = (path("good.toml"), path("stale.toml"));
    fs::write(&good, text).unwrap();
    fs::write(&stale, text.replace("debian-1*", "ubuntu-*")).unwrap();
    let selection = Selection {
        matrix: Some(place.path("m.toml")),
        ..Selection::default()
    };
    // bpfcompat's notation is imported, with a warning.
    let (yaml, imported) = (
        path("bpfcompat.yaml"),
        "maps:\n- {name: m, max_entries: cpus}\n",
    );
    fs::write(&yaml, imported).unwrap();
    let read = manifest(&yaml, &mut place.artifacts[0].clone()).unwrap();
    assert_eq!(read.manifest.maps[0].name, "m");
    insta::assert_snapshot!(read.warning.unwrap().replace(place.dir.path().to_str().unwrap(), "DIR"), @"`DIR/bpfcompat.yaml` is YAML, which the next release refuses: run `ukci manifest import DIR/bpfcompat.yaml > DIR/bpfcompat.toml`");
    let mut with = |file: &std::path::Path| {
        let read = manifest(file, &mut place.artifacts[0]).unwrap();
        assert_eq!(read.warning, None);
        let manifests = Manifests::from([("x".to_owned(), read)]);
        select(&selection, &place.artifacts, &manifests, &place.catalogue)
    };
    let selected = with(&good).unwrap();
    let [first, second] = selected.cells.as_slice() else {
        panic!("{:?}", ids(&selected));
    };
    assert_eq!(first.cmdline, ["lockdown=integrity"]);
    assert_eq!(first.contract.files, ["victim"]);
    assert_eq!(first.programs.len(), 1);
    // The matrix is the stronger; of the other kernel it says nothing.
    assert_eq!(first.expected.reason.as_deref(), Some("x"));
    assert_eq!(second.expected.code, Some(Code::MissingBtf));
    let error = with(&stale).unwrap_err();
    let error = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.contains("`ubuntu-*` covers no kernel"), "{error}");
    let artifact = &place.artifacts[0];
    assert_eq!(artifact.companions.keys().collect::<Vec<_>>(), ["victim"]);
    assert!(artifact.artifact.manifest.is_some());
}

#[test]
fn a_path_that_no_report_can_have_is_refused_before_anything_boots() {
    use std::os::unix::ffi::OsStringExt as _;

    let dir = tempfile::tempdir().unwrap();
    let odd = std::ffi::OsString::from_vec(b"bad\xff".to_vec());
    let above = dir.path().join(&odd);
    fs::create_dir(&above).unwrap();
    let mut file = odd;
    file.push(".bpf.o");
    // The object's own name, and that of a directory above it, which a link leads to.
    let (named, below, link) = (
        dir.path().join(file),
        above.join("x.bpf.o"),
        dir.path().join("y.bpf.o"),
    );
    for path in [&named, &below] {
        fs::write(path, b"\x7fELF").unwrap();
    }
    std::os::unix::fs::symlink(&below, &link).unwrap();
    for path in [named, below, link] {
        let refused = artifacts(std::slice::from_ref(&path));
        assert!(
            matches!(refused, Err(Error::NotUtf8(_))),
            "{path:?}: {refused:?}"
        );
    }
}
