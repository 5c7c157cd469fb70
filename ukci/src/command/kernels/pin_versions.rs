//! `ukci kernels update --history`: pin the older versions that Debian's mirrors still have.

use std::collections::BTreeSet;

use ukci_harness::package_version;
use ukci_harness::render::harmless;
use ukci_pin::{Archives, Error};
use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel};

use super::change_log;
use crate::args::Update;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::lock_file;
use crate::output::{BAD, GOOD, Output, label};
use crate::text::{count, text};

/// Puts every version of the named kernels that the mirrors have into the history of the lock, except
/// what is newer than the present pin: only `ukci kernels update` replaces that.
pub(super) fn run(update: &Update, output: Output) -> Result<Exit, Failure> {
    let path = &update.lock.lock;
    let mut lock = lock_file::read(path)?;
    let archives = Archives::of_host();
    let wanted = wanted(&update.names, &update.arch, &lock);
    let (mut failed, mut changes): (Vec<(String, Error)>, Vec<String>) = (Vec::new(), Vec::new());
    for (name, arch) in &wanted {
        let known = lock.kernel(name, *arch).cloned();
        match archives.pin_versions(name, *arch, known.as_ref()) {
            Ok(pins) => {
                let new = put(&mut lock, known.as_ref(), pins);
                if output.chatty {
                    let versions = count(new.len(), "older version");
                    let (word, name) = (label(GOOD, "Pinned"), harmless(name));
                    output.say(&text!("{} {} of {} for {}", word, versions, name, arch));
                }
                changes.extend(line(name, *arch, &new));
            }
            Err(error) => {
                if output.chatty {
                    output.say(&text!(
                        "{} {} for {}",
                        label(BAD, "Failed"),
                        harmless(name),
                        arch
                    ));
                }
                failed.push((format!("`{name}` for {arch}"), error));
            }
        }
    }
    lock_file::write(path, &lock)?;
    change_log::add(&path.with_file_name(change_log::FILE), &changes)?;
    let Some((_, first)) = failed.first() else {
        return Ok(Exit::Met);
    };
    let reasons: Vec<String> = (failed.iter())
        .map(|(kernel, error)| format!("  {kernel}: {error}"))
        .collect();
    let message = format!(
        "{} of {} kernels could not be pinned; the others were written\n{}",
        failed.len(),
        wanted.len(),
        reasons.join("\n")
    );
    Err(Failure::says(Exit::NoVerdict, &message, first.hint()))
}

/// The kernels of Debian that are named, for these architectures. Without architectures, each is for
/// those that the lock has ever had it for, or for `x86_64`. Without names, they are all that the lock
/// has ever had.
fn wanted(names: &[String], arches: &[Arch], lock: &Lock) -> BTreeSet<(String, Arch)> {
    let known: BTreeSet<(String, Arch)> = (lock.kernels.iter().chain(&lock.history))
        .filter(|kernel| kernel.distro == "debian")
        .map(|kernel| (kernel.name.clone(), kernel.arch))
        .collect();
    let is_of = |arch: Arch| arches.is_empty() || arches.contains(&arch);
    if names.is_empty() {
        return known.into_iter().filter(|(_, arch)| is_of(*arch)).collect();
    }
    let mut wanted = BTreeSet::new();
    for name in names {
        let mut of: Vec<Arch> = arches.to_vec();
        if of.is_empty() {
            let known = known.iter().filter(|(known, _)| known == name);
            of.extend(known.map(|(_, arch)| *arch));
        }
        if of.is_empty() {
            of.push(Arch::X86_64);
        }
        wanted.extend(of.into_iter().map(|arch| (name.clone(), arch)));
    }
    wanted
}

/// Puts versions into the history of the lock. Returns those that it did not have.
fn put(lock: &mut Lock, known: Option<&LockedKernel>, pins: Vec<LockedKernel>) -> Vec<String> {
    let mut new = Vec::new();
    for pin in pins {
        // What has only old versions stays without a present one.
        let is_old = known.is_none_or(|known| package_version::is_older(&pin, known));
        let version = pin.version().to_owned();
        if is_old && lock.retire(pin) {
            new.push(version);
        }
    }
    new
}

/// The line of the change log for the new versions of a kernel, which are sorted.
fn line(name: &str, arch: Arch, new: &[String]) -> Option<String> {
    let versions = match new {
        [] => return None,
        [one] => format!("the older version `{one}`"),
        [first, .., last] => {
            format!("{} older versions, from `{first}` to `{last}`", new.len())
        }
    };
    Some(format!("`{name}` on {arch}: {versions}, into the history"))
}

#[cfg(test)]
mod tests {
    use ukci_schema::lock::{Role, Verified};

    use super::*;

    fn version(of: &LockedKernel, version: &str, roles: &[Role]) -> LockedKernel {
        let mut kernel = of.clone();
        kernel.packages.truncate(1);
        kernel.packages[0].version = version.to_owned();
        kernel.packages[0].sha256 = ukci_harness::catalogue::digest::of(version.as_bytes());
        kernel.packages[0].roles = roles.to_vec();
        kernel.verified = Verified::Metadata;
        kernel
    }

    #[test]
    fn older_versions_are_history_and_the_present_pin_stays() {
        let mut lock = lock_file::lock().unwrap();
        let name = "debian-12-6.1-cloud";
        let known = lock.kernel(name, Arch::X86_64).unwrap().clone();
        let whole = [Role::Image, Role::Modules, Role::Config];
        let pins = || {
            vec![
                version(&known, "6.1.1-1", &whole),
                version(&known, "6.1.2-1", &[Role::Image]),
                known.clone(),
                version(&known, "6.1.900-1", &whole),
            ]
        };
        let new = put(&mut lock, Some(&known), pins());
        assert_eq!(new, ["6.1.1-1", "6.1.2-1"]);
        assert_eq!(lock.kernel(name, Arch::X86_64), Some(&known));
        for version in &new {
            let old = lock.kernel(&format!("{name}@{version}"), Arch::X86_64);
            assert_eq!(old.unwrap().version(), version);
        }
        // Once more, and nothing is new.
        assert_eq!(put(&mut lock, Some(&known), pins()), [""; 0]);
        assert_eq!(line(name, Arch::X86_64, &[]), None);
        assert_eq!(
            line(name, Arch::X86_64, &new).unwrap(),
            "`debian-12-6.1-cloud` on x86_64: 2 older versions, from `6.1.1-1` to `6.1.2-1`, into the \
             history"
        );
    }

    #[test]
    fn a_kernel_is_wanted_for_the_architectures_that_are_named_or_known() {
        let lock = lock_file::lock().unwrap();
        let of = |names: &[&str], arches: &[Arch]| -> Vec<(String, Arch)> {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            wanted(&names, arches, &lock).into_iter().collect()
        };
        let is = |arches: &[Arch], of: &[(String, Arch)]| {
            let found: Vec<Arch> = of.iter().map(|(_, arch)| *arch).collect();
            assert_eq!(found, arches);
        };
        is(&[Arch::X86_64], &of(&["debian-13-9.9-cloud"], &[]));
        is(
            &[Arch::X86_64, Arch::Aarch64],
            &of(&["debian-12-6.1-cloud"], &[]),
        );
        let unknown = of(&["debian-13-9.9-cloud"], &[Arch::Aarch64, Arch::Riscv64]);
        is(&[Arch::Aarch64, Arch::Riscv64], &unknown);
        let riscv = of(&[], &[Arch::Riscv64]);
        assert!(!riscv.is_empty() && riscv.iter().all(|(_, arch)| *arch == Arch::Riscv64));
    }

    #[test]
    fn a_signed_pin_replaces_one_of_the_same_packages_that_nobody_has_verified() {
        let mut lock = lock_file::lock().unwrap();
        let known = lock.kernel("debian-12-6.1", Arch::X86_64).unwrap().clone();
        let signed = version(&known, "6.1.3-1", &[Role::Image]);
        let mut copied = signed.clone();
        copied.verified = Verified::Never;
        assert!(lock.retire(copied.clone()));
        assert!(lock.retire(signed.clone()));
        assert!(!lock.retire(copied));
        assert_eq!(
            lock.kernel("debian-12-6.1@6.1.3-1", Arch::X86_64),
            Some(&signed)
        );
    }
}
