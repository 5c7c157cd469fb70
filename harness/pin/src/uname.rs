//! `uname -r` of a kernel, from the version of its package.

/// Fills a layout's pattern in:
///
/// - `{version}` and `{release}` are the package's, `{arch}` is as RPM and `uname -m` call it.
/// - `{build}` is the release without its last part, which SUSE counts rebuilds with.
/// - `{kernel}` is the version with the suffix that Arch Linux writes with a `.` for a `-`:
///   `6.18.7-arch1` for `6.18.7.arch1`.
pub(crate) fn of(pattern: &str, version: &str, release: &str, arch: &str) -> String {
    let build = release.rsplit_once('.').map_or(release, |(build, _)| build);
    let kernel = match version.rsplit_once('.') {
        Some((number, suffix)) if suffix.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            format!("{number}-{suffix}")
        }
        _ => version.to_owned(),
    };
    pattern
        .replace("{version}", version)
        .replace("{release}", release)
        .replace("{build}", build)
        .replace("{kernel}", &kernel)
        .replace("{arch}", arch)
}

/// The upstream series of a release or version, `6.12` of `6.12.0-124.el10`.
pub(crate) fn series(version: &str) -> Option<String> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let (major, minor) = (numbers.next()?, numbers.next()?);
    let start = version.strip_prefix(major)?;
    (!major.is_empty() && !minor.is_empty() && start.starts_with('.'))
        .then(|| format!("{major}.{minor}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_release_is_made_of_its_package() {
        for (pattern, version, release, uname) in [
            (
                "{version}-{release}.{arch}",
                "5.14.0",
                "611.26.1.el9_7",
                "5.14.0-611.26.1.el9_7.x86_64",
            ),
            (
                "{version}-{build}-default",
                "6.4.0",
                "150600.21.3",
                "6.4.0-150600.21-default",
            ),
            (
                "{version}-{build}-default",
                "6.18.7",
                "1.1",
                "6.18.7-1-default",
            ),
            (
                "{version}-{release}",
                "6.6.139.1",
                "1.azl3",
                "6.6.139.1-1.azl3",
            ),
            ("{kernel}-{release}", "6.18.7.arch1", "1", "6.18.7-arch1-1"),
            ("{kernel}-{release}-lts", "6.12.68", "1", "6.12.68-1-lts"),
            ("{version}-{release}-lts", "6.18.32", "0", "6.18.32-0-lts"),
        ] {
            assert_eq!(of(pattern, version, release, "x86_64"), uname);
        }
        assert_eq!(series("6.12.0-124.el10").as_deref(), Some("6.12"));
        assert_eq!(series("7.2").as_deref(), Some("7.2"));
        assert_eq!(series("7.3~rc7").as_deref(), Some("7.3"));
        assert_eq!(series("6-1"), None);
        assert_eq!(series("x"), None);
    }
}
