//! The order of the versions of packages, as each distribution sorts them.
//!
//! Debian's and Ubuntu's is that of `deb-version(7)`: epoch, upstream part, revision. Runs of digits
//! are compared as numbers, and `~` sorts before everything, even the end. All others have RPM's.

use std::cmp::Ordering;

use ukci_schema::lock::LockedKernel;

/// Whether a kernel is of an older version than another of its stream.
pub fn is_older(kernel: &LockedKernel, than: &LockedKernel) -> bool {
    of_kernels(kernel, than).is_lt()
}

/// Compares the versions of two kernels of one distribution.
pub fn of_kernels(a: &LockedKernel, b: &LockedKernel) -> Ordering {
    of(&a.distro, a.version(), b.version())
}

/// The pins of a kernel by their versions, newest first. Of several pins of one version, the first stays.
pub fn newest_first(mut pins: Vec<&LockedKernel>) -> Vec<&LockedKernel> {
    pins.sort_by(|a, b| of_kernels(b, a));
    pins.dedup_by_key(|pin| pin.version());
    pins
}

/// Compares two versions of a distribution's packages.
pub fn of(distro: &str, a: &str, b: &str) -> Ordering {
    if DEB.contains(&distro) {
        compare(a, b)
    } else {
        // pacman's and apk's order was made after RPM's.
        rpm_version::rpm_evr_compare(a, b)
    }
}

/// The distributions whose packages dpkg installs.
const DEB: [&str; 2] = ["debian", "ubuntu"];

/// Compares two versions of Debian's packages.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    number(a.0)
        .cmp(&number(b.0))
        .then_with(|| part(a.1, b.1))
        .then_with(|| part(a.2, b.2))
}

/// Epoch, upstream version, revision.
fn parts(version: &str) -> (&str, &str, &str) {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    (epoch, upstream, revision)
}

fn part(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (text_a, rest_a) = run(a, |c| !c.is_ascii_digit());
        let (text_b, rest_b) = run(b, |c| !c.is_ascii_digit());
        let (digits_a, rest_a) = run(rest_a, |c| c.is_ascii_digit());
        let (digits_b, rest_b) = run(rest_b, |c| c.is_ascii_digit());
        let order = text(text_a, text_b).then_with(|| number(digits_a).cmp(&number(digits_b)));
        if order.is_ne() {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

fn run(text: &str, of: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !of(c)).unwrap_or(text.len()))
}

fn text(a: &str, b: &str) -> Ordering {
    let weight = |c: Option<&u8>| match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(*c),
        Some(c) => i32::from(*c) + 256,
    };
    (0..a.len().max(b.len()))
        .map(|at| weight(a.as_bytes().get(at)).cmp(&weight(b.as_bytes().get(at))))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// Numbers by value, however long: without leading zeros the longer one is the greater.
fn number(digits: &str) -> (usize, &str) {
    let digits = digits.trim_start_matches('0');
    (digits.len(), digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_as_dpkg_sorts_them() {
        // Each is lower than the next; `dpkg --compare-versions` agrees.
        let ascending = [
            "5.10.223-1",
            "5.10.262-1",
            "6.1~rc7-1",
            "6.1.0-1",
            "6.1.164-1",
            "6.1.192-1",
            "6.1.192-1+deb12u1",
            "6.1.192-2",
            "6.1.192-10",
            "6.12.107-1",
            "6.12.117-1~bpo12+1",
            "6.12.117-1",
            "7.3~rc6-1~exp2",
            "7.3~rc7-1~exp1",
            "7.3-1",
            "7.3.4-1",
            "1:1.0-1",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
            assert_eq!(compare(pair[0], pair[0]), Ordering::Equal, "{pair:?}");
        }
        assert_eq!(compare("6.01-1", "6.1-1"), Ordering::Equal);
        assert_eq!(compare("1.0", "1.0-0"), Ordering::Equal);
    }
}
