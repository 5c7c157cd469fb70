//! Finds the files that a dynamically linked program needs: its interpreter and its libraries, by
//! the rules of ld.so(8).
//!
//! The bytes of a program and its path go in, and the paths of files on this host come out. A
//! static program needs none. Libraries that a program opens by itself (`dlopen`) cannot be known,
//! except for those of the C library.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use ukci_schema::cell::Arch;

use super::draft::Error;
use crate::elf_dynamic::Dynamic;
use crate::input_file::{self, FILE_LIMIT, Refused};

/// What glibc opens by itself: name services before 2.34, and what ends a thread.
const OPENED_BY_GLIBC: &[&str] = &[
    "libnss_files.so.2",
    "libnss_dns.so.2",
    "libresolv.so.2",
    "libgcc_s.so.1",
];

/// A file that a program needs, under the path by which it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needed {
    /// The path.
    pub(super) path: PathBuf,
    /// The bytes that are there on this host.
    pub(super) bytes: Vec<u8>,
}

/// Everything that one program needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Closure {
    /// Its interpreter and its libraries.
    pub(super) files: Vec<Needed>,
    /// Links that stand for `/etc/ld.so.conf` of this host: path and target.
    pub(super) links: Vec<(PathBuf, PathBuf)>,
}

/// The architecture of an ELF program or library; none if it is no ELF file.
pub(crate) fn arch(path: &Path, bytes: &[u8]) -> Result<Option<Arch>, Error> {
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let other = |what: &str| Error::NotRunnable {
        path: path.to_owned(),
        reason: what.to_owned(),
    };
    let header =
        FileHeader64::<Endianness>::parse(bytes).map_err(|_| other("it is no 64-bit ELF file"))?;
    let endian = header
        .endian()
        .map_err(|_| other("its byte order is unknown"))?;
    match header.e_machine(endian) {
        elf::EM_X86_64 => Ok(Some(Arch::X86_64)),
        elf::EM_AARCH64 => Ok(Some(Arch::Aarch64)),
        elf::EM_RISCV => Ok(Some(Arch::Riscv64)),
        elf::EM_BPF | elf::EM_NONE => Ok(None),
        _ => Err(other("it is for an architecture that ukci does not know")),
    }
}

/// Why no kernel can start this ELF file, whose architecture is known; none if one can, or if it is no such
/// file. A shell would take a file that its kernel cannot start for a script.
pub(super) fn unfit(bytes: &[u8]) -> Option<&'static str> {
    const CUT_OFF: &str = "is only the beginning of a program";
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    match header.e_type(endian) {
        elf::ET_EXEC | elf::ET_DYN => {}
        elf::ET_REL => return Some("is an object file and no program"),
        elf::ET_CORE => return Some("is a core dump and no program"),
        _ => return Some("is an ELF file of an unknown kind and no program"),
    }
    let Ok(segments) = header.program_headers(endian, bytes) else {
        return Some(CUT_OFF);
    };
    let mut loaded = (segments.iter())
        .filter(|segment| segment.p_type(endian) == elf::PT_LOAD)
        .peekable();
    if loaded.peek().is_none() {
        return Some("is an ELF file without anything to load and no program");
    }
    let is_whole = loaded.all(|segment| segment.data(endian, bytes).is_ok());
    (!is_whole).then_some(CUT_OFF)
}

/// The files that `program` needs. `library_path` is what `LD_LIBRARY_PATH` names.
pub(super) fn of(program: &Path, bytes: &[u8], library_path: &[PathBuf]) -> Result<Closure, Error> {
    let Some(arch) = arch(program, bytes)? else {
        return Ok(Closure::default());
    };
    let dynamic = Dynamic::of(bytes);
    let mut search = Search {
        arch,
        library_path,
        configured: configured(Path::new("/etc/ld.so.conf"), 0),
        defaults: defaults(arch, dynamic.interpreter.as_deref()),
        found: BTreeMap::new(),
        order: Vec::new(),
        beyond: Vec::new(),
    };
    let mut closure = Closure::default();
    if let Some(interpreter) = &dynamic.interpreter {
        let bytes = read(interpreter).map_err(|refused| match refused {
            Refused::Io(error) if error.kind() == io::ErrorKind::NotFound => Error::NoInterpreter {
                program: program.to_owned(),
                interpreter: interpreter.display().to_string(),
                arch: Some(arch),
            },
            refused => Error::Read {
                path: interpreter.clone(),
                source: refused.into(),
            },
        })?;
        // What is no program is no business of a guest, such as a file of passwords.
        if self::arch(interpreter, &bytes)? != Some(arch) {
            return Err(Error::NotRunnable {
                path: program.to_owned(),
                reason: format!(
                    "its interpreter `{}` is not a program for {arch}",
                    interpreter.display()
                ),
            });
        }
        // The C library names it as a library: it is in memory already.
        if let Some(name) = interpreter.file_name().and_then(|name| name.to_str()) {
            search.found.insert(name.to_owned(), interpreter.clone());
        }
        closure.files.push(Needed {
            path: interpreter.clone(),
            bytes,
        });
    }
    search.all(program, dynamic)?;
    let libc = search.found.get("libc.so.6").cloned();
    if let Some(dir) = libc.as_deref().and_then(Path::parent) {
        for name in OPENED_BY_GLIBC {
            if !search.found.contains_key(*name) && dir.join(name).exists() {
                let wanted = Dynamic {
                    needed: vec![(*name).to_owned()],
                    ..Dynamic::default()
                };
                search.all(program, wanted)?;
            }
        }
        let links = search.beyond.iter().filter_map(|path| {
            let link = dir.join(path.file_name()?);
            Some((link, path.clone()))
        });
        closure.links = links.collect();
    }
    closure.files.extend(search.order);
    Ok(closure)
}

/// The search for libraries.
struct Search<'a> {
    arch: Arch,
    library_path: &'a [PathBuf],
    configured: Vec<PathBuf>,
    defaults: Vec<PathBuf>,
    /// By the name under which they are needed.
    found: BTreeMap<String, PathBuf>,
    order: Vec<Needed>,
    /// Those that only this host's configuration leads to.
    beyond: Vec<PathBuf>,
}

impl Search<'_> {
    /// Everything that a file needs, and what that needs.
    fn all(&mut self, file: &Path, dynamic: Dynamic) -> Result<(), Error> {
        let mut queue = VecDeque::from([(file.to_owned(), dynamic, Vec::<PathBuf>::new())]);
        while let Some((file, dynamic, inherited)) = queue.pop_front() {
            let origin = file.parent().unwrap_or(Path::new("/")).to_owned();
            let expand = |dirs: &[String]| -> Vec<PathBuf> {
                let dirs = dirs.iter();
                dirs.map(|dir| expanded(dir, &origin, self.arch)).collect()
            };
            let own = expand(&dynamic.rpath);
            let runpath = expand(&dynamic.runpath);
            // DT_RPATH is inherited, unless DT_RUNPATH is there; that is not inherited.
            let rpath: Vec<PathBuf> = if runpath.is_empty() {
                own.into_iter().chain(inherited).collect()
            } else {
                Vec::new()
            };
            for name in &dynamic.needed {
                if self.found.contains_key(name) {
                    continue;
                }
                let (path, bytes) =
                    self.one(name, &rpath, &runpath)
                        .ok_or_else(|| Error::NoLibrary {
                            program: file.clone(),
                            name: name.clone(),
                        })?;
                self.found.insert(name.clone(), path.clone());
                let dynamic = Dynamic::of(&bytes);
                self.order.push(Needed {
                    path: path.clone(),
                    bytes,
                });
                queue.push_back((path, dynamic, rpath.clone()));
            }
        }
        Ok(())
    }

    /// A library by the name under which it is needed.
    fn one(
        &mut self,
        name: &str,
        rpath: &[PathBuf],
        runpath: &[PathBuf],
    ) -> Option<(PathBuf, Vec<u8>)> {
        if name.contains('/') {
            return self.there(Path::new("/"), name);
        }
        let named = rpath.iter().chain(self.library_path).chain(runpath);
        let standard = self.defaults.iter();
        for dir in named.chain(standard) {
            if let Some(found) = self.there(dir, name) {
                return Some(found);
            }
        }
        let configured = self.configured.clone();
        let found = configured.iter().find_map(|dir| self.there(dir, name))?;
        self.beyond.push(found.0.clone());
        Some(found)
    }

    fn there(&self, dir: &Path, name: &str) -> Option<(PathBuf, Vec<u8>)> {
        let path = dir.join(name);
        let bytes = read(&path).ok()?;
        // One of another architecture is passed over, as ld.so does.
        let fits = arch(&path, &bytes).ok().flatten() == Some(self.arch);
        fits.then_some((path, bytes))
    }
}

/// A file that another one names. That name is as foreign as the file that it stands in.
fn read(path: &Path) -> Result<Vec<u8>, Refused> {
    input_file::read(path, FILE_LIMIT)
}

/// The triplet of a C library's directories.
fn triplet(arch: Arch, libc: &str) -> String {
    format!("{}-linux-{libc}", arch.name())
}

/// Where the interpreter looks without being told.
fn defaults(arch: Arch, interpreter: Option<&Path>) -> Vec<PathBuf> {
    let is_musl = interpreter.is_some_and(|path| path.to_string_lossy().contains("ld-musl"));
    let dirs = if is_musl {
        let triplet = triplet(arch, "musl");
        vec![
            format!("/lib/{triplet}"),
            format!("/usr/lib/{triplet}"),
            "/lib".into(),
            "/usr/local/lib".into(),
            "/usr/lib".into(),
        ]
    } else {
        let triplet = triplet(arch, "gnu");
        vec![
            format!("/lib/{triplet}"),
            format!("/usr/lib/{triplet}"),
            "/lib64".into(),
            "/usr/lib64".into(),
            "/lib".into(),
            "/usr/lib".into(),
        ]
    };
    dirs.into_iter().map(PathBuf::from).collect()
}

/// The directories that `/etc/ld.so.conf` names, with the files that it includes.
fn configured(file: &Path, depth: usize) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut dirs = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(pattern) = line.strip_prefix("include ") {
            // A file that includes itself ends somewhere.
            if depth < 4 {
                for included in matching(Path::new(pattern.trim())) {
                    dirs.extend(configured(&included, depth + 1));
                }
            }
        } else if line.starts_with('/') {
            dirs.push(line.into());
        }
    }
    dirs
}

/// The files of a pattern whose last part may have one `*`, in their order.
fn matching(pattern: &Path) -> BTreeSet<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    let Some((start, end)) = name.split_once('*') else {
        return BTreeSet::from([pattern.to_owned()]);
    };
    let dir = pattern.parent().unwrap_or(Path::new("/"));
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let files = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
    });
    files.map(|entry| entry.path()).collect()
}

/// A directory of `DT_RPATH` or `DT_RUNPATH` with its tokens replaced.
fn expanded(dir: &str, origin: &Path, arch: Arch) -> PathBuf {
    let origin = origin.to_string_lossy();
    let mut text = dir.to_owned();
    for (token, value) in [
        ("ORIGIN", &*origin),
        ("LIB", "lib"),
        ("PLATFORM", arch.name()),
    ] {
        text = text.replace(&format!("${{{token}}}"), value);
        text = text.replace(&format!("${token}"), value);
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever it is that runs this test, ld.so has found its libraries.
    #[test]
    fn the_closure_of_a_program_is_what_the_kernel_mapped_for_it() {
        let program = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&program).unwrap();
        let closure = of(&program, &bytes, &library_path()).unwrap();
        let names = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let found: Vec<String> = closure.files.iter().map(|file| names(&file.path)).collect();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mapped: BTreeSet<String> = (maps.lines())
            .filter_map(|line| Some(line.split_once('/')?.1))
            .filter(|path| path.contains(".so"))
            .map(|path| path.rsplit('/').next().unwrap().to_owned())
            .collect();
        assert!(!mapped.is_empty(), "a test is linked dynamically");
        for name in mapped {
            // A library's file is often named for its full version.
            let start = name.split(".so").next().unwrap();
            assert!(
                found.iter().any(|found| found.starts_with(start)),
                "{name} is not in {found:?}"
            );
        }
    }

    fn library_path() -> Vec<PathBuf> {
        let path = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        std::env::split_paths(&path).collect()
    }

    /// A program's own words say which files of the host are read.
    #[test]
    fn what_a_program_names_must_be_a_program_too() {
        let program = std::env::current_exe().unwrap();
        let bytes = std::fs::read(&program).unwrap();
        let real = Dynamic::of(&bytes).interpreter.unwrap();
        let real = real.to_str().unwrap();
        for named in ["/dev/zero", "/etc/passwd"] {
            let padded = format!("{named:\0<width$}", width = real.len());
            let hostile = replaced(&bytes, real, &padded);
            let error = of(&program, &hostile, &library_path()).unwrap_err();
            let is_refused = matches!(error, Error::Read { .. } | Error::NotRunnable { .. });
            assert!(is_refused, "{named}: {error}");
        }
        // These have as many letters.
        for named in ["/dev/zero", "/etc/motd"] {
            let hostile = replaced(&bytes, "libc.so.6", named);
            let error = of(&program, &hostile, &library_path()).unwrap_err();
            let is_refused = matches!(&error, Error::NoLibrary { name, .. } if name == named);
            assert!(is_refused, "{named}: {error}");
        }
    }

    fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes.to_vec();
        let from = [from.as_bytes(), b"\0"].concat();
        let find = |bytes: &[u8]| bytes.windows(from.len()).position(|part| part == from);
        let mut changed = 0;
        while let Some(at) = find(&bytes) {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            changed += 1;
        }
        assert!(changed > 0, "the test names none");
        bytes
    }

    #[test]
    fn tokens_of_a_search_path_are_replaced() {
        let of = |dir| expanded(dir, Path::new("/opt/x/bin"), Arch::X86_64);
        assert_eq!(of("$ORIGIN/../lib"), Path::new("/opt/x/bin/../lib"));
        assert_eq!(of("${ORIGIN}/$LIB"), Path::new("/opt/x/bin/lib"));
        assert_eq!(of("/usr/lib"), Path::new("/usr/lib"));
    }

    #[test]
    fn configuration_files_are_read_with_what_they_include() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let base = dir.path().display();
        std::fs::write(
            at("main.conf"),
            format!("include {base}/d/*.conf\n/a # x\n"),
        )
        .unwrap();
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(at("d/2.conf"), "/c\n").unwrap();
        std::fs::write(
            at("d/1.conf"),
            format!("# no\n/b\ninclude {base}/main.conf\n"),
        )
        .unwrap();
        std::fs::write(at("d/3.txt"), "/no\n").unwrap();
        let dirs = configured(&at("main.conf"), 3);
        assert_eq!(dirs, ["/b", "/c", "/a"].map(PathBuf::from));
    }

    #[test]
    fn only_whole_programs_can_be_started() {
        let program = std::env::current_exe().unwrap();
        let bytes = std::fs::read(program).unwrap();
        assert_eq!(unfit(&bytes), None);
        let of_type = |kind: u8| {
            let mut bytes = bytes.clone();
            bytes[16] = kind;
            unfit(&bytes).unwrap()
        };
        assert_eq!(of_type(1), "is an object file and no program");
        assert_eq!(of_type(4), "is a core dump and no program");
        for length in [70, 4096] {
            assert_eq!(
                unfit(&bytes[..length]),
                Some("is only the beginning of a program"),
                "{length}"
            );
        }
        // Their headers are all that is there.
        let mut without = bytes[..64].to_vec();
        without[0x20..0x28].fill(0);
        without[0x38..0x3a].fill(0);
        let nothing = "is an ELF file without anything to load and no program";
        assert_eq!(unfit(&without), Some(nothing));
        assert_eq!(unfit(b"#!/bin/sh"), None);
    }

    #[test]
    fn damage_anywhere_does_not_panic() {
        let program = std::env::current_exe().unwrap();
        let bytes = std::fs::read(program).unwrap();
        let header = &bytes[..bytes.len().min(4096)];
        for cut in 0..header.len() {
            Dynamic::of(&header[..cut]);
            unfit(&header[..cut]);
        }
        for at in 0..header.len() {
            let mut damaged = header.to_vec();
            damaged[at] ^= 0xff;
            Dynamic::of(&damaged);
            unfit(&damaged);
        }
    }
}
