//! The mirrors that apt is configured with, in both of its formats.

use std::path::{Path, PathBuf};

use super::error::SECURITY;
use super::mirror::root;

/// One line of apt's sources, in either of its formats.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Source {
    addresses: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: String,
}

/// The roots of Debian's own `archive` among `sources`. A suite alone does not tell Debian from
/// the many others that call theirs `bookworm`.
pub(super) fn roots(sources: &[Source], archive: &str) -> Vec<String> {
    let mut roots = Vec::new();
    for source in sources {
        let is_security = source
            .suites
            .iter()
            .any(|suite| suite.ends_with("-security"))
            || source
                .suites
                .iter()
                .any(|suite| suite.ends_with("/updates"));
        let is_debian = source.suites.iter().any(|suite| is_debian_suite(suite))
            && source
                .components
                .iter()
                .any(|component| component == "main");
        if !is_debian || is_security != (archive == SECURITY) {
            continue;
        }
        for address in &source.addresses {
            let known = address.contains("debian") || source.signed_by.contains("debian-archive");
            if known && !roots.contains(address) {
                roots.push(address.clone());
            }
        }
    }
    roots
}

fn is_debian_suite(suite: &str) -> bool {
    const NAMES: [&str; 14] = [
        "buster",
        "bullseye",
        "bookworm",
        "trixie",
        "forky",
        "duke",
        "sid",
        "oldoldstable",
        "oldstable",
        "stable",
        "testing",
        "unstable",
        "experimental",
        "rc-buggy",
    ];
    let name = suite.split_once(['-', '/']).map_or(suite, |(name, _)| name);
    NAMES.contains(&name) || NAMES.contains(&suite)
}

/// What apt is configured with; files that cannot be read count as absent.
pub(super) fn sources(apt: &Path) -> Vec<Source> {
    let mut files = vec![apt.join("sources.list")];
    let mut parts: Vec<PathBuf> = std::fs::read_dir(apt.join("sources.list.d"))
        .map(|dir| dir.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    parts.sort();
    files.append(&mut parts);
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("list") => sources.extend(text.lines().filter_map(one_line)),
            Some("sources") => sources.extend(deb822(&text)),
            _ => {}
        }
    }
    for source in &mut sources {
        source.addresses = source
            .addresses
            .iter()
            .flat_map(|address| resolve(address))
            .collect();
    }
    sources
}

/// `deb [options] address suite component…`
fn one_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = line
        .strip_prefix(|c: char| c.is_ascii_whitespace())?
        .trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_ascii_whitespace().map(str::to_owned);
    let (address, suite) = (words.next()?, words.next()?);
    let signed_by = options
        .split_ascii_whitespace()
        .find_map(|option| option.strip_prefix("signed-by="))
        .unwrap_or_default();
    Some(Source {
        addresses: vec![address],
        suites: vec![suite],
        components: words.collect(),
        signed_by: signed_by.to_owned(),
    })
}

/// Paragraphs of `Field: value`, continued on lines that begin with a space.
fn deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for paragraph in text.split(|line| line.trim().is_empty()) {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in paragraph {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let field = |name: &str| {
            let found = fields.iter().find(|(field, _)| field == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        let words = |name| -> Vec<String> {
            field(name)
                .split_ascii_whitespace()
                .map(str::to_owned)
                .collect()
        };
        let disabled = matches!(field("enabled"), "no" | "false" | "0");
        if disabled || !words("types").iter().any(|kind| kind == "deb") {
            continue;
        }
        sources.push(Source {
            addresses: words("uris"),
            suites: words("suites"),
            components: words("components"),
            signed_by: field("signed-by").to_owned(),
        });
    }
    sources
}

/// The roots behind an address of apt's: itself, or those in the file of `mirror+file:`, which
/// Debian's cloud images use. `cdrom:` and the like cannot be asked for one file.
fn resolve(address: &str) -> Vec<String> {
    if let Some(file) = address.strip_prefix("mirror+file:") {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let first = |line: &str| line.split_ascii_whitespace().next().map(str::to_owned);
        return text
            .lines()
            .filter_map(first)
            .filter(|line| is_http(line))
            .map(|a| root(&a))
            .collect();
    }
    if is_http(address) {
        vec![root(address)]
    } else {
        Vec::new()
    }
}

pub(super) fn is_http(address: &str) -> bool {
    address.starts_with("http://") || address.starts_with("https://")
}
