use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn write_program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

fn command(draft: Draft) -> Command {
    let planned = draft.plan(Arch::X86_64, b"busybox".to_vec(), &[]).unwrap();
    let bytes = planned.kept.get(&planned.file.sha256).unwrap();
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_script_brings_its_interpreter_and_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().canonicalize().unwrap().join("run.sh");
    write_program(&script, "#!/bin/sh\necho \"$1\"\n");
    let words = vec![script.clone().into(), "a b".into()];
    let made = command(Draft {
        words: words.clone(),
        environment: BTreeMap::from([("HOME".into(), "/x".into()), ("A".into(), "1".into())]),
        inherited: BTreeSet::from(["TOKEN".into()]),
        ..Draft::default()
    });
    assert_eq!(made.name, "run.sh");
    assert_eq!(Path::new(&made.program), script);
    assert_eq!(made.arguments[1], "a b");
    let paths: Vec<&str> = made.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, [BUSYBOX, script.to_str().unwrap()]);
    assert_eq!(made.environment["HOME"], "/x");
    assert_eq!(made.environment["BPFCOMPAT_BIN"], script.to_str().unwrap());
    assert!(!made.environment.contains_key("TOKEN"));
    assert!(!made.environment.contains_key("LD_LIBRARY_PATH"));
    let shell = command(Draft {
        library_path: vec!["/a".into(), "/b".into()],
        words,
        shell: Some("\"$0\" \"$@\" | cat".into()),
        ..Draft::default()
    });
    assert_eq!(shell.program, BUSYBOX);
    assert_eq!(shell.arguments[..3], ["sh", "-c", "\"$0\" \"$@\" | cat"]);
    assert_eq!(shell.arguments[4], "a b");
    assert_eq!(shell.environment["LD_LIBRARY_PATH"], "/a:/b");
}

#[test]
fn another_user_has_its_own_name_and_home() {
    let user = Some(User {
        uid: 1000,
        gid: 1000,
    });
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("passwd");
    std::fs::write(&source, "ann:x:1000:1000::/home/ann:/bin/sh\n").unwrap();
    let path = Some("/etc/passwd".to_owned());
    for (user, files, expected) in [
        (None, vec![], ["/root", "root", "root"]),
        (user, vec![], ["/", "1000", "1000"]),
        (
            user,
            vec![SharedFile { source, path }],
            ["/home/ann", "ann", "ann"],
        ),
    ] {
        let made = command(Draft {
            shell: Some("true".into()),
            user,
            files,
            ..Draft::default()
        });
        let names = ["HOME", "USER", "LOGNAME"];
        assert_eq!(names.map(|name| made.environment[name].as_str()), expected);
    }
}

#[test]
fn a_program_for_another_guest_and_what_is_no_program_are_refused() {
    let host = arch::host().unwrap();
    let draft = Draft {
        words: vec![std::env::current_exe().unwrap().into()],
        ..Draft::default()
    };
    for guests in [&[][..], &[host]] {
        assert_eq!(draft.arch_for(guests).unwrap(), Some(host));
    }
    let other = match host {
        Arch::Riscv64 => Arch::X86_64,
        _ => Arch::Riscv64,
    };
    let error = draft.arch_for(&[host, other]).unwrap_err();
    let said = format!("is for {host}, and the guest is {other}");
    assert!(error.to_string().ends_with(&said), "{error}");
    assert!(error.hint().is_some());
    let mut bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    // The type of a file that is still to be linked.
    bytes[16] = 1;
    let dir = tempfile::tempdir().unwrap();
    let object = dir.path().canonicalize().unwrap().join("x.o");
    std::fs::write(&object, bytes).unwrap();
    std::fs::set_permissions(&object, Permissions::from_mode(0o755)).unwrap();
    let draft = Draft {
        words: vec![object.clone().into()],
        ..Draft::default()
    };
    // In a root file system too, where programs come alone.
    let bare = Draft {
        host_root: true,
        ..draft.clone()
    };
    for draft in [draft, bare] {
        let error = draft.plan(host, Vec::new(), &[]).unwrap_err();
        let said = format!("`{}` is an object file and no program", object.display());
        assert_eq!(error.to_string(), said);
    }
}

#[test]
fn what_cannot_run_is_refused_before_anything_boots() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes");
    write_program(&file, "text");
    let of = |word: &Path| {
        let draft = Draft {
            words: vec![word.into()],
            ..Draft::default()
        };
        draft.plan(Arch::X86_64, Vec::new(), &[]).unwrap_err()
    };
    let error = of(&file);
    assert!(matches!(error, Error::NoShebang(_)), "{error}");
    // `runner` and `manifest record` have no such option.
    assert!(!error.hint().unwrap().contains("--shell"), "{error}");
    let bytes = dir.path().join("bytes");
    write_program(&bytes, "\0\u{1}");
    assert!(matches!(of(&bytes), Error::NotRunnable { .. }));
    let script = dir.path().join("script");
    for line in ["#!/nope/x", "#!/usr/bin/env no-such-program"] {
        write_program(&script, line);
        let error = of(&script);
        assert!(
            matches!(&error, Error::NoInterpreter { program, .. } if *program == script.canonicalize().unwrap()),
            "{error}"
        );
    }
    std::fs::set_permissions(&script, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(of(&script), Error::NotExecutable(_)));
    for directory in [dir.path(), Path::new(".")] {
        assert!(matches!(of(directory), Error::Directory(_)));
    }
    assert!(matches!(of(Path::new("")), Error::Nothing));
    assert!(matches!(
        of(Path::new("no-such-program")),
        Error::NoProgram(_)
    ));
    assert!(matches!(of(&dir.path().join("x")), Error::NoProgram(_)));
    let nothing = Draft::default().plan(Arch::X86_64, Vec::new(), &[]);
    assert!(matches!(nothing, Err(Error::Nothing)));
}

/// `env` of the guest looks in the guest's `PATH`.
#[test]
fn an_interpreter_that_is_looked_up_is_where_the_guest_looks() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("run");
    write_program(&script, "#!/usr/bin/env cat\n");
    let path = std::env::var_os("PATH").unwrap();
    let found = program_path::find("cat", &path).unwrap();
    let made = command(Draft {
        words: vec![script.into()],
        environment: BTreeMap::from([("UKCI_OUT".into(), "/left".into())]),
        ..Draft::default()
    });
    let names = |file: &CommandFile| {
        let path = Path::new(&file.path);
        let dir = path.parent().unwrap().to_str().unwrap();
        path.file_name() == found.file_name() && PATH.split(':').any(|known| known == dir)
    };
    assert!(made.files.iter().any(names), "{:?}", made.files);
    // Where the files lie that come back is up to the command too.
    assert_eq!(
        (made.out.as_str(), made.environment["UKCI_OUT"].as_str()),
        ("/left", "/left")
    );
}

#[test]
fn each_file_has_a_path_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["a", "b"] {
        std::fs::write(at(name), name).unwrap();
    }
    std::fs::write(at("same"), "a").unwrap();
    let of = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(source, path)| SharedFile {
            source: at(source),
            path: Some((*path).to_owned()),
        });
        let draft = Draft {
            shell: Some("true".into()),
            files: files.collect(),
            ..Draft::default()
        };
        draft.plan(Arch::X86_64, b"busybox".to_vec(), &[])
    };
    assert!(of(&[("a", "/x"), ("b", "/y/z")]).is_ok());
    assert!(of(&[("a", "/x"), ("same", "/x")]).is_ok());
    let error = of(&[("a", "/x"), ("b", "/./x")]).unwrap_err();
    assert!(
        matches!(&error, Error::SamePath { path, .. } if path == "/x"),
        "{error}"
    );
    let error = of(&[("a", BUSYBOX)]).unwrap_err();
    assert!(matches!(error, Error::SamePath { .. }), "{error}");
    for files in [[("a", "/x"), ("b", "/x/y")], [("a", "/x/y"), ("b", "/x")]] {
        let error = of(&files).unwrap_err();
        assert!(
            matches!(&error, Error::Below { path, below } if path == "/x" && below == "/x/y"),
            "{error}"
        );
    }
    let error = of(&[(".", "/x")]).unwrap_err();
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("--host-root")),
        "{error}"
    );
}

#[test]
fn large_files_bring_the_memory_that_they_need() {
    assert_eq!(memory(1 << 20), MEMORY);
    assert_eq!(memory(200 << 20), 1024);
}
