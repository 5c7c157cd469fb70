//! Mirrors of Debian that tools of other distributions know: those that install Debian somewhere.
//!
//! Files of debootstrap, pbuilder, python-apt and others come in, addresses of mirrors go out. The
//! addresses are the distribution's or the administrator's choice, so that ukci has none of its own.

use std::fs;
use std::io::Read;
use std::path::Path;

/// Files that name a mirror of Debian by default, below the root directory, best first: first what
/// an administrator may have changed.
const FILES: &[&str] = &[
    "etc/pbuilderrc",
    "usr/share/pbuilder/pbuilderrc",
    "usr/share/debootstrap/scripts/sid",
    "usr/share/debootstrap/functions",
    // `DEF_MIRROR`
    "usr/sbin/debootstrap",
    "usr/bin/debootstrap",
    "usr/bin/mmdebstrap",
    // `BaseURI`
    "usr/share/python-apt/templates/Debian.info",
    "usr/share/lxc/templates/lxc-debian",
    "usr/share/python-apt/templates/Debian.mirrors",
];

/// Who has such files, for the error that nothing was found.
pub(super) const TOOLS: &str = "files of debootstrap, mmdebstrap, pbuilder, python-apt and lxc";

/// Longest file that is read.
const LONGEST: u64 = 1 << 20;

/// Most mirrors of one archive: each that has dropped a package costs a request.
const MOST: usize = 3;

/// The mirrors of one archive, by the last part of their addresses: `debian` or `debian-security`.
pub(super) fn of(archive: &str, root: &Path) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for file in FILES {
        let Ok(file) = fs::File::open(root.join(file)) else {
            continue;
        };
        let mut text = Vec::new();
        if file.take(LONGEST).read_to_end(&mut text).is_err() {
            continue;
        }
        let text = String::from_utf8_lossy(&text);
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        for address in lines.flat_map(addresses) {
            let path = address.splitn(4, '/').nth(3).unwrap_or_default();
            let is_archive = path.rsplit('/').next() == Some(archive);
            if is_archive && !found.iter().any(|known| same(known, address)) {
                found.push(address.to_owned());
            }
            if found.len() == MOST {
                return found;
            }
        }
    }
    found
}

/// The HTTP addresses in a line of whatever language, without a slash at the end.
fn addresses(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("http").map(|(at, _)| &line[at..]);
    starts.filter_map(|rest| {
        let body = rest
            .strip_prefix("http://")
            .or_else(|| rest.strip_prefix("https://"))?;
        let of_address = |c: char| c.is_ascii_alphanumeric() || "-._~/:@%+".contains(c);
        let length = body.find(|c| !of_address(c)).unwrap_or(body.len());
        let whole = &rest[..rest.len() - body.len() + length];
        let end = &body[length..];
        // A shell's or Python's variable stands in it.
        (!end.starts_with(['$', '{'])).then(|| whole.trim_end_matches(['/', '.']))
    })
}

/// Whether two addresses differ in nothing but TLS.
fn same(one: &str, other: &str) -> bool {
    let plain = |address: &str| address.split_once("://").map(|(_, rest)| rest.to_owned());
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::of;

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn every_tools_own_way_to_name_a_mirror_is_read() {
        for (file, text) in [
            (
                "etc/pbuilderrc",
                "#MIRRORSITE=http://no.example/debian\nMIRRORSITE=http://m.example/debian\n",
            ),
            (
                "usr/share/debootstrap/scripts/sid",
                "case $ARCH in\n  amd64) default_mirror http://m.example/debian ;;\n",
            ),
            (
                "usr/sbin/debootstrap",
                "DEF_MIRROR=\"http://m.example/debian\"\nDEF_HTTPS_MIRROR=\"https://m.example/debian\"\n",
            ),
            (
                "usr/bin/mmdebstrap",
                "my $mirror = 'http://m.example/debian';\n",
            ),
            (
                "usr/share/python-apt/templates/Debian.info",
                "ChangelogURI: https://meta.example/changelogs/%s/%s\nBaseURI: http://m.example/debian/\n\
                 MatchURI: ftp[0-9]*\\.example\\.org\n",
            ),
            (
                "usr/share/lxc/templates/lxc-debian",
                "MIRROR=${MIRROR:-http://m.example/debian}\n",
            ),
        ] {
            let dir = root(&[(file, text)]);
            assert_eq!(
                of("debian", dir.path()),
                ["http://m.example/debian"],
                "{file}"
            );
            assert_eq!(
                of("debian-security", dir.path()),
                <[&str; 0]>::default(),
                "{file}"
            );
        }
    }

    #[test]
    fn other_archives_and_unfinished_addresses_are_left_out() {
        let dir = root(&[(
            "usr/bin/mmdebstrap",
            "'http://m.example/ubuntu' 'http://sec.example/debian-security' http://$host/debian\n\
             http://m.example/debian-ports http://m.example/${x}/debian http://debian\n\
             see http://wiki.example/debian/faq, https://m.example/debian.\n",
        )]);
        assert_eq!(of("debian", dir.path()), ["https://m.example/debian"]);
        let security = of("debian-security", dir.path());
        assert_eq!(security, ["http://sec.example/debian-security"]);
    }

    #[test]
    fn what_an_administrator_set_comes_first_and_lists_end_early() {
        let mirrors: Vec<String> = (1..9)
            .map(|n| format!("http://m{n}.example/debian/\n"))
            .collect();
        let mirrors = mirrors.concat();
        let dir = root(&[
            (
                "usr/share/python-apt/templates/Debian.mirrors",
                mirrors.as_str(),
            ),
            ("etc/pbuilderrc", "MIRRORSITE=http://own.example/debian\n"),
        ]);
        let found = of("debian", dir.path());
        let expected = [
            "http://own.example/debian",
            "http://m1.example/debian",
            "http://m2.example/debian",
        ];
        assert_eq!(found, expected);
        let nothing = root(&[]);
        assert_eq!(of("debian", nothing.path()), <[&str; 0]>::default());
    }
}
