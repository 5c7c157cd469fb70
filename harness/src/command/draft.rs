//! Puts a command together: a person's words go in, and a planned artifact comes out, which has
//! every file that the guest needs by its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::cell::Arch;
use ukci_schema::command::{self, BUSYBOX, Command, CommandFile, Content, Stdin, User, WindowSize};
use ukci_schema::plan::{FileRef, Kept, PlannedArtifact};
use ukci_schema::userland::Network;

use super::script::{self, Interpreter};
use super::{elf_closure, program_path, terminfo};
use crate::catalogue::digest;
use crate::input_file::{self, FILE_LIMIT, Refused};
use crate::rootfs::Image;

/// Guest memory of a command whose files are small, in MiB. An object's guest runs nothing but the
/// agent; a program brings its own needs.
const MEMORY: u32 = 512;

/// What the guest looks programs up in.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where busybox is said to come from; it is no file of this host's.
const BUSYBOX_SOURCE: &str = "busybox of the lock";

/// Why a command could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// No file of this host is the program.
    #[error("this host has no program `{0}`")]
    NoProgram(String),
    /// A file is none that a guest could run.
    #[error("`{}` cannot be run in a guest: {reason}", path.display())]
    NotRunnable {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// A library is missing.
    #[error("`{}` needs the library `{name}`, which this host does not have", program.display())]
    NoLibrary {
        /// The program or library.
        program: PathBuf,
        /// The name under which it is needed.
        name: String,
    },
    /// Two of the files are for different architectures.
    #[error("`{}` is for {other}, and the command is for {arch}", path.display())]
    Mixed {
        /// The file.
        path: PathBuf,
        /// Its architecture.
        other: Arch,
        /// That of the command.
        arch: Arch,
    },
    /// A path or an argument is not UTF-8.
    #[error("`{0}` is not UTF-8")]
    NotText(String),
    /// There are neither words nor a text for a shell.
    #[error("there is no command")]
    Nothing,
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoProgram(name) if name.contains('/') => "check the path of the program".into(),
            Self::NoProgram(name) => format!(
                "programs are looked up on this host and sent to the guest: install `{name}`, give \
                 its path, or use the guest's own shell with `--shell`"
            ),
            Self::NoLibrary { .. } => {
                "install the library, name its directory in `LD_LIBRARY_PATH`, or link the program \
                 statically"
                    .into()
            }
            Self::Mixed { .. } => "run one command for each architecture".into(),
            Self::NotRunnable { .. } => "give a program that was built for 64-bit Linux".into(),
            _ => return None,
        })
    }
}

/// A file to send, and where it shall lie in the guest.
#[derive(Clone, Debug)]
pub struct SharedFile {
    /// The file on this host.
    pub source: PathBuf,
    /// Its path in the guest; none: the same.
    pub path: Option<String>,
}

/// A terminal for a command.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// The size of its window.
    pub window: WindowSize,
    /// What kind of terminal it is, as `TERM` names it.
    pub kind: String,
}

/// A command in a person's words.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Its name; none: that of the program's file.
    pub name: Option<String>,
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// A text for the guest's shell, which runs in place of the program.
    pub shell: Option<String>,
    /// Further files.
    pub files: Vec<SharedFile>,
    /// An object for the program to load.
    pub artifact: Option<PathBuf>,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Variables whose values are taken from the environment when the command runs.
    pub inherited: BTreeSet<String>,
    /// Where it starts; none: where `ukci` was started.
    pub workdir: Option<String>,
    /// Who runs it.
    pub user: Option<User>,
    /// The exit status that is a pass.
    pub expected_status: u8,
    /// Whether its calls to the kernel's BPF subsystem are watched.
    pub watched: bool,
    /// What it reads: a file, or `ukci`'s own input.
    pub stdin: Option<PathBuf>,
    /// Whether it reads `ukci`'s own input.
    pub stdin_stream: bool,
    /// The terminal that it gets.
    pub terminal: Option<Terminal>,
    /// The directory whose files come back; none: [`command::OUT`].
    pub out: Option<String>,
    /// Modules to load first.
    pub modules: Vec<String>,
    /// How it reaches networks.
    pub network: Network,
    /// Where its root file system comes from: a directory, an archive or a container image.
    pub rootfs: Option<PathBuf>,
    /// The image that was made of it. Without one, the guest has the files that the program needs.
    pub root: Option<Arc<Image>>,
    /// Guest memory in MiB.
    pub memory: Option<u32>,
    /// Virtual CPUs.
    pub cpus: Option<u32>,
    /// What `LD_LIBRARY_PATH` names.
    pub library_path: Vec<PathBuf>,
}

impl Draft {
    /// The architecture of its program; none if it names no ELF file.
    pub fn arch(&self) -> Result<Option<Arch>, Error> {
        let Some(program) = self.program()? else {
            return Ok(None);
        };
        elf_closure::arch(&program, &read(&program)?)
    }

    /// The file of its program; none if it has a text for a shell only.
    pub fn program(&self) -> Result<Option<PathBuf>, Error> {
        let Some(word) = self.words.first() else {
            return Ok(None);
        };
        let word = text(word)?;
        if let Some(root) = &self.root {
            // The root file system comes first, and has all programs without a path.
            let is_own = !word.contains('/') || root.start_of(Path::new(word), 1).is_some();
            if is_own || !Path::new(word).is_file() {
                return Ok(None);
            }
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = program_path::find(word, &path);
        let found = found.ok_or_else(|| Error::NoProgram(word.to_owned()))?;
        canonical(&found).map(Some)
    }

    /// The command as a planned artifact, for guests of `arch`. `busybox` is the guest's shell.
    pub fn plan(self, arch: Arch, busybox: Vec<u8>) -> Result<PlannedArtifact, Error> {
        let program = self.program()?;
        if self.words.is_empty() && self.shell.is_none() {
            return Err(Error::Nothing);
        }
        let mut files = Files::new(arch, self.library_path.clone());
        match &self.root {
            Some(root) => {
                check_arch(root, arch)?;
                files.is_bare = true;
            }
            None => files.own(BUSYBOX, busybox),
        }
        let mut environment = self.surroundings();
        let mut say = |names: [&str; 2], value: &str| {
            for name in names {
                environment
                    .entry(name.to_owned())
                    .or_insert_with(|| value.to_owned());
            }
        };
        let workdir = match &self.workdir {
            Some(dir) => dir.clone(),
            None => here(),
        };
        say(["UKCI_WORKDIR", "BPFCOMPAT_REMOTE_ROOT"], &workdir);
        if let Some(program) = &program {
            files.program(program)?;
            // The name by which it was called may be a link, which some programs look at.
            if let Some(word) = self
                .words
                .first()
                .filter(|w| text(w).is_ok_and(|w| w.starts_with('/')))
            {
                files.link(Path::new(word), program);
            }
            say(["UKCI_BIN", "BPFCOMPAT_BIN"], text(program.as_os_str())?);
        } else if let Some(word) = self.words.first() {
            say(["UKCI_BIN", "BPFCOMPAT_BIN"], text(word)?);
        }
        if let Some(object) = &self.artifact {
            let object = canonical(object)?;
            files.shared(&object, None)?;
            say(
                ["UKCI_ARTIFACT", "BPFCOMPAT_ARTIFACT"],
                text(object.as_os_str())?,
            );
        }
        for SharedFile { source, path } in &self.files {
            let at = match path {
                Some(path) => path.clone(),
                // Its own name, not that of what it may be a link to.
                None => {
                    text(std::path::absolute(source).unwrap_or_default().as_os_str())?.to_owned()
                }
            };
            files.shared(&canonical(source)?, Some(&at))?;
        }
        if let Some(Terminal { kind, .. }) = &self.terminal {
            environment
                .entry("TERM".into())
                .or_insert_with(|| kind.clone());
            if let Some(description) = terminfo::find(kind) {
                let at = text(description.as_os_str())?;
                files.shared(&canonical(&description)?, Some(at))?;
            }
        }
        let out = self.out.clone().unwrap_or_else(|| command::OUT.to_owned());
        environment.insert("UKCI_OUT".into(), out.clone());
        let stdin = match (&self.stdin, self.stdin_stream) {
            (Some(file), _) => files.stdin(file)?,
            (None, true) => Stdin::Stream,
            (None, false) => Stdin::Empty,
        };
        let words: Vec<String> = (self.words.iter())
            .map(|word| text(word).map(str::to_owned))
            .collect::<Result<_, _>>()?;
        let path = words.first().cloned().unwrap_or_else(|| "--shell".into());
        let named = program.clone().or_else(|| Some(words.first()?.into()));
        let named = named.as_deref().and_then(Path::file_name);
        let name = self.name.clone().unwrap_or_else(|| {
            named.map_or_else(
                || "shell".into(),
                |name| name.to_string_lossy().into_owned(),
            )
        });
        let (start, arguments) = match (&self.shell, &program) {
            (Some(shell), _) => {
                let head = ["sh", "-c", shell].map(str::to_owned);
                // Without words the shell's own name is `sh`.
                let own = words.is_empty().then(|| "sh".to_owned());
                let arguments = head.into_iter().chain(own).chain(words).collect();
                let shell = self.root.as_ref().map_or(BUSYBOX, |_| "/bin/sh");
                (shell.to_owned(), arguments)
            }
            (None, Some(program)) => (text(program.as_os_str())?.to_owned(), words),
            // It is a program of the root file system.
            (None, None) => (words.first().cloned().ok_or(Error::Nothing)?, words),
        };
        let command = Command {
            schema: command::SCHEMA.into(),
            name,
            program: start,
            arguments,
            environment,
            inherited: self.inherited,
            workdir,
            user: self.user,
            expected_status: self.expected_status,
            watched: self.watched,
            memory: self.memory.unwrap_or_else(|| memory(files.bytes)),
            files: files.made,
            stdin,
            terminal: self.terminal.map(|terminal| terminal.window),
            out,
            modules: self.modules,
            network: self.network,
            root: self.root.map(|image| image.root.clone()),
            cpus: self.cpus,
        };
        Ok(planned_with(&command, &path, files.companions, files.kept))
    }

    /// The environment that every command has.
    fn surroundings(&self) -> BTreeMap<String, String> {
        let mut environment: BTreeMap<String, String> = [
            ("PATH", PATH),
            ("HOME", "/root"),
            ("USER", "root"),
            ("LOGNAME", "root"),
            ("SHELL", "/bin/sh"),
            ("LANG", "C.UTF-8"),
            ("UKCI", "1"),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
        // Libraries lie where they were found: the guest's loader must look there too.
        if let Ok(path) = std::env::join_paths(&self.library_path)
            && let Some(path) = path.to_str().filter(|path| !path.is_empty())
        {
            environment.insert("LD_LIBRARY_PATH".into(), path.to_owned());
        }
        environment.extend(self.environment.clone());
        for name in &self.inherited {
            environment.remove(name);
        }
        environment
    }
}

/// A command that an earlier run wrote down, as a planned artifact. Its files are read and compared
/// with their digests when the cells are prepared.
pub fn planned(command: &Command, path: &str, busybox: Vec<u8>) -> PlannedArtifact {
    let mut kept = Kept::default();
    let sha256 = digest::of(&busybox);
    kept.put(&sha256, busybox);
    let mut companions = BTreeMap::new();
    let mut companion = |sha256: &str, source: &str| {
        let file = FileRef {
            path: source.into(),
            sha256: sha256.to_owned(),
        };
        companions.insert(sha256.to_owned(), file);
    };
    for file in &command.files {
        if let Content::Bytes { sha256, source, .. } = &file.content {
            companion(sha256, source);
        }
    }
    if let Stdin::File { sha256, source } = &command.stdin {
        companion(sha256, source);
    }
    planned_with(command, path, companions, kept)
}

fn planned_with(
    command: &Command,
    path: &str,
    companions: BTreeMap<String, FileRef>,
    mut kept: Kept,
) -> PlannedArtifact {
    // A structure of texts and numbers always has a form in JSON.
    let bytes = serde_json::to_vec_pretty(command).unwrap_or_default();
    let sha256 = digest::of(&bytes);
    let artifact = Artifact {
        name: command.name.clone(),
        path: path.to_owned(),
        sha256: sha256.clone(),
        size: bytes.len() as u64,
        form: Form::Command,
        manifest: None,
    };
    kept.put(&sha256, bytes);
    PlannedArtifact {
        artifact,
        file: FileRef {
            path: path.into(),
            sha256,
        },
        companions,
        kept,
    }
}

/// The guest's memory for files of so many bytes: they lie in it, and a file system in memory takes
/// at most half of it. Whole multiples of the least, so that commands of different sizes share a
/// saved guest.
fn memory(bytes: u64) -> u32 {
    let mib = u32::try_from(bytes.div_ceil(1024 * 1024)).unwrap_or(u32::MAX / 8);
    (256 + mib * 5 / 2).next_multiple_of(MEMORY)
}

/// The files of a command, as they are collected.
struct Files {
    arch: Arch,
    /// Whether programs come without what they need.
    is_bare: bool,
    library_path: Vec<PathBuf>,
    made: Vec<CommandFile>,
    paths: BTreeSet<String>,
    companions: BTreeMap<String, FileRef>,
    kept: Kept,
    bytes: u64,
}

impl Files {
    fn new(arch: Arch, library_path: Vec<PathBuf>) -> Self {
        Self {
            arch,
            is_bare: false,
            library_path,
            made: Vec::new(),
            paths: BTreeSet::new(),
            companions: BTreeMap::new(),
            kept: Kept::default(),
            bytes: 0,
        }
    }

    /// A program with everything that it needs.
    fn program(&mut self, path: &Path) -> Result<(), Error> {
        let bytes = read(path)?;
        if elf_closure::arch(path, &bytes)?.is_none() && script::interpreter(&bytes).is_none() {
            return Err(Error::NotRunnable {
                path: path.to_owned(),
                reason: "it is neither an ELF program nor a script with `#!`".into(),
            });
        }
        self.with_needs(path, text(path.as_os_str())?, bytes, 0o755)
    }

    /// Any file; with everything that it needs, if it is a program.
    fn shared(&mut self, source: &Path, at: Option<&str>) -> Result<(), Error> {
        let bytes = read(source)?;
        let mode = std::fs::metadata(source).map_or(0o644, |meta| meta.permissions().mode());
        let at = match at {
            Some(at) => at,
            None => text(source.as_os_str())?,
        };
        self.with_needs(source, at, bytes, mode & 0o777)
    }

    fn with_needs(
        &mut self,
        source: &Path,
        at: &str,
        bytes: Vec<u8>,
        mode: u32,
    ) -> Result<(), Error> {
        if self.is_bare {
            // Interpreters and libraries are those of the root file system.
        } else if let Some(interpreter) = script::interpreter(&bytes) {
            self.interpreter(interpreter)?;
        } else if let Some(other) = elf_closure::arch(source, &bytes)? {
            let arch = self.arch;
            if other != arch {
                let path = source.to_owned();
                return Err(Error::Mixed { path, other, arch });
            }
            let closure = elf_closure::of(source, &bytes, &self.library_path)?;
            for needed in closure.files {
                let path = text(needed.path.as_os_str())?.to_owned();
                self.bytes(&needed.path, &path, needed.bytes, 0o755);
            }
            for (link, target) in closure.links {
                self.link(&link, &target);
            }
        }
        self.bytes(source, at, bytes, mode);
        Ok(())
    }

    fn interpreter(&mut self, interpreter: Interpreter) -> Result<(), Error> {
        let path = match interpreter {
            // The guest's shell.
            Interpreter::Sh => return Ok(()),
            Interpreter::Path(path) => path,
            Interpreter::Name(name) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let found = program_path::find(&name, &path);
                found.ok_or(Error::NoProgram(name))?
            }
        };
        let real = canonical(&path)?;
        self.program(&real)?;
        self.link(&path, &real);
        Ok(())
    }

    fn stdin(&mut self, file: &Path) -> Result<Stdin, Error> {
        let source = canonical(file)?;
        let bytes = read(&source)?;
        let sha256 = digest::of(&bytes);
        let path = text(source.as_os_str())?.to_owned();
        self.keep(&sha256, &source, bytes);
        Ok(Stdin::File {
            sha256,
            source: path,
        })
    }

    /// A file that does not come from this host.
    fn own(&mut self, at: &str, bytes: Vec<u8>) {
        self.bytes(Path::new(BUSYBOX_SOURCE), at, bytes, 0o755);
    }

    fn bytes(&mut self, source: &Path, at: &str, bytes: Vec<u8>, mode: u32) {
        let at = plain(at);
        if !self.paths.insert(at.clone()) {
            return;
        }
        let sha256 = digest::of(&bytes);
        let size = bytes.len() as u64;
        self.bytes += size;
        self.keep(&sha256, source, bytes);
        self.made.push(CommandFile {
            path: at,
            content: Content::Bytes {
                sha256,
                size,
                mode,
                source: source.display().to_string(),
            },
        });
    }

    fn keep(&mut self, sha256: &str, source: &Path, bytes: Vec<u8>) {
        let file = FileRef {
            path: source.to_owned(),
            sha256: sha256.to_owned(),
        };
        self.companions.insert(sha256.to_owned(), file);
        self.kept.put(sha256, bytes);
    }

    fn link(&mut self, at: &Path, target: &Path) {
        let at = plain(&at.display().to_string());
        let target = target.display().to_string();
        if at != target && self.paths.insert(at.clone()) {
            self.made.push(CommandFile {
                path: at,
                content: Content::Link { target },
            });
        }
    }
}

/// Refuses a root file system for another architecture, as far as its shell tells.
fn check_arch(root: &Image, arch: Arch) -> Result<(), Error> {
    let Some(start) = root.start_of(Path::new("bin/sh"), 4096) else {
        return Ok(());
    };
    let path = PathBuf::from(&root.root.source);
    match elf_closure::arch(&path, &start)? {
        Some(other) if other != arch => Err(Error::Mixed { path, other, arch }),
        _ => Ok(()),
    }
}

/// An absolute path without `.`, `..` and empty parts, which is what a guest takes.
fn plain(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The current directory, or `/` where the guest has one of its own.
fn here() -> String {
    let here = std::env::current_dir().ok();
    let here = here.and_then(|dir| dir.to_str().map(str::to_owned));
    let taken = ["/proc", "/sys", "/dev"];
    here.filter(|dir| !taken.iter().any(|taken| Path::new(dir).starts_with(taken)))
        .unwrap_or_else(|| "/".into())
}

fn text(word: &std::ffi::OsStr) -> Result<&str, Error> {
    word.to_str()
        .ok_or_else(|| Error::NotText(word.to_string_lossy().into_owned()))
}

fn canonical(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |reason: &str| Error::NotRunnable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    input_file::read(path, FILE_LIMIT).map_err(|why| match why {
        Refused::NotAFile => refused("it is no regular file"),
        Refused::TooLarge { .. } => refused("it is larger than 2 GiB"),
        Refused::Io(source) => failed(source),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(draft: Draft) -> Command {
        let planned = draft.plan(Arch::X86_64, b"busybox".to_vec()).unwrap();
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
    fn what_cannot_run_is_refused_before_anything_boots() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("notes");
        std::fs::write(&file, "text").unwrap();
        let of = |word: &Path| {
            let draft = Draft {
                words: vec![word.into()],
                ..Draft::default()
            };
            draft.plan(Arch::X86_64, Vec::new()).unwrap_err()
        };
        assert!(matches!(of(&file), Error::NotRunnable { .. }));
        assert!(matches!(
            of(Path::new("no-such-program")),
            Error::NoProgram(_)
        ));
        assert!(matches!(of(&dir.path().join("x")), Error::NoProgram(_)));
        let nothing = Draft::default().plan(Arch::X86_64, Vec::new());
        assert!(matches!(nothing, Err(Error::Nothing)));
    }

    #[test]
    fn large_files_bring_the_memory_that_they_need() {
        assert_eq!(memory(1 << 20), MEMORY);
        assert_eq!(memory(200 << 20), 1024);
    }

    #[test]
    fn paths_are_made_plain() {
        assert_eq!(plain("/a/./b//../c"), "/a/c");
        assert_eq!(plain("x"), "/x");
        assert_eq!(plain("/../x"), "/x");
    }
}
