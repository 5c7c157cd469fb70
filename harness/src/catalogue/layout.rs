//! Where the packages of each distribution have a kernel's image, configuration, symbols and modules.

use super::module;

/// The forms in which a package has a kernel's image, the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ImageForm {
    /// What a boot loader loads.
    Plain,
    /// The uncompressed file, for debuggers: SUSE has it beside the other.
    Vmlinux,
    /// A unified kernel image, with an initramfs and a command line that ukci has no use for.
    Unified,
}

/// What a file of a package is to a kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Image(ImageForm),
    Config,
    SystemMap,
    Builtin,
    Module(String),
}

/// What the file at `path` of a package is to the kernel `release`.
///
/// Debian up to 6.18, Ubuntu, SUSE up to Leap 15, Amazon and Azure Linux have the image, the
/// configuration and the symbols in `/boot`. Debian since 6.19 (the image since 7.2), RHEL, Fedora,
/// Oracle, Arch and Tumbleweed have them in `/lib/modules/<release>` or `/usr/lib/modules`. Alpine
/// has the image as `/boot/vmlinuz-lts`, whatever its release.
pub(crate) fn place(path: &str, release: &str) -> Option<Place> {
    if let Some(file) = path.strip_prefix("boot/") {
        if let Some(kind) = file.strip_suffix(release) {
            return match kind {
                // On riscv64, Debian's `vmlinux-` is the one that boots.
                "vmlinuz-" | "vmlinux-" | "Image-" => Some(Place::Image(ImageForm::Plain)),
                "config-" => Some(Place::Config),
                "System.map-" => Some(Place::SystemMap),
                _ => None,
            };
        }
        let flavor = file.strip_prefix("vmlinuz-");
        let is_flavor = |flavor: &str| {
            let rest = release.strip_suffix(flavor);
            rest.is_some_and(|rest| rest.ends_with('-'))
        };
        if flavor.is_some_and(is_flavor) {
            return Some(Place::Image(ImageForm::Plain));
        }
        let file = without_compression(file).strip_suffix(release)?;
        return (file == "vmlinux-").then_some(Place::Image(ImageForm::Vmlinux));
    }
    let path = path.strip_prefix("usr/").unwrap_or(path);
    let file = path
        .strip_prefix("lib/modules/")?
        .strip_prefix(release)?
        .strip_prefix('/')?;
    match file {
        "vmlinuz" | "Image" => Some(Place::Image(ImageForm::Plain)),
        "vmlinuz-virt.efi" => Some(Place::Image(ImageForm::Unified)),
        "config" => Some(Place::Config),
        "System.map" => Some(Place::SystemMap),
        "modules.builtin" => Some(Place::Builtin),
        _ if without_compression(file) == "vmlinux" => Some(Place::Image(ImageForm::Vmlinux)),
        _ => module::name_of(file).map(Place::Module),
    }
}

fn without_compression(file: &str) -> &str {
    let endings = [".gz", ".xz", ".zst", ".bz2"];
    let stem = endings.iter().find_map(|ending| file.strip_suffix(ending));
    stem.unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_of_every_distribution_is_known() {
        let image = |form| Some(Place::Image(form));
        let module = |name: &str| Some(Place::Module(name.to_owned()));
        for (release, path, expected) in [
            // Debian 13, Debian sid, Ubuntu.
            (
                "6.12.1-amd64",
                "boot/vmlinuz-6.12.1-amd64",
                image(ImageForm::Plain),
            ),
            (
                "7.2-amd64",
                "usr/lib/modules/7.2-amd64/vmlinuz",
                image(ImageForm::Plain),
            ),
            (
                "6.8.0-45-generic",
                "boot/config-6.8.0-45-generic",
                Some(Place::Config),
            ),
            (
                "6.8.0-45-generic",
                "lib/modules/6.8.0-45-generic/kernel/drivers/a.ko.zst",
                module("a"),
            ),
            // RHEL, Oracle.
            (
                "5.14.0-446.el9.x86_64",
                "lib/modules/5.14.0-446.el9.x86_64/vmlinuz",
                image(ImageForm::Plain),
            ),
            (
                "5.14.0-446.el9.x86_64",
                "lib/modules/5.14.0-446.el9.x86_64/config",
                Some(Place::Config),
            ),
            (
                "5.14.0-446.el9.x86_64",
                "lib/modules/5.14.0-446.el9.x86_64/.vmlinuz.hmac",
                None,
            ),
            (
                "5.14.0-446.el9.x86_64",
                "lib/modules/5.14.0-446.el9.x86_64/vmlinuz-virt.efi",
                image(ImageForm::Unified),
            ),
            // Tumbleweed, Leap 15.
            (
                "6.18.7-1-default",
                "usr/lib/modules/6.18.7-1-default/vmlinux.xz",
                image(ImageForm::Vmlinux),
            ),
            (
                "6.18.7-1-default",
                "usr/lib/modules/6.18.7-1-default/Image",
                image(ImageForm::Plain),
            ),
            (
                "6.4.0-1-default",
                "boot/vmlinux-6.4.0-1-default.gz",
                image(ImageForm::Vmlinux),
            ),
            ("6.4.0-1-default", "boot/symvers-6.4.0-1-default.gz", None),
            // Alpine. Another flavor's image in the same package would not be this kernel's.
            ("6.18.32-0-lts", "boot/vmlinuz-lts", image(ImageForm::Plain)),
            ("6.18.32-0-lts", "boot/vmlinuz-virt", None),
            ("6.18.32-0-lts", "boot/vmlinuz-", None),
            (
                "6.18.32-0-lts",
                "lib/modules/6.18.32-0-lts/kernel/a-b.ko.gz",
                module("a_b"),
            ),
            // Another kernel's.
            ("6.1.0", "lib/modules/6.1.0-1/vmlinuz", None),
            ("6.1.0", "boot/vmlinuz-6.1.0-1", None),
        ] {
            assert_eq!(place(path, release), expected, "{path}");
        }
    }
}
