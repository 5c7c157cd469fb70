//! Puts a command together: a person's words go in, and a planned artifact comes out, which has
//! every file that the guest needs by its digest.

mod error;
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::cell::Arch;
use ukci_schema::command::{self, BUSYBOX, Command, CommandFile, Content, Stdin, User, WindowSize};
use ukci_schema::plan::{FileRef, Kept, PlannedArtifact};
use ukci_schema::userland::Network;

pub use self::error::Error;
use self::files::{Files, canonical, read, text};
use super::account::Account;
use super::{elf_closure, program_path, terminfo, tool_files};
use crate::arch;
use crate::catalogue::{Tool, digest};
use crate::rootfs::Image;

/// Guest memory of a command whose files are small, in MiB. An object's guest runs nothing but the
/// agent; a program brings its own needs.
const MEMORY: u32 = 512;

/// What the guest looks programs up in.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

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
    /// Whether it runs in the root file system of this host.
    pub host_root: bool,
    /// The names of programs of the lock that it finds in `PATH`.
    pub tools: Vec<String>,
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

    /// The architecture of its program, which must be that of every guest; none if it names no ELF file.
    pub fn arch_for(&self, guests: &[Arch]) -> Result<Option<Arch>, Error> {
        let Some(arch) = self.arch()? else {
            return Ok(None);
        };
        match guests.iter().find(|guest| **guest != arch) {
            Some(guest) => Err(Error::OtherGuest {
                program: (self.words.first())
                    .map(|word| word.to_string_lossy().into_owned())
                    .unwrap_or_default(),
                arch,
                guest: *guest,
            }),
            None => Ok(Some(arch)),
        }
    }

    /// The file of its program; none if it has a text for a shell only.
    pub fn program(&self) -> Result<Option<PathBuf>, Error> {
        let Some(word) = self.words.first() else {
            return Ok(None);
        };
        let word = text(word)?;
        if word.is_empty() {
            return Err(Error::Nothing);
        }
        if self.host_root && !word.contains('/') {
            return Ok(None);
        }
        if let Some(root) = &self.root {
            // The root file system comes first, and has all programs without a path.
            let is_own = !word.contains('/') || root.start_of(Path::new(word), 1).is_some();
            if is_own || !Path::new(word).is_file() {
                return Ok(None);
            }
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = program_path::find(word, &path);
        let is_path = word.contains('/') || [".", ".."].contains(&word);
        let found = found.ok_or_else(|| {
            if is_path && Path::new(word).is_dir() {
                Error::Directory(word.to_owned())
            } else {
                Error::NoProgram(word.to_owned())
            }
        })?;
        let found = canonical(&found)?;
        if program_path::is_executable(&found) {
            Ok(Some(found))
        } else {
            Err(Error::NotExecutable(found))
        }
    }

    /// The command as a planned artifact, for guests of `arch`. `busybox` is the guest's shell, and
    /// `tools` are the programs of the lock that [its tools](Self::tools) name.
    pub fn plan(
        self,
        arch: Arch,
        busybox: Vec<u8>,
        tools: &[Tool],
    ) -> Result<PlannedArtifact, Error> {
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
            None if self.host_root => {
                check_host(arch)?;
                files.is_bare = true;
            }
            None => files.own("busybox", BUSYBOX, busybox)?,
        }
        files.tools(tools)?;
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
        files.all_shared(&self.files)?;
        if let Some(Terminal { kind, .. }) = &self.terminal {
            environment
                .entry("TERM".into())
                .or_insert_with(|| kind.clone());
            if let Some(description) = terminfo::find(kind) {
                let at = text(description.as_os_str())?;
                files.shared(&canonical(&description)?, Some(at))?;
            }
        }
        // A variable of the command may name another directory.
        let named = environment
            .get("UKCI_OUT")
            .filter(|dir| dir.starts_with('/'));
        let out = self.out.as_ref().or(named).cloned();
        let out = out.unwrap_or_else(|| command::OUT.to_owned());
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
                let has_root = self.host_root || self.root.is_some();
                let shell = if has_root { "/bin/sh" } else { BUSYBOX };
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
            host_root: self.host_root,
            cpus: self.cpus,
        };
        Ok(planned_with(&command, &path, files.companions, files.kept))
    }

    /// The text of `/etc/passwd` that the guest will have.
    fn passwd(&self) -> String {
        const PASSWD: &str = "/etc/passwd";
        let sent = self.files.iter().find(|file| match &file.path {
            Some(path) => path == PASSWD,
            None => file.source == Path::new(PASSWD),
        });
        let bytes = match (sent, &self.root) {
            (Some(file), _) => std::fs::read(&file.source).ok(),
            (None, Some(root)) => root.start_of(Path::new("etc/passwd"), 1 << 20),
            (None, None) if self.host_root => std::fs::read(PASSWD).ok(),
            // The agent's own.
            (None, None) => Some(b"nobody:x:65534:65534:nobody:/nonexistent:/bin/false".into()),
        };
        String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
    }

    /// The environment that every command has.
    fn surroundings(&self) -> BTreeMap<String, String> {
        let Account { name, home } = match self.user {
            Some(user) if user.uid != 0 => Account::of(user.uid, &self.passwd()),
            _ => Account::root(),
        };
        let mut environment: BTreeMap<String, String> = [
            ("PATH", PATH),
            ("HOME", &*home),
            ("USER", &*name),
            ("LOGNAME", &*name),
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

/// Programs of the lock and files for a guest of `arch` whose person types commands: each file with what it needs, if it is a
/// program, unless the guest has a root file system of its own (`is_bare`).
pub fn sent(
    shared: &[SharedFile],
    tools: &[Tool],
    arch: Arch,
    library_path: Vec<PathBuf>,
    is_bare: bool,
) -> Result<(Vec<CommandFile>, Kept), Error> {
    let mut files = Files::new(arch, library_path);
    files.is_bare = is_bare;
    files.tools(tools)?;
    files.all_shared(shared)?;
    Ok((files.made, files.kept))
}

/// A command that an earlier run wrote down, as a planned artifact. Its files are read and compared
/// with their digests when the cells are prepared.
pub fn planned(command: &Command, path: &str, busybox: Vec<u8>, tools: &[Tool]) -> PlannedArtifact {
    let mut kept = Kept::default();
    let of_tools = tools.iter().flat_map(tool_files::files);
    for bytes in of_tools.map(|(_, bytes)| bytes).chain([busybox]) {
        kept.put(&digest::of(&bytes), bytes);
    }
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

/// Refuses to share this host's files with a guest of another architecture, which could run none of its
/// programs.
pub fn check_host(arch: Arch) -> Result<(), Error> {
    match arch::host() {
        Some(host) if host == arch => Ok(()),
        _ => Err(Error::OtherHost(arch)),
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

/// The current directory, or `/` where the guest has one of its own.
fn here() -> String {
    let here = std::env::current_dir().ok();
    let here = here.and_then(|dir| dir.to_str().map(str::to_owned));
    let taken = ["/proc", "/sys", "/dev"];
    here.filter(|dir| !taken.iter().any(|taken| Path::new(dir).starts_with(taken)))
        .unwrap_or_else(|| "/".into())
}

#[cfg(test)]
mod tests;
