//! What becomes of boot files that a power cut or a bad disk has damaged.

use std::path::PathBuf;

use super::*;
use crate::cache;
use crate::catalogue::checked_file;

/// The files of the only entry, without records.
fn files(cache: &Path) -> Vec<PathBuf> {
    let entry = fs::read_dir(cache.join("store"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let files = fs::read_dir(entry.path())
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|path| {
            path.extension()
                .is_none_or(|end| end != checked_file::SUFFIX)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_damaged_file_of_a_kernel_is_noticed_and_made_again() {
    let (dir, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(dir.path(), &[&mirror]);
    prepare(&catalogue, &kernel).unwrap();
    let files = files(dir.path());
    assert!(files.len() >= 4, "{files:?}");
    for file in &files {
        let whole = fs::read(file).unwrap();
        let mut altered = whole.clone();
        altered[whole.len() / 2] ^= 1;
        for damaged in [&whole[..whole.len() / 2], &altered, &[]] {
            // As it happens: without a new file, and without a new name.
            fs::write(file, damaged).unwrap();
            assert!(!catalogue.is_prepared(&kernel), "{}", file.display());
            prepare(&catalogue, &kernel).unwrap();
            assert!(fs::read(file).unwrap() == whole, "{}", file.display());
            assert!(catalogue.is_prepared(&kernel));
        }
        // The record alone is not what is used: it is written again.
        fs::write(checked_file::record_of(file), "{").unwrap();
        prepare(&catalogue, &kernel).unwrap();
        assert!(catalogue.is_prepared(&kernel));
    }
    assert_eq!(mirror.requests().len(), 1, "from the package");
}

#[test]
fn entries_without_records_are_read_and_then_recorded() {
    let (dir, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(dir.path(), &[&mirror]);
    prepare(&catalogue, &kernel).unwrap();
    let files = files(dir.path());
    for file in &files {
        fs::remove_file(checked_file::record_of(file)).unwrap();
    }
    assert!(catalogue.is_prepared(&kernel));
    let image = files.iter().find(|file| file.ends_with("vmlinux")).unwrap();
    assert!(checked_file::record_of(image).exists());
}

#[test]
fn a_look_at_all_files_finds_what_the_shortcut_does_not() {
    let (dir, package, kernel) = setup();
    let mirror = Mirror::new([pool(&kernel, Reply::File(package))]);
    let catalogue = catalogue(dir.path(), &[&mirror]);
    prepare(&catalogue, &kernel).unwrap();
    let mut read = Vec::new();
    let (damaged, compared) =
        cache::verify(dir.path(), &mut |done, total| read.push((done, total)));
    assert!(damaged.is_empty() && compared >= 5, "{compared}");
    assert!(
        read.last()
            .is_some_and(|(done, total)| done == total && *total > 0)
    );

    let package = catalogue.package(&kernel.packages[0]);
    let image = files(dir.path())
        .into_iter()
        .find(|file| file.ends_with("vmlinux"))
        .unwrap();
    for file in [&package, &image] {
        let time = fs::metadata(file).unwrap().modified().unwrap();
        let open = fs::File::options().write(true).open(file).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&open, b"rot", 100).unwrap();
        open.set_modified(time).unwrap();
    }
    assert!(
        catalogue.is_prepared(&kernel),
        "by its size, inode and time"
    );
    let (damaged, _) = cache::verify(dir.path(), &mut |_, _| {});
    let names: Vec<&PathBuf> = damaged.iter().map(|damage| &damage.file).collect();
    assert_eq!(names, [&package, &image]);
    for damage in &damaged {
        cache::discard(damage).unwrap();
    }
    assert!(!catalogue.is_prepared(&kernel));
    prepare(&catalogue, &kernel).unwrap();
    let (damaged, _) = cache::verify(dir.path(), &mut |_, _| {});
    assert!(damaged.is_empty());
    assert_eq!(mirror.requests().len(), 2);
}
