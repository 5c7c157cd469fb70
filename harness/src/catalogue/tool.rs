//! Unpacks programs for guests from their packages, and keeps them unpacked: a shell, and tools with
//! their libraries.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use tar::{Archive, Builder, Header};
use ukci_schema::cell::Arch;
use ukci_schema::lock::LockedTool;

use super::error::Error;
use super::fetch::Fetcher;
use super::{Catalogue, Progress, checked_file, digest, package};
use crate::elf_dynamic::Dynamic;

/// A program for guests and the libraries that it needs, by their file names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// The name of its interpreter among the files; none if it is statically linked.
    pub interpreter: Option<String>,
    /// The bytes of the program and of its libraries.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Catalogue {
    /// The bytes of a locked program that needs no libraries, fetched if need be. Blocking.
    pub fn program(
        &self,
        name: &str,
        arch: Arch,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Vec<u8>, Error> {
        let mut tool = self.tool(name, arch, progress)?;
        Ok(tool.files.remove(name).unwrap_or_default())
    }

    /// A locked program with its libraries, fetched if need be. Blocking.
    pub fn tool(
        &self,
        name: &str,
        arch: Arch,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Tool, Error> {
        let tool = self.lock.tool(name, arch).ok_or_else(|| Error::NoTool {
            name: name.to_owned(),
            arch,
            known: (self.lock.tools.iter())
                .filter(|tool| tool.arch == arch)
                .map(|tool| format!("`{}`", tool.name))
                .collect(),
        })?;
        let kept = self.kept_at(tool);
        if checked_file::is_whole(&kept)
            && let Some(files) = fs::read(&kept).ok().and_then(|bytes| read(name, bytes))
        {
            return Ok(Tool::of(name, files));
        }
        let fetcher = Fetcher::new(&self.store, &self.mirrors);
        let mut libraries = BTreeMap::new();
        let mut program = None;
        for package in [&tool.package].into_iter().chain(&tool.libraries) {
            let (path, _) = fetcher.fetch(package, &tool.provenance.date, progress)?;
            let is_its_own = package == &tool.package;
            package::walk(&path, &mut |file, size, from| {
                let (dir, last) = file.rsplit_once('/').unwrap_or(("", file));
                if is_its_own && last == name && dir.ends_with("bin") {
                    program = Some(package::read_file(&path, file, size, from)?);
                } else if !is_its_own && last.contains(".so") {
                    let bytes = package::read_file(&path, file, size, from)?;
                    if let Some(soname) = Dynamic::of(&bytes).soname {
                        libraries.entry(soname).or_insert(bytes);
                    }
                }
                Ok(())
            })?;
            if is_its_own && program.is_none() {
                return Err(Error::Package {
                    path,
                    reason: format!("it holds no program `{name}`"),
                });
            }
        }
        let files = closure(name, program.unwrap_or_default(), libraries).map_err(|missing| {
            Error::NoLibrary {
                name: name.to_owned(),
                missing,
            }
        })?;
        let written = fs::create_dir_all(kept.parent().unwrap_or(&kept))
            .and_then(|()| checked_file::write(&kept, &[&archive(name, &files)?]));
        if let Err(error) = written {
            // A cache that cannot be written may still have the package.
            tracing::debug!(path = %kept.display(), %error, "not kept");
        }
        Ok(Tool::of(name, files))
    }

    /// Where a program is that [`program`](Self::program) kept; `None` if the cache could not be
    /// written.
    pub(crate) fn kept_tool(&self, name: &str, arch: Arch) -> Option<PathBuf> {
        let kept = self.kept_at(self.lock.tool(name, arch)?);
        checked_file::is_whole(&kept).then_some(kept)
    }

    /// By the digests of all its packages. A static program is kept as it is, and others in an archive.
    fn kept_at(&self, tool: &LockedTool) -> PathBuf {
        if tool.libraries.is_empty() {
            return self.store.program(&tool.name, &tool.package.sha256);
        }
        let mut key = digest::Hasher::default();
        for package in [&tool.package].into_iter().chain(&tool.libraries) {
            key.field(package.sha256.as_bytes());
        }
        self.store.program(&tool.name, &key.finish())
    }
}

impl Tool {
    fn of(name: &str, files: BTreeMap<String, Vec<u8>>) -> Self {
        let interpreter = files.get(name).map(|bytes| Dynamic::of(bytes).interpreter);
        Self {
            name: name.to_owned(),
            interpreter: interpreter.flatten().and_then(|path| file_name(&path)),
            files,
        }
    }
}

fn file_name(path: &Path) -> Option<String> {
    path.file_name()?.to_str().map(str::to_owned)
}

/// The program and those of the libraries that it needs, or the name of one that is missing.
fn closure(
    name: &str,
    program: Vec<u8>,
    mut libraries: BTreeMap<String, Vec<u8>>,
) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut files = BTreeMap::new();
    let mut left = vec![(name.to_owned(), program)];
    while let Some((name, bytes)) = left.pop() {
        let dynamic = Dynamic::of(&bytes);
        let interpreter = dynamic.interpreter.as_deref().and_then(file_name);
        files.insert(name, bytes);
        for needed in dynamic.needed.into_iter().chain(interpreter) {
            let is_there =
                files.contains_key(&needed) || left.iter().any(|(name, _)| *name == needed);
            if !is_there {
                let bytes = libraries.remove(&needed).ok_or_else(|| needed.clone())?;
                left.push((needed, bytes));
            }
        }
    }
    Ok(files)
}

/// What is kept of a program: itself, or an archive with its libraries.
fn archive(name: &str, files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<Vec<u8>> {
    if let (Some(program), 1) = (files.get(name), files.len()) {
        return Ok(program.clone());
    }
    let mut archive = Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        archive.append_data(&mut header, name, bytes.as_slice())?;
    }
    archive.into_inner()
}

/// What was kept, if it can be read.
fn read(name: &str, bytes: Vec<u8>) -> Option<BTreeMap<String, Vec<u8>>> {
    if bytes.starts_with(b"\x7fELF") {
        return Some([(name.to_owned(), bytes)].into());
    }
    let mut files = BTreeMap::new();
    for entry in Archive::new(bytes.as_slice()).entries().ok()? {
        let mut entry = entry.ok()?;
        let name = entry.path().ok()?.to_str()?.to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).ok()?;
        files.insert(name, bytes);
    }
    files.contains_key(name).then_some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test's own program is linked dynamically, and the libraries are those of this host.
    #[test]
    fn a_program_has_the_libraries_that_it_needs_and_no_others() {
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mapped = maps
            .lines()
            .filter_map(|line| Some(&line[line.find('/')?..]));
        let mut libraries: BTreeMap<String, Vec<u8>> = mapped
            .filter_map(|path| {
                let bytes = fs::read(path).ok()?;
                Some((Dynamic::of(&bytes).soname?, bytes))
            })
            .collect();
        assert!(
            libraries.contains_key("libc.so.6"),
            "{:?}",
            libraries.keys()
        );
        libraries.insert("libother.so".to_owned(), vec![0]);
        let files = closure("x", program.clone(), libraries.clone()).unwrap();
        assert!(files.contains_key("libc.so.6") && !files.contains_key("libother.so"));
        let tool = Tool::of("x", files.clone());
        let interpreter = tool.interpreter.unwrap();
        assert!(files.contains_key(&interpreter), "{interpreter}");
        assert_eq!(read("x", archive("x", &files).unwrap()), Some(files));
        libraries.remove("libc.so.6");
        assert_eq!(
            closure("x", program.clone(), libraries),
            Err("libc.so.6".to_owned())
        );

        let alone: BTreeMap<_, _> = [("x".to_owned(), program.clone())].into();
        assert_eq!(archive("x", &alone).unwrap(), program);
        assert_eq!(read("x", program), Some(alone));
        assert_eq!(read("x", b"damaged".to_vec()), None);
    }
}
