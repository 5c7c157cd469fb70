//! Where a program of the lock lies in a guest: beside its own libraries, so that it runs in every root
//! file system, and behind a script that has the name of the program.

use std::collections::BTreeSet;

use ukci_schema::command::{Command, Content};

use crate::catalogue::Tool;

/// How the source of a file ends that is none of this host's.
const OF_LOCK: &str = " of the lock";

/// Where the files of a program of the lock are said to come from.
pub(super) fn source_of(name: &str) -> String {
    format!("{name}{OF_LOCK}")
}

/// The programs of the lock that a command which was written down has.
pub fn tools_of(command: &Command) -> BTreeSet<String> {
    let sources = command.files.iter().filter_map(|file| match &file.content {
        Content::Bytes { source, .. } => source.strip_suffix(OF_LOCK),
        Content::Link { .. } => None,
    });
    sources.map(str::to_owned).collect()
}

/// The files of a program for a guest: the path and the bytes of each.
pub(super) fn files(tool: &Tool) -> Vec<(String, Vec<u8>)> {
    let name = &tool.name;
    let command = format!("/usr/sbin/{name}");
    let Some(interpreter) = &tool.interpreter else {
        let mut files = tool.files.values();
        return files
            .next()
            .map(|bytes| (command, bytes.clone()))
            .into_iter()
            .collect();
    };
    let dir = format!("/usr/lib/ukci/{name}");
    // Neither the loader's cache nor the libraries of the guest's own root have a part in it.
    let script = format!(
        "#!/bin/sh\nexec {dir}/{interpreter} --inhibit-cache --library-path {dir} --argv0 {name} \
         {dir}/{name} \"$@\"\n"
    );
    let of_tool = tool.files.iter();
    let of_tool = of_tool.map(|(file, bytes)| (format!("{dir}/{file}"), bytes.clone()));
    of_tool.chain([(command, script.into_bytes())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ukci_schema::command::CommandFile;

    #[test]
    fn a_tool_runs_with_its_own_libraries_and_is_known_by_its_source() {
        let tool = Tool {
            name: "x".to_owned(),
            interpreter: Some("ld.so.2".to_owned()),
            files: [("x".to_owned(), vec![1]), ("ld.so.2".to_owned(), vec![2])].into(),
        };
        let files = files(&tool);
        let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/usr/lib/ukci/x/ld.so.2",
                "/usr/lib/ukci/x/x",
                "/usr/sbin/x"
            ]
        );
        let script = String::from_utf8(files[2].1.clone()).unwrap();
        assert!(script.contains("exec /usr/lib/ukci/x/ld.so.2 "), "{script}");

        let of = |source: &str| CommandFile {
            path: "/f".to_owned(),
            content: Content::Bytes {
                sha256: "1".to_owned(),
                size: 1,
                mode: 0o755,
                source: source.to_owned(),
            },
        };
        let command = Command {
            files: vec![of("/usr/bin/cat"), of(&source_of("x")), of(&source_of("x"))],
            ..Command::default()
        };
        assert_eq!(tools_of(&command), ["x".to_owned()].into());
    }
}
