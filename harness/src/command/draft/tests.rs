use super::*;

fn command(draft: Draft) -> Command {
    let planned = draft.plan(Arch::X86_64, b"busybox".to_vec(), &[]).unwrap();
    let bytes = planned.kept.get(&planned.file.sha256).unwrap();
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_script_brings_its_interpreter_and_its_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().canonicalize().unwrap().join("run.sh");
    std::fs::write(&script, "#!/bin/sh\necho \"$1\"\n").unwrap();
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
fn what_cannot_run_is_refused_before_anything_boots() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("notes");
    std::fs::write(&file, "text").unwrap();
    let of = |word: &Path| {
        let draft = Draft {
            words: vec![word.into()],
            ..Draft::default()
        };
        draft.plan(Arch::X86_64, Vec::new(), &[]).unwrap_err()
    };
    assert!(matches!(of(&file), Error::NotRunnable { .. }));
    assert!(matches!(
        of(Path::new("no-such-program")),
        Error::NoProgram(_)
    ));
    assert!(matches!(of(&dir.path().join("x")), Error::NoProgram(_)));
    let nothing = Draft::default().plan(Arch::X86_64, Vec::new(), &[]);
    assert!(matches!(nothing, Err(Error::Nothing)));
}

#[test]
fn large_files_bring_the_memory_that_they_need() {
    assert_eq!(memory(1 << 20), MEMORY);
    assert_eq!(memory(200 << 20), 1024);
}
