//! Finds the mirrors of an archive. No mirror of Debian is written down: they come from the
//! environment or from apt's configuration, and the snapshot archive has what mirrors no longer
//! have. Other distributions' own servers are in `kernels/archives.toml`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use super::error::{Error, variable};
use super::{apt_sources, known_mirror};

/// Debian's permanent archive: every version of every package since 2005, by day.
const SNAPSHOT: &str = "https://snapshot.debian.org/archive";

/// The archives of other distributions, by the names that locks give them.
const ARCHIVES: &str = include_str!("../../../kernels/archives.toml");

/// The archives of Debian.
const DEBIAN: &str = "debian";
const SECURITY: &str = super::error::SECURITY;

/// The roots under which each archive is looked for, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mirrors {
    debian: Vec<String>,
    security: Vec<String>,
    snapshot: Option<String>,
    /// The roots of other distributions' archives.
    others: BTreeMap<String, Vec<String>>,
    /// What was looked at, for the error that nothing was found.
    looked: Vec<String>,
}

impl Mirrors {
    /// Those of this host: the variables `UKCI_MIRROR_DEBIAN` and `UKCI_MIRROR_DEBIAN_SECURITY`,
    /// else apt's sources, else what tools that install Debian know, and last the snapshot archive.
    pub fn of_host() -> Self {
        let variables = |name: &str| std::env::var(name).ok();
        let mut mirrors = Self::configured(&variables, Path::new("/"), Some(SNAPSHOT));
        // Archives of a company's own have no other place than a variable.
        let names = std::env::vars_os().filter_map(|(name, _)| {
            let name = name.into_string().ok()?;
            let name = name.strip_prefix("UKCI_MIRROR_")?;
            Some(name.to_lowercase().replace('_', "-"))
        });
        mirrors.others = others(names, &variables);
        mirrors
    }

    /// These roots for one more archive.
    #[must_use]
    pub fn and(mut self, archive: &str, roots: &[&str]) -> Self {
        let roots = roots.iter().map(|&root| root.to_owned()).collect();
        self.others.insert(archive.to_owned(), roots);
        self
    }

    /// Those that the variables name, else those of apt's sources below `root`, else those in files
    /// of other tools there.
    pub(crate) fn configured(
        variables: &dyn Fn(&str) -> Option<String>,
        root: &Path,
        snapshot: Option<&str>,
    ) -> Self {
        let apt = root.join("etc/apt");
        let list = |archive| split(&variables(&variable(archive)).unwrap_or_default());
        let (mut debian, mut security) = (list(DEBIAN), list(SECURITY));
        let sources = apt_sources::sources(&apt);
        if debian.is_empty() {
            debian = apt_sources::roots(&sources, DEBIAN);
            if security.is_empty() {
                security = apt_sources::roots(&sources, SECURITY);
            }
        }
        // Another distribution's apt, or none. Its users need not wait for the snapshot archive,
        // which is slow by design.
        if debian.is_empty() {
            debian = known_mirror::of(DEBIAN, root);
            if security.is_empty() {
                security = known_mirror::of(SECURITY, root);
            }
        }
        if security.is_empty() {
            security = debian
                .iter()
                .map(|root| format!("{root}-security"))
                .collect();
        }
        Self {
            debian,
            security,
            snapshot: snapshot.map(str::to_owned),
            others: BTreeMap::new(),
            looked: vec![
                format!("${}", variable(DEBIAN)),
                format!("`{}`", apt.join("sources.list").display()),
                format!("`{}`", apt.join("sources.list.d").display()),
                known_mirror::TOOLS.to_owned(),
            ],
        }
    }

    /// The roots of `archive` for what was in it on `date` (`YYYY-MM-DD`), the snapshot archive
    /// last; never empty.
    pub(crate) fn roots(&self, archive: &str, date: &str) -> Result<Vec<String>, Error> {
        let mut roots = match archive {
            DEBIAN => self.debian.clone(),
            SECURITY => self.security.clone(),
            _ => self.others.get(archive).cloned().unwrap_or_default(),
        };
        let day: String = date.chars().filter(char::is_ascii_digit).collect();
        if let (Some(snapshot), 8, DEBIAN | SECURITY) = (&self.snapshot, day.len(), archive) {
            // It answers with the last snapshot that is not later.
            roots.push(format!("{snapshot}/{archive}/{day}T235959Z"));
        }
        if roots.is_empty() {
            let looked = match archive {
                DEBIAN | SECURITY => self.looked.clone(),
                _ => vec![
                    format!("${}", variable(archive)),
                    "`kernels/archives.toml`".to_owned(),
                ],
            };
            return Err(Error::NoMirror {
                archive: archive.to_owned(),
                looked,
            });
        }
        Ok(roots)
    }

    /// The roots where the archive's current indices are; never empty. A host of another
    /// distribution, whose apt knows no mirror of Debian, has them from the snapshot archive.
    pub fn current(&self, archive: &str) -> Result<Vec<String>, Error> {
        match self.roots(archive, "") {
            Err(Error::NoMirror { .. }) => {
                let now = humantime::format_rfc3339_seconds(
                    SystemTime::now().max(SystemTime::UNIX_EPOCH),
                )
                .to_string();
                self.roots(archive, now.get(..10).unwrap_or_default())
            }
            found => found,
        }
    }

    /// Only these, for both archives; the snapshot archive is not asked.
    pub fn only(debian: &[&str]) -> Self {
        let roots: Vec<String> = debian.iter().map(|&root| root.to_owned()).collect();
        Self {
            debian: roots.clone(),
            security: roots,
            ..Self::default()
        }
    }
}

/// An archive of `kernels/archives.toml`.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Archive {
    /// Addresses, the best first; the last ones may be of an archive that keeps what the first
    /// ones drop.
    roots: Vec<String>,
}

/// The archives of other distributions, and those that are `named`; a variable replaces the roots of
/// one.
fn others(
    named: impl Iterator<Item = String>,
    variables: &dyn Fn(&str) -> Option<String>,
) -> BTreeMap<String, Vec<String>> {
    let known: BTreeMap<String, Archive> = toml::from_str(ARCHIVES).unwrap_or_default();
    let known = known
        .into_iter()
        .map(|(name, archive)| (name, archive.roots));
    let mut all: BTreeMap<String, Vec<String>> = known.collect();
    all.extend(named.map(|name| (name, Vec::new())));
    for (name, roots) in &mut all {
        let own = split(&variables(&variable(name)).unwrap_or_default());
        if !own.is_empty() {
            *roots = own;
        }
    }
    all
}

/// A root for people to read: apt's may have a name and a password.
pub(crate) fn without_password(root: &str) -> String {
    let Some((scheme, rest)) = root.split_once("://") else {
        return root.to_owned();
    };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit('@').next().unwrap_or(host);
    format!("{scheme}://{host}{path}")
}

fn split(list: &str) -> Vec<String> {
    list.split(',')
        .map(root)
        .filter(|root| !root.is_empty())
        .collect()
}

/// A root as requests extend it, without the last slash.
pub(super) fn root(address: &str) -> String {
    address.trim().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apt(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let apt = dir.path().join("etc/apt");
        std::fs::create_dir_all(apt.join("sources.list.d")).unwrap();
        for (name, text) in files {
            std::fs::write(apt.join(name), text).unwrap();
        }
        dir
    }

    fn mirrors(variables: &[(&str, &str)], root: &Path) -> Mirrors {
        let get = |name: &str| {
            variables
                .iter()
                .find(|(have, _)| *have == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Mirrors::configured(&get, root, None)
    }

    #[test]
    fn both_formats_of_apt_are_read_and_strangers_left_out() {
        let list = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(list.path(), "http://cloud.example/debian/ priority:1\n").unwrap();
        let dir = apt(&[
            (
                "sources.list",
                "# deb http://old.example/debian sid main\n\
                 deb [arch=amd64] http://one.example/debian/ bookworm main contrib # mine\n\
                 deb-src http://src.example/debian bookworm main\n\
                 deb http://sec.example/debian-security bookworm-security main\n\
                 deb https://vendor.example/apt bookworm main\n\
                 deb http://docker.example/linux/debian bookworm stable\n",
            ),
            (
                "sources.list.d/a.sources",
                &format!(
                    "# comment\nTypes: deb deb-src\nURIs: mirror+file:{}\nSuites: trixie\n\
                     \ttrixie-updates\nComponents: main\n\n\
                     Enabled: no\nTypes: deb\nURIs: http://off.example/debian\nSuites: sid\n\
                     Components: main\n\n\
                     Types: deb\nURIs: http://corp.example/d\nSuites: sid\nComponents: main\n\
                     Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
                    list.path().display()
                ),
            ),
            (
                "sources.list.d/b.list.disabled",
                "deb http://no.example/debian sid main\n",
            ),
        ]);
        let found = mirrors(&[], dir.path());
        assert_eq!(
            found.roots(DEBIAN, "").unwrap(),
            [
                "http://one.example/debian",
                "http://cloud.example/debian",
                "http://corp.example/d"
            ]
        );
        assert_eq!(
            found.roots(SECURITY, "").unwrap(),
            ["http://sec.example/debian-security"]
        );
    }

    #[test]
    fn archives_of_other_distributions_are_known_and_replaced_by_a_variable() {
        let all = others(std::iter::empty(), &|_| None);
        assert!(all.len() >= 10, "{all:?}");
        for (name, roots) in &all {
            assert!(
                !roots.is_empty() && roots.iter().all(|root| apt_sources::is_http(root)),
                "{name}"
            );
            assert!(roots.iter().all(|root| !root.ends_with('/')), "{name}");
        }
        let set = |name: &str| {
            let own = [variable("fedora"), variable("our-own")];
            own.iter()
                .any(|own| own == name)
                .then(|| "http://f/".to_owned())
        };
        let replaced = others(std::iter::once("our-own".to_owned()), &set);
        assert_eq!(replaced["fedora"], ["http://f"]);
        assert_eq!(replaced["our-own"], ["http://f"]);
        let error = Mirrors::default().roots("none", "").unwrap_err();
        let hint = error.hint().unwrap();
        insta::assert_snapshot!(error, @"no mirror of the `none` archive is known; looked at $UKCI_MIRROR_NONE, `kernels/archives.toml`");
        assert!(hint.starts_with("set UKCI_MIRROR_NONE="), "{hint}");
        assert_eq!(
            variable("our-own"),
            ["UKCI", "MIRROR", "OUR", "OWN"].join("_")
        );
    }

    #[test]
    fn a_root_is_told_without_its_password() {
        for (root, told) in [
            ("http://m.example/debian", "http://m.example/debian"),
            ("http://m.example", "http://m.example"),
            (
                "https://me:secret@m.example/x/debian",
                "https://m.example/x/debian",
            ),
        ] {
            assert_eq!(without_password(root), told);
        }
    }

    #[test]
    fn variables_come_before_apt_and_security_is_derived() {
        let dir = apt(&[(
            "sources.list",
            "deb http://one.example/debian bookworm main\n",
        )]);
        let found = mirrors(
            &[("UKCI_MIRROR_DEBIAN", "http://a/debian/, http://b/d")],
            dir.path(),
        );
        assert_eq!(
            found.roots(DEBIAN, "").unwrap(),
            ["http://a/debian", "http://b/d"]
        );
        assert_eq!(
            found.roots(SECURITY, "").unwrap(),
            ["http://a/debian-security", "http://b/d-security"]
        );
        let found = mirrors(&[("UKCI_MIRROR_DEBIAN_SECURITY", "http://s/x")], dir.path());
        assert_eq!(
            found.roots(DEBIAN, "").unwrap(),
            ["http://one.example/debian"]
        );
        assert_eq!(found.roots(SECURITY, "").unwrap(), ["http://s/x"]);
    }

    /// Ubuntu's apt knows no mirror of Debian, and its python-apt does.
    #[test]
    fn tools_of_another_distribution_are_asked_after_its_apt_and_before_the_snapshot() {
        let dir = apt(&[(
            "sources.list",
            "deb http://ubuntu.example/ubuntu noble main\n",
        )]);
        let templates = dir.path().join("usr/share/python-apt/templates");
        std::fs::create_dir_all(&templates).unwrap();
        let text = "BaseURI: http://known.example/debian/\n";
        std::fs::write(templates.join("Debian.info"), text).unwrap();
        let found = Mirrors::configured(&|_| None, dir.path(), Some("https://snap/archive"));
        assert_eq!(
            found.roots(DEBIAN, "2026-11-21").unwrap(),
            [
                "http://known.example/debian",
                "https://snap/archive/debian/20261121T235959Z"
            ]
        );
        assert_eq!(
            found.current(SECURITY).unwrap(),
            ["http://known.example/debian-security"]
        );
        let variable = [("UKCI_MIRROR_DEBIAN", "http://a/debian")];
        let found = mirrors(&variable, dir.path());
        assert_eq!(found.roots(DEBIAN, "").unwrap(), ["http://a/debian"]);
        // apt's own mirrors of Debian win, too.
        let list = dir.path().join("etc/apt/sources.list");
        std::fs::write(list, "deb http://one.example/debian sid main\n").unwrap();
        let found = mirrors(&[], dir.path());
        assert_eq!(
            found.roots(DEBIAN, "").unwrap(),
            ["http://one.example/debian"]
        );
    }

    #[test]
    fn the_snapshot_of_the_day_is_the_last_resort() {
        let dir = apt(&[]);
        let found = Mirrors::configured(&|_| None, dir.path(), Some("https://snap/archive"));
        assert_eq!(
            found.roots(SECURITY, "2026-11-21").unwrap(),
            ["https://snap/archive/debian-security/20261121T235959Z"]
        );
        // apt of another distribution knows no mirror of Debian: today's indices are there, too.
        let today = found.current(DEBIAN).unwrap();
        let day = today[0]
            .strip_prefix("https://snap/archive/debian/")
            .unwrap();
        assert!(day.starts_with("20") && day.ends_with("T235959Z"), "{day}");
        assert_eq!((today.len(), day.len()), (1, "20261121T235959Z".len()));
        let error = mirrors(&[], dir.path()).current(DEBIAN).unwrap_err();
        let text = error
            .to_string()
            .replace(&dir.path().display().to_string(), "");
        insta::assert_snapshot!(text, @"no mirror of the `debian` archive is known; looked at $UKCI_MIRROR_DEBIAN, `/etc/apt/sources.list`, `/etc/apt/sources.list.d`, files of debootstrap, mmdebstrap, pbuilder, python-apt and lxc");
        insta::assert_snapshot!(error.hint().unwrap(), @"set UKCI_MIRROR_DEBIAN=http://HOST/PATH to a mirror's root, the directory that holds `pool`");
    }
}
