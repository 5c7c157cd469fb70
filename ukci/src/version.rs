//! The version of this ukci.

/// The version, and the commit if it is known: `0.1.0 (a7ae050)`.
pub(crate) const VERSION: &str = match option_env!("UKCI_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};
