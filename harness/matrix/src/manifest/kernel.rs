//! Checks what a manifest says about the kernel, and about the variables that depend on it.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Checked;
use super::{KconfigValue, Problem};
use crate::authored::Path;

pub(super) fn kconfig(at: &Path, values: &BTreeMap<String, KconfigValue>) -> Checked {
    for key in values.keys() {
        let option = key.strip_prefix("CONFIG_").unwrap_or_default();
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if option.is_empty() || key.len() > 200 || !option.chars().all(fits) {
            let hint = key
                .chars()
                .all(fits)
                .then(|| format!("did you mean `CONFIG_{key}`?"));
            return Err(Problem::key(
                at.then(key.as_str()),
                format!("`{key}` is not a `CONFIG_` option"),
            )
            .hint(hint));
        }
    }
    Ok(())
}

pub(super) fn variables<'a>(at: &Path, names: impl Iterator<Item = &'a String>) -> Checked {
    for key in names {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if key.is_empty() || key.starts_with(|c: char| c.is_ascii_digit()) || !key.chars().all(fits)
        {
            return Err(Problem::key(
                at.then(key.as_str()),
                format!("`{key}` is not the name of a C variable"),
            ));
        }
    }
    Ok(())
}

pub(super) fn modules(at: &Path, modules: &[String]) -> Checked {
    // 64 - sizeof(unsigned long) in include/linux/moduleparam.h: with its zero, 55 letters.
    let fits = |name: &str| {
        (1..=55).contains(&name.len())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    let mut seen = BTreeSet::new();
    for (n, module) in modules.iter().enumerate() {
        if !fits(module) {
            let what = format!("`{module}` is not the name of a module");
            let bare = module
                .rsplit('/')
                .next()
                .and_then(|name| name.split(".ko").next());
            return Err(Problem::value(at.then(n), what).hint(
                bare.filter(|name| fits(name))
                    .map(|name| format!("did you mean `{name}`?")),
            ));
        }
        if !seen.insert(module.replace('-', "_")) {
            return Err(Problem::value(
                at.then(n),
                format!("duplicate module `{module}`"),
            ));
        }
    }
    Ok(())
}

/// Arguments that decide whether the agent runs and is heard at all.
const OWNED: [&str; 6] = ["console", "init", "rdinit", "root", "panic", "--"];

pub(super) fn kernel_arguments(at: &Path, arguments: &[String]) -> Checked {
    for (n, argument) in arguments.iter().enumerate() {
        let at = at.then(n);
        let mut quoted = false;
        let one_word = !argument.is_empty()
            && argument.chars().all(|c| {
                quoted ^= c == '"';
                !c.is_control() && (quoted || !c.is_whitespace())
            });
        if !one_word || quoted || argument.len() > 1024 {
            return Err(
                Problem::value(at, "expected one kernel argument").hint(Some(
                    "write each argument as a string of its own".to_owned(),
                )),
            );
        }
        let name = argument.split('=').next().unwrap_or_default();
        if OWNED.contains(&name) {
            return Err(Problem::value(at, format!("ukci itself sets `{name}`")));
        }
    }
    Ok(())
}
