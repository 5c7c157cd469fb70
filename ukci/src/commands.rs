//! Plans commands: what a command line says of a program becomes an artifact with all of its files,
//! and so does what an earlier run wrote down.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ukci_harness::catalogue::{self, Tool};
use ukci_harness::command::{self, Draft};
use ukci_harness::evidence_dir;
use ukci_harness::input_file::{self, DOCUMENT_LIMIT};
use ukci_harness::render::harmless;
use ukci_harness::resolve::Selection;
use ukci_harness::rootfs::{self, Image};
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::cell::Arch;
use ukci_schema::command::{Command, Stdin, WindowSize};
use ukci_schema::plan::{PlannedArtifact, PlannedCell};
use ukci_schema::report::{CellReport, Report};

use crate::args::Program;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::fetching::Fetching;
use crate::imaging::Imaging;
use crate::lock_file;
use crate::output::{GOOD, Output, label};
use crate::text::text;

/// What the options say of a command that consists of these words.
pub(crate) fn draft(words: Vec<OsString>, program: Program) -> Draft {
    let mut inherited = BTreeSet::new();
    let mut draft = Draft {
        words,
        files: program.userland.file,
        workdir: program.workdir,
        user: program.user,
        modules: program.module,
        network: program.userland.net.into(),
        rootfs: program.userland.rootfs,
        host_root: program.userland.host_root,
        tools: program.userland.tool,
        memory: program.memory,
        cpus: program.cpus,
        library_path: library_path(),
        ..Draft::default()
    };
    for (name, value) in program.env {
        match value {
            Some(value) => drop(draft.environment.insert(name, value)),
            None => drop(inherited.insert(name)),
        }
    }
    // The loader of the guest looks where the command's own variable says.
    if let Some(path) = draft.environment.get("LD_LIBRARY_PATH") {
        draft.library_path = absolute_dirs(OsStr::new(path));
    }
    draft.inherited = inherited;
    draft
}

/// Where libraries are looked for first.
pub(crate) fn library_path() -> Vec<PathBuf> {
    let path = std::env::var_os("LD_LIBRARY_PATH");
    path.map(|path| absolute_dirs(&path)).unwrap_or_default()
}

/// The directories of a search path, of which one without a `/` at its start, or without a name, is
/// below the current directory. Libraries have these paths in the guest too.
fn absolute_dirs(path: &OsStr) -> Vec<PathBuf> {
    if path.is_empty() {
        return Vec::new();
    }
    std::env::split_paths(path)
        .filter_map(|dir| {
            let here = std::env::current_dir().ok()?;
            // Without the `.` of `./lib`.
            Some(here.join(dir).components().collect())
        })
        .collect()
}

/// Gives a command a terminal of this size, of the kind that this process has, into which ukci's own
/// standard input is typed.
pub(crate) fn give_terminal(draft: &mut Draft, window: WindowSize) {
    let kind = std::env::var("TERM").unwrap_or_else(|_| "dumb".into());
    draft.terminal = Some(command::Terminal { window, kind });
    draft.stdin_stream = true;
}

/// Plans a command, and has the selection name the architecture of its program if it names none.
pub(crate) fn plan(
    mut draft: Draft,
    selection: &mut Selection,
    output: Output,
) -> Result<PlannedArtifact, Failure> {
    if let Some(source) = &draft.rootfs {
        let arch = selection.arches.first().copied();
        let image = root_image(source, arch.unwrap_or(Arch::X86_64), output)?;
        draft.root = Some(Arc::new(image));
    }
    let arch = draft.arch_for(&selection.arches);
    let arch = arch.map_err(|error| refused(&error))?;
    let arch = arch.or(selection.arches.first().copied());
    let arch = arch.unwrap_or(Arch::X86_64);
    if selection.arches.is_empty() {
        if arch != Arch::X86_64 && output.chatty {
            let label = label(GOOD, "Selecting");
            let program = draft.words.first().map(|word| word.to_string_lossy());
            let program = program.unwrap_or_default();
            output.say(&text!(
                "{} kernels for {}, because `{}` is a program for it",
                label,
                harmless(arch.name()),
                harmless(&program)
            ));
        }
        selection.arches = vec![arch];
    }
    let busybox = busybox(arch, output)?;
    let tools = tools(&draft.tools, arch, output)?;
    let planned = draft.plan(arch, busybox, &tools);
    planned.map_err(|error| refused(&error))
}

/// Programs of the lock for guests of this architecture, with their libraries.
pub(crate) fn tools(names: &[String], arch: Arch, output: Output) -> Result<Vec<Tool>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let catalogue = lock_file::catalogue()?;
    let fetching = Fetching::new(output);
    let tools = names.iter().map(|name| {
        let tool = catalogue.tool(name, arch, &|progress| fetching.show(progress));
        tool.map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
    });
    tools.collect()
}

/// The image of a root file system, which is made unless the cache has it.
pub(crate) fn root_image(source: &Path, arch: Arch, output: Output) -> Result<Image, Failure> {
    let source = std::path::absolute(source).map_err(|error| Failure::unread(source, &error))?;
    let imaging = Imaging::new(&source, output);
    let told = |progress| imaging.show(progress);
    let image = rootfs::image(&source, arch, &catalogue::cache_dir(), &told);
    imaging.end();
    image.map_err(|error| {
        let exit = match &error {
            rootfs::Error::Write { .. } | rootfs::Error::Spool { .. } => Exit::NoVerdict,
            _ => Exit::Usage,
        };
        Failure::of(exit, &error, error.hint())
    })
}

/// Why a command, or files for a guest, cannot be put together.
pub(crate) fn refused(error: &command::Error) -> Failure {
    Failure::of(Exit::Usage, error, error.hint())
}

/// The command that an earlier run wrote down beside its report, if it ran one in these cells. What it
/// read must still be there.
pub(crate) fn recorded(
    report: &Report,
    chosen: &[CellReport],
    dir: &Path,
    output: Output,
) -> Result<Option<PlannedArtifact>, Failure> {
    let is_command = |artifact: &&Artifact| artifact.form == Form::Command;
    let Some(artifact) = report.artifacts.iter().find(is_command) else {
        return Ok(None);
    };
    let path = dir.join(evidence_dir::command_path(&artifact.name));
    let unread = |error: &(dyn std::error::Error + 'static)| {
        Failure::failed_to(Action::on("read", &path), error)
    };
    let text = input_file::read(&path, DOCUMENT_LIMIT).map_err(|error| unread(&error))?;
    let command: Command = serde_json::from_slice(&text).map_err(|error| unread(&error))?;
    let cell = chosen.iter().find(|cell| cell.artifact == artifact.name);
    if let Some(cell) = cell
        && reads_ours(&command, &report.run.asked.command)
    {
        let message = format!(
            "`{}` cannot run again: its command read the standard input of ukci, which is not kept",
            cell.id
        );
        let hint = "run `ukci exec` with the input in a file: with `--stdin FILE`, `ukci rerun` can \
                    give it again";
        return Err(Failure::says(Exit::Usage, &message, Some(hint.into())));
    }
    let mut cells = report.cells.iter();
    let arch = cells.find(|cell| cell.artifact == artifact.name);
    let arch = arch.map_or(Arch::X86_64, |cell| cell.arch);
    if let Some(root) = &command.root {
        let source = Path::new(&root.source);
        let image = root_image(source, arch, output)?;
        if image.root.sha256 != root.sha256 {
            let error = rootfs::Error::Changed(source.to_owned());
            return Err(Failure::of(Exit::NoVerdict, &error, error.hint()));
        }
    }
    let busybox = busybox(arch, output)?;
    let names: Vec<String> = command::tools_of(&command).into_iter().collect();
    let tools = tools(&names, arch, output)?;
    let planned = command::planned(&command, &artifact.path, busybox, &tools);
    Ok(Some(planned))
}

/// Whether a command read what was piped into ukci. What a person types into a command's terminal comes
/// from `ukci` too, but a command in a terminal need not read anything, unless the line asks for it.
fn reads_ours(command: &Command, line: &[String]) -> bool {
    let mut options = line
        .split(|word| word == "--")
        .next()
        .unwrap_or_default()
        .windows(2);
    let is_asked_for = options.any(|pair| pair == ["--stdin", "-"]);
    command.stdin == Stdin::Stream && (command.terminal.is_none() || is_asked_for)
}

/// Gives the cells of a command the memory and the CPUs that it needs.
pub(crate) fn provide(cells: &mut [PlannedCell], artifacts: &[PlannedArtifact]) {
    for planned in artifacts
        .iter()
        .filter(|a| a.artifact.form == Form::Command)
    {
        let Some(bytes) = planned.kept.get(&planned.file.sha256) else {
            continue;
        };
        let Ok(command) = serde_json::from_slice::<Command>(bytes) else {
            continue;
        };
        for cell in cells.iter_mut() {
            cell.memory = cell.memory.max(command.memory);
            cell.cpus = command.cpus.unwrap_or(cell.cpus);
        }
    }
}

/// The shell for guests of this architecture.
pub(crate) fn busybox(arch: Arch, output: Output) -> Result<Vec<u8>, Failure> {
    let catalogue = lock_file::catalogue()?;
    let fetching = Fetching::new(output);
    let busybox = catalogue.program("busybox", arch, &|progress| fetching.show(progress));
    busybox.map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_in_a_terminal_reads_what_is_piped_only_if_that_is_asked_for() {
        let window = Some(WindowSize {
            columns: 80,
            rows: 24,
        });
        let of = |stdin, terminal, line: &[&str]| {
            let command = Command {
                stdin,
                terminal,
                ..Command::default()
            };
            let line: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
            reads_ours(&command, &line)
        };
        assert!(of(Stdin::Stream, None, &["--stdin", "-", "--", "cat"]));
        assert!(of(Stdin::Stream, window, &["--stdin", "-", "--", "cat"]));
        assert!(!of(Stdin::Stream, window, &["--", "cat", "--stdin", "-"]));
        assert!(!of(Stdin::Empty, None, &["--", "cat"]));
    }

    #[test]
    fn directories_of_libraries_are_those_of_this_host_wherever_a_guest_is() {
        let here = std::env::current_dir().unwrap();
        let of = |text: &str| absolute_dirs(OsStr::new(text));
        assert_eq!(of("./lib:/opt/lib"), [here.join("lib"), "/opt/lib".into()]);
        // As ld.so has it, a directory without a name is the current one.
        assert_eq!(of("/opt/lib:"), [PathBuf::from("/opt/lib"), here]);
        assert!(of("").is_empty());
    }
}
