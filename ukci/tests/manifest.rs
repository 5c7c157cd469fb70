//! `ukci manifest` and `ukci init`: files that are written for people, in a clean environment.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ukci_matrix::manifest::Manifest;
use ukci_matrix::matrix::Matrix;

fn ukci(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ukci"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .env("PATH", "")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// An ELF file of little-endian BPF with one program in `kprobe/dummy`, by hand: a section with two
/// instructions, a symbol, and their names.
fn object() -> Vec<u8> {
    let code = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];
    let names = b"\0kprobe/dummy_target\0.symtab\0.strtab\0watch\0";
    let name_at = |name: &[u8]| {
        let at = names.windows(name.len()).position(|window| window == name);
        u32::try_from(at.unwrap()).unwrap()
    };
    let mut symbols = vec![0; 24];
    symbols.extend(name_at(b"watch").to_le_bytes());
    // A global function in section 1.
    symbols.extend([0x12, 0, 1, 0]);
    symbols.extend(0_u64.to_le_bytes());
    symbols.extend(16_u64.to_le_bytes());
    let (code_at, symbols_at) = (64_u64, 64 + 16_u64);
    let name_table_at = symbols_at + symbols.len() as u64;
    let sections_at = (name_table_at + names.len() as u64).next_multiple_of(8);
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([1, 0, 247, 0, 1, 0, 0, 0]);
    elf.extend([0; 16]);
    elf.extend(sections_at.to_le_bytes());
    elf.extend([0, 0, 0, 0, 64, 0, 0, 0, 0, 0, 64, 0, 4, 0, 3, 0]);
    elf.extend(code);
    elf.extend(&symbols);
    elf.extend(names);
    elf.resize(usize::try_from(sections_at).unwrap(), 0);
    // Name, type, flags, address, offset, size, link, info, alignment, size of an entry.
    let section = |elf: &mut Vec<u8>,
                   name: u32,
                   kind: u32,
                   flags: u64,
                   at: u64,
                   size: u64,
                   link: [u32; 2],
                   entry: u64| {
        elf.extend(name.to_le_bytes());
        elf.extend(kind.to_le_bytes());
        for word in [flags, 0, at, size] {
            elf.extend(word.to_le_bytes());
        }
        elf.extend(link.map(u32::to_le_bytes).concat());
        elf.extend(8_u64.to_le_bytes());
        elf.extend(entry.to_le_bytes());
    };
    section(&mut elf, 0, 0, 0, 0, 0, [0, 0], 0);
    section(
        &mut elf,
        name_at(b"kprobe/dummy_target"),
        1,
        6,
        code_at,
        16,
        [0, 0],
        0,
    );
    section(
        &mut elf,
        name_at(b".symtab"),
        2,
        0,
        symbols_at,
        symbols.len() as u64,
        [3, 1],
        24,
    );
    section(
        &mut elf,
        name_at(b".strtab"),
        3,
        0,
        name_table_at,
        names.len() as u64,
        [0, 0],
        0,
    );
    elf
}

#[test]
fn a_suggestion_is_a_manifest_and_an_import_prints_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x.bpf.o"), object()).unwrap();
    let output = ukci(dir.path(), &["manifest", "suggest", "x.bpf.o"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let manifest = Manifest::parse(&text(&output.stdout), "x.toml").unwrap();
    assert_eq!(manifest.programs[0].name, "watch");
    insta::assert_snapshot!("suggest", text(&output.stdout));
    // A program that contains the object, as `check --embedded` takes it.
    let program = fs::read(std::env::current_exe().unwrap()).unwrap();
    fs::write(
        dir.path().join("x"),
        [&program[..64], &object(), &[0; 64]].concat(),
    )
    .unwrap();
    let embedded = ukci(dir.path(), &["manifest", "suggest", "x"]);
    assert_eq!(
        text(&embedded.stdout),
        text(&output.stdout),
        "{}",
        text(&embedded.stderr)
    );

    fs::write(
        dir.path().join("old.yaml"),
        "maps: [{name: m, max_entries: cpus}]\n",
    )
    .unwrap();
    let output = ukci(dir.path(), &["manifest", "import", "old.yaml"]);
    assert_eq!(
        text(&output.stdout),
        "[[maps]]\nname = \"m\"\nmax_entries = \"cpus\"\n"
    );

    for (args, said) in [
        (
            &["manifest", "suggest", "old.yaml"][..],
            "`old.yaml` is not a BPF object: it is text",
        ),
        (&["manifest", "suggest", "none.bpf.o"], "`none.bpf.o`"),
        (&["manifest", "import", "x.bpf.o"], "`x.bpf.o`"),
    ] {
        let output = ukci(dir.path(), args);
        assert!(
            !output.status.success() && text(&output.stderr).contains(said),
            "{args:?}"
        );
    }
}

#[test]
fn init_writes_files_that_are_read_again_and_overwrites_none() {
    let dir = tempfile::tempdir().unwrap();
    let output = ukci(dir.path(), &["init"]);
    assert_eq!(output.status.code(), Some(64), "{}", text(&output.stderr));

    fs::create_dir_all(dir.path().join("build")).unwrap();
    fs::create_dir_all(dir.path().join(".git")).unwrap();
    fs::write(dir.path().join("build/x.bpf.o"), object()).unwrap();
    for source in ["x.bpf.c", "y.bpf.c", ".git/z.bpf.c"] {
        fs::write(dir.path().join(source), "int x;").unwrap();
    }
    let output = ukci(dir.path(), &["init"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    insta::assert_snapshot!("init_said", text(&output.stderr));
    let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
    let matrix = Matrix::parse(&read("ukci/matrix.toml"), "ukci/matrix.toml").unwrap();
    assert_eq!(matrix.name, "matrix");
    Manifest::parse(&read("ukci/x.toml"), "x.toml").unwrap();
    let workflow: serde_json::Value =
        serde_saphyr::from_str(&read(".github/workflows/ukci.yml")).unwrap();
    let with = &workflow["jobs"]["kernels"]["steps"][1]["with"];
    assert_eq!(with["artifact"], "build/x.bpf.o y.bpf.c");
    assert_eq!(with["manifest"], "x=ukci/x.toml\n");
    insta::assert_snapshot!("workflow", read(".github/workflows/ukci.yml"));

    // The cells of the next command that it names, without the source: there is no compiler here.
    let listed = [
        "list",
        "build/x.bpf.o",
        "--matrix",
        "./ukci/matrix.toml",
        "--manifest",
        "ukci/x.toml",
    ];
    let output = ukci(dir.path(), &listed);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("x/debian-12-6.1-cloud/x86_64"));

    fs::write(dir.path().join("ukci/matrix.toml"), "# mine\n").unwrap();
    let output = ukci(dir.path(), &["init"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("`ukci/matrix.toml`"));
    assert_eq!(read("ukci/matrix.toml"), "# mine\n");
    assert!(ukci(dir.path(), &["init", "--force"]).status.success());
    assert!(read("ukci/matrix.toml").contains("[[cells]]"));

    fs::write(dir.path().join("text.bpf.o"), "no object").unwrap();
    let output = ukci(dir.path(), &["init", "--force", "text.bpf.o"]);
    assert_eq!(output.status.code(), Some(64));
    let said = text(&output.stderr);
    assert!(
        said.contains("`text.bpf.o` is not an object with BPF programs"),
        "{said}"
    );
}
