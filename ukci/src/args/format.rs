//! Report formats, and where they go.

use std::path::PathBuf;

use clap::ValueEnum;

/// A report format and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) kind: FormatKind,
    pub(crate) path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatKind {
    Json,
    Markdown,
    Github,
    Junit,
    Html,
}

/// `FORMAT`, or `FORMAT=PATH`.
pub(super) fn parse(text: &str) -> Result<Format, String> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (name, Some(PathBuf::from(path))),
        None => (text, None),
    };
    if path
        .as_ref()
        .is_some_and(|path| path.as_os_str().is_empty())
    {
        return Err("the path is empty".into());
    }
    let kind = FormatKind::from_str(name, false)
        .map_err(|_| format!("`{name}` is not one of markdown, github, junit, html and json"))?;
    Ok(Format { kind, path })
}
