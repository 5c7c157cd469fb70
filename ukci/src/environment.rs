//! The environment variables that ukci reads, declared once: for `ukci help environment`, the
//! README and docs/cli.md. A test holds this list against the sources.

use crate::terminal::wrap::hanging;
use crate::text::{Text, text};

/// A variable, or several that differ in one part.
#[derive(Debug)]
pub(crate) struct Variable {
    /// As a reader writes them.
    pub(crate) names: &'static [&'static str],
    /// What it means, in Markdown.
    pub(crate) meaning: &'static str,
    /// What holds without it.
    pub(crate) default: &'static str,
}

const fn variable(
    names: &'static [&'static str],
    meaning: &'static str,
    default: &'static str,
) -> Variable {
    Variable {
        names,
        meaning,
        default,
    }
}

/// All of them, in the order in which people need them.
pub(crate) const VARIABLES: &[Variable] = &[
    variable(
        &["UKCI_MATRIX"],
        "The matrix to run if `--matrix` is not given.",
        "`quick`",
    ),
    variable(
        &["UKCI_LOCK"],
        "The lock file that pins the kernels.",
        "the lock built into ukci",
    ),
    variable(
        &["UKCI_NO_PROGRESS"],
        "The same as `--no-progress`: print one line per cell instead of the live display.",
        "off",
    ),
    variable(
        &["UKCI_NO_CACHE"],
        "The same as `--no-cache`: boot every cell, even if the cache has its evidence.",
        "off",
    ),
    variable(
        &["UKCI_MAX_MEMORY"],
        "The same as `--max-memory`: most memory for all machines together, such as `4GiB`.",
        "what is available when a run starts",
    ),
    variable(
        &["UKCI_MIRROR_DEBIAN"],
        "Root URLs of Debian mirrors, separated by commas.",
        "the mirrors in apt's sources, else those that debootstrap, pbuilder or python-apt know, \
         then Debian's snapshot archive",
    ),
    variable(
        &["UKCI_MIRROR_DEBIAN_SECURITY"],
        "The same for the archive `debian-security`.",
        "derived from the Debian mirrors",
    ),
    variable(
        &["UKCI_MIRROR_<ARCHIVE>"],
        "The same for another archive, such as `UKCI_MIRROR_FEDORA`. Write `_` for `-`.",
        "the addresses in `kernels/archives.toml`",
    ),
    variable(
        &["UKCI_KEYRINGS"],
        "Further directories with the keys of distributions, separated by colons.",
        "none",
    ),
    variable(
        &["UKCI_OUT"],
        "With `ukci runner`: the directory into which files of the command come back.",
        "no files come back",
    ),
    variable(
        &["UKCI_QEMU_X86_64", "UKCI_QEMU_AARCH64", "UKCI_QEMU_RISCV64"],
        "The QEMU program for guests of that architecture.",
        "`qemu-system-…` on `PATH`",
    ),
    variable(
        &[
            "UKCI_AGENT_X86_64",
            "UKCI_AGENT_AARCH64",
            "UKCI_AGENT_RISCV64",
        ],
        "The agent that runs in those guests.",
        "the agent that belongs to this ukci",
    ),
    variable(
        &["UKCI_VHOST_DEVICE_VSOCK"],
        "The program `vhost-device-vsock`.",
        "`vhost-device-vsock` on `PATH`, or the one that `make` installed",
    ),
    variable(
        &["UKCI_VIRTIOFSD"],
        "The program `virtiofsd`, which `--host-root` needs.",
        "`virtiofsd` on `PATH`, or where distributions have it",
    ),
    variable(
        &["UKCI_CLANG_19"],
        "The clang that `--llvm 19` uses. Other major versions have variables of the same form.",
        "`clang-19` on `PATH`",
    ),
    variable(
        &["UKCI_BPFTOOL"],
        "The bpftool that `--vmlinux-h auto` uses.",
        "`bpftool` on `PATH`",
    ),
    variable(
        &["UKCI_LOG"],
        "Which internal messages to log, in the filter syntax of the `tracing` crate.",
        "none",
    ),
    variable(
        &["XDG_CACHE_HOME"],
        "The directory that contains ukci's cache directory, `ukci`.",
        "`~/.cache`",
    ),
    variable(
        &["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"],
        "The proxy for downloads. The first that is set is used, in capitals or in lower case.",
        "none",
    ),
    variable(&["NO_PROXY"], "Hosts for which no proxy is used.", "none"),
    variable(
        &["UKCI_CACHE_MAX_SIZE"],
        "The limit for templates and verdicts after a run, and for `ukci cache prune`, such as `5GB`.",
        "`10GB`",
    ),
    variable(
        &["COLUMNS"],
        "The width of tables and text, in columns.",
        "the width of the terminal, or 100",
    ),
    variable(&["NO_COLOR"], "The same as `--color never`.", "off"),
    variable(
        &["GITHUB_ACTIONS"],
        "If it is `true`, a run writes its summary and annotations for GitHub.",
        "set by GitHub Actions",
    ),
];

/// For a terminal.
pub(crate) fn help(width: usize) -> Text {
    let mut text = text!("Environment variables:\n");
    for variable in VARIABLES {
        text.push(&text!("\n"));
        text.push(&hanging(2, &variable.names.join(", "), 0, width));
        text.push(&hanging(6, variable.meaning, 0, width));
        let default = format!("[default: {}]", variable.default);
        text.push(&hanging(6, &default, 0, width));
    }
    text
}
