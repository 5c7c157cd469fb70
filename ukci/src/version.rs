//! The version of this ukci.

/// The version, and the commit if it is known: `0.1.0 (a7ae050)`. Nix names the hash of the sources
/// instead: `0.1.0 (source-3v1l7gq0xw9s)`.
pub(crate) const VERSION: &str = match option_env!("UKCI_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

/// Whether a version names a commit or the hash of the sources, and the build has all of that and
/// nothing else.
pub(crate) fn is_commit(version: &str) -> bool {
    version.ends_with(')') && !version.ends_with("-dirty)")
}

#[cfg(test)]
mod tests {
    use super::is_commit;

    #[test]
    fn only_a_build_of_a_commit_alone_is_of_a_commit() {
        assert!(is_commit("0.1.0 (a7ae050)"));
        assert!(is_commit("0.1.0 (source-3v1l7gq0xw9s)"), "a build of Nix");
        assert!(!is_commit("0.1.0"), "a debug build");
        assert!(!is_commit("0.1.0 (a7ae050-dirty)"));
    }
}
