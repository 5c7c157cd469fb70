//! Checks which keys of `attach` can be used together.

use super::check::{Checked, one_line};
use super::{Attach, AttachKind, Problem};
use crate::authored::Path;
use ukci_schema::contract::TargetShape;

/// Each key of `attach` means something for its kind, and what the kind needs is there.
pub(super) fn attach(at: &Path, attach: &Attach) -> Checked {
    let given: Vec<(&'static str, Option<&str>)> = vec![
        ("category", attach.category.as_deref()),
        ("name", attach.name.as_deref()),
        ("symbol", attach.symbol.as_deref()),
        ("binary", attach.binary.as_deref()),
        ("provider", attach.provider.as_deref()),
        ("object", attach.object.as_deref()),
    ];
    for (key, text) in &given {
        if let Some(text) = text {
            one_line(&at.then(*key), text, 511)?;
        }
    }
    let present = |key: &str| match key {
        "offset" => attach.offset.is_some(),
        key => given
            .iter()
            .any(|(name, text)| *name == key && text.is_some()),
    };
    let places = [
        "category", "name", "symbol", "offset", "binary", "provider", "object",
    ];
    let Some(kind) = attach.implied_kind() else {
        return match places.into_iter().find(|key| present(key)) {
            None => Ok(()),
            Some(key) => Err(Problem::key(
                at.then(key),
                format!("`{key}` without the `kind` of the attachment"),
            )
            .hint(Some("add `kind`".to_owned()))),
        };
    };
    let (takes, needs): (&[&str], &[&str]) = match kind.shape() {
        // A name is as good as a symbol where there is but one thing to name.
        TargetShape::Function if matches!(kind.name(), "kprobe") => {
            (&["symbol", "name", "offset"], &[])
        }
        TargetShape::Function => (&["symbol", "name"], &[]),
        TargetShape::Tracepoint => (&["category", "name"], &["category", "name"]),
        TargetShape::RawTracepoint => (&["name"], &[]),
        TargetShape::User => (&["binary", "symbol", "offset"], &[]),
        TargetShape::Usdt => (&["binary", "provider", "name"], &["provider", "name"]),
        TargetShape::Program => (&["object", "name", "symbol"], &["object", "name"]),
        TargetShape::Made => (&[], &[]),
    };
    if let Some(key) = places
        .into_iter()
        .find(|key| present(key) && !takes.contains(key))
    {
        let hint = match takes {
            [] => Some(format!(
                "leave it out: the guest makes what a program of kind `{kind}` is attached to"
            )),
            takes => {
                let list: Vec<_> = takes.iter().map(|key| format!("`{key}`")).collect();
                Some(format!("use only {} with `{kind}`", list.join(", ")))
            }
        };
        return Err(
            Problem::key(at.then(key), format!("`{key}` has no meaning for `{kind}`")).hint(hint),
        );
    }
    let any = places.into_iter().any(present);
    if let Some(key) = needs.iter().find(|key| any && !present(key)) {
        return Err(
            Problem::value(at.clone(), format!("`{kind}` needs its `{key}`"))
                .hint(Some(format!("add `{key}`"))),
        );
    }
    match kind.shape() {
        TargetShape::Function if present("symbol") && present("name") => Err(Problem::key(
            at.then("name"),
            format!("`{kind}` has one target, and this is a second one"),
        )),
        TargetShape::Function if present("offset") && !present("symbol") && !present("name") => {
            Err(
                Problem::key(at.then("offset"), "an `offset` without a function")
                    .hint(Some("add `symbol`".to_owned())),
            )
        }
        TargetShape::User if any && !present("symbol") && !present("offset") => {
            Err(Problem::value(
                at.clone(),
                format!("`{kind}` needs its `symbol` or `offset`"),
            ))
        }
        TargetShape::User if kind.name().ends_with("_multi") && present("offset") => {
            Err(Problem::key(
                at.then("offset"),
                format!("`{kind}` has a `symbol` and no `offset`"),
            ))
        }
        _ => Ok(()),
    }
}

impl Attach {
    /// The kind, or the one that its keys can only mean.
    pub(super) fn implied_kind(&self) -> Option<AttachKind> {
        let tracepoint = self.category.is_some() && self.name.is_some();
        self.kind.or_else(|| {
            tracepoint
                .then(|| AttachKind::named("tracepoint"))
                .flatten()
        })
    }
}
