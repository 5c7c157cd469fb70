//! With whatever clang this host has; a host without one says so and skips.

#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use super::*;

/// The newest clang here.
fn clang() -> Option<Clang> {
    match newest(Path::new("x.bpf.c")) {
        Ok(clang) => Some(clang),
        Err(error) if std::env::var_os("UKCI_TEST_REAL").is_some() => panic!("{error}"),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

struct Place {
    dir: tempfile::TempDir,
    options: Options,
}

impl Place {
    fn new(source: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.bpf.c"), source).unwrap();
        std::fs::create_dir(dir.path().join("include")).unwrap();
        std::fs::create_dir(dir.path().join("first")).unwrap();
        let options = Options {
            include: vec![dir.path().join("first"), dir.path().join("include")],
            cache: dir.path().join("cache"),
            ..Options::default()
        };
        Self { dir, options }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn compile(&self, clang: &Clang, arch: Arch) -> Compiled {
        compile(&self.dir.path().join("x.bpf.c"), clang, arch, &self.options).unwrap()
    }

    fn object(&self, clang: &Clang, arch: Arch) -> FileRef {
        match self.compile(clang, arch) {
            Compiled::Object(file) => file,
            Compiled::Refused { diagnosis, .. } => panic!("{diagnosis:?}"),
        }
    }
}

/// As bpftool writes a type of 7.3.
#[test]
fn members_of_a_struct_within_a_kernels_struct_are_its_own() {
    let Some(clang) = clang() else { return };
    let mut place = Place::new(
        "#include \"vmlinux.h\"\n\
         int first(struct filename *name) { return name->refcnt; }\n",
    );
    place.write(
        "first/vmlinux.h",
        "struct head { int refcnt; };\nstruct filename { struct head; char iname[8]; };\n",
    );
    let dir = place.dir.path().join("first");
    place.options.include = Vec::new();
    place.options.vmlinux_h = [(Arch::X86_64, dir)].into();
    place.object(&clang, Arch::X86_64);
}

#[test]
fn an_object_is_made_once_for_all_that_it_was_made_of() {
    let Some(clang) = clang() else { return };
    let place = Place::new("#include <a.h>\n#include \"b c.h\"\nint x = A;\n");
    place.write("include/a.h", "#define A 1\n");
    place.write("include/b c.h", "");
    let one = place.object(&clang, Arch::X86_64);
    let made = std::fs::metadata(&one.path).unwrap().modified().unwrap();
    let again = place.object(&clang, Arch::X86_64);
    assert_eq!(one, again);
    let unchanged = std::fs::metadata(&again.path).unwrap().modified().unwrap();
    assert_eq!(made, unchanged, "it was compiled a second time");

    // Each of these is another object.
    let mut paths = vec![one.path];
    place.write("include/a.h", "#define A 2\n");
    paths.push(place.object(&clang, Arch::X86_64).path);
    place.write("include/a.h", "/* why */\n#define A 2\n");
    paths.push(place.object(&clang, Arch::X86_64).path);
    place.write("first/a.h", "#define A 3\n");
    paths.push(place.object(&clang, Arch::X86_64).path);
    paths.push(place.object(&clang, Arch::Riscv64).path);
    let distinct: std::collections::BTreeSet<_> = paths.iter().collect();
    assert_eq!(distinct.len(), paths.len());
}

#[test]
fn each_architecture_has_its_macro_and_each_define_its_value() {
    let Some(clang) = clang() else { return };
    let mut place = Place::new(
        "#if defined(__TARGET_ARCH_arm64) && N == 3\nint x;\n#else\n#error \"not for me\"\n#endif\n",
    );
    place.options.define.push("N=3".into());
    place.object(&clang, Arch::Aarch64);
    let Compiled::Refused { diagnosis, .. } = place.compile(&clang, Arch::X86_64) else {
        panic!("x86_64 was taken for arm64");
    };
    let headline = &diagnosis.headline;
    assert!(
        headline.ends_with("for x86_64: \"not for me\""),
        "{headline}"
    );
    let at = diagnosis.at.as_ref().unwrap();
    assert!(at.file.ends_with("x.bpf.c"), "{at:?}");
    assert_eq!((at.line, at.text.as_str()), (4, "#error \"not for me\""));
}

#[test]
fn a_clang_of_another_version_is_not_taken_for_the_one_that_was_asked_for() {
    let Some(clang) = clang() else { return };
    let path = std::env::var_os("PATH").unwrap();
    let named = Some(clang.path.clone().into_os_string());
    assert_eq!(
        search(&clang.major, named.clone(), &path).unwrap(),
        Some(clang)
    );
    let error = search("3", named, &path).unwrap_err();
    assert!(matches!(error, Error::OtherClang { .. }), "{error}");
    assert_eq!(search("3", None, &OsString::new()).unwrap(), None);
}

#[test]
fn rules_for_make_are_read() {
    let rule = "object: src/x.bpf.c /usr/include/a.h \\\n  include/b\\ c.h a$$b.h\n";
    let files = ["src/x.bpf.c", "/usr/include/a.h", "include/b c.h", "a$b.h"];
    assert_eq!(read_files(rule), files.map(PathBuf::from));
}

/// A host's own headers may be older; they must not decide what compiles.
#[test]
fn libbpfs_headers_come_after_the_users_and_before_the_systems() {
    let Some(clang) = clang() else { return };
    let mut place = Place::new("#include <bpf/bpf_helpers.h>\nint value = SEEN;\n");
    let carried = place.dir.path().join("carried");
    std::fs::create_dir_all(carried.join("bpf")).unwrap();
    std::fs::create_dir_all(place.dir.path().join("first/bpf")).unwrap();
    place.write("carried/bpf/bpf_helpers.h", "#define SEEN 1\n");
    assert!(matches!(
        place.compile(&clang, Arch::X86_64),
        Compiled::Refused { .. }
    ));
    place.options.libbpf = Some(carried.clone());
    let object = std::fs::read(place.object(&clang, Arch::X86_64).path).unwrap();
    let path = carried.display().to_string();
    let names_it = object
        .windows(path.len())
        .any(|part| part == path.as_bytes());
    assert!(!names_it, "the object says where the cache is");
    place.write("first/bpf/bpf_helpers.h", "#define SEEN 2\n#define MINE\n");
    place.write(
        "x.bpf.c",
        "#include <bpf/bpf_helpers.h>\n#ifndef MINE\n#error\n#endif\nint value = SEEN;\n",
    );
    place.object(&clang, Arch::X86_64);
}
