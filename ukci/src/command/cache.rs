//! `ukci cache`: what is in the cache, and how it is made smaller or moved elsewhere.

use std::path::Path;
use std::time::SystemTime;

use bytesize::ByteSize;
use ukci_harness::cache::{self, Entry, InUse, Kind};
use ukci_harness::catalogue::cache_dir;
use ukci_harness::render::harmless;
use ukci_schema::lock::LockedKernel;

use super::kernels::{fetch, named};
use crate::args::cache::{Cache, Clear, Export, Import, Prune};
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::fetching::Fetching;
use crate::output::{GOOD, Output, QUIET, STRONG, label, paint};
use crate::text::{Text, count, text};
use crate::{lock_file, stdout};

/// Runs the command.
pub(crate) fn run(command: &Cache, output: Output) -> Result<Exit, Failure> {
    let dir = cache_dir();
    match command {
        Cache::List => stdout::show(output.fitting(list(&dir))),
        Cache::Prune(args) => prune(args, &dir, output),
        Cache::Clear(args) => clear(args, &dir, output),
        Cache::Export(args) => export(args, output),
        Cache::Import(args) => import(args, &dir, output),
    }
}

/// One line for each kind that there is, and their sum.
fn list(dir: &Path) -> Text {
    let mut text = text!("{}\n\n", paint(STRONG, harmless(&dir.to_string_lossy())));
    let entries = cache::entries(dir);
    let now = SystemTime::now();
    let line = |name: &'static str, entries: &[&Entry], what: &'static str| {
        let used = entries.iter().map(|entry| entry.used).max();
        let used = used.map_or_else(Text::default, |used| ago(now, used));
        let size = size(entries.iter().map(|entry| entry.size).sum());
        let count = entries.len();
        if what.is_empty() {
            return text!("{:<10} {:>7} {:>10}  {}\n", name, count, size, used);
        }
        let what = paint(QUIET, what);
        text!(
            "{:<10} {:>7} {:>10}  {:<15} {}\n",
            name,
            count,
            size,
            used,
            what
        )
    };
    let head = "kind       entries       size  last use";
    text.push_line(&paint(STRONG, head));
    for kind in Kind::ALL {
        let of_kind: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == kind).collect();
        if !of_kind.is_empty() {
            text.push(&line(kind.name(), &of_kind, kind.what()));
        }
    }
    let all: Vec<&Entry> = entries.iter().collect();
    text.push(&line("total", &all, ""));
    text
}

fn size(bytes: u64) -> Text {
    harmless(&ByteSize::b(bytes).display().si().to_string()).into()
}

/// How long ago something was, in its largest unit.
fn ago(now: SystemTime, then: SystemTime) -> Text {
    let seconds = now.duration_since(then).unwrap_or_default().as_secs();
    let units = [(86400, "day"), (3600, "hour"), (60, "minute")];
    let found = units.iter().find(|(length, _)| seconds >= *length);
    found.map_or_else(
        || "just now".into(),
        |&(length, unit)| {
            let n = usize::try_from(seconds / length).unwrap_or(usize::MAX);
            text!("{} ago", count(n, unit))
        },
    )
}

fn prune(args: &Prune, dir: &Path, output: Output) -> Result<Exit, Failure> {
    let alone = alone(dir)?;
    cache::sweep_alone(dir, &alone);
    let evictable = cache::entries(dir)
        .into_iter()
        .filter(|entry| entry.kind.is_made_again());
    let evicted = cache::over(evictable.collect(), args.max_size.as_u64());
    remove(dir, &evicted, output)
}

fn clear(args: &Clear, dir: &Path, output: Output) -> Result<Exit, Failure> {
    let kinds: Vec<Kind> = args.kinds.iter().map(|kind| kind.0).collect();
    let is_meant = |kind: Kind| kinds.contains(&kind) || (args.all && kind.is_made_again());
    if kinds.is_empty() && !args.all {
        let message = "no kind of entries to remove was named";
        let hint = "name a kind that `ukci cache list` shows, or remove everything with `--all`";
        return Err(Failure::says(Exit::Usage, message, Some(hint.to_owned())));
    }
    // A run that wants one of these and does not find it goes on without it.
    let spare = |kind: &Kind| matches!(kind, Kind::Templates | Kind::Verdicts);
    let _alone = if !args.all && kinds.iter().all(spare) {
        None
    } else {
        let alone = alone(dir)?;
        cache::sweep_alone(dir, &alone);
        Some(alone)
    };
    let entries: Vec<Entry> = cache::entries(dir)
        .into_iter()
        .filter(|entry| is_meant(entry.kind))
        .collect();
    remove(dir, &entries, output)
}

/// Nothing else uses files of the cache while this lives.
fn alone(dir: &Path) -> Result<InUse, Failure> {
    let lock =
        InUse::alone(dir).map_err(|error| Failure::failed_to(Action::on("lock", dir), &error))?;
    lock.ok_or_else(|| {
        let message = format!("a run is using the cache `{}`", dir.display());
        let hint = "wait until it has ended".to_owned();
        Failure::says(Exit::NoVerdict, &message, Some(hint))
    })
}

fn remove(dir: &Path, entries: &[Entry], output: Output) -> Result<Exit, Failure> {
    cache::sweep(dir);
    for entry in entries {
        cache::remove(entry)
            .map_err(|error| Failure::failed_to(Action::on("remove", &entry.path), &error))?;
    }
    let bytes = entries.iter().map(|entry| entry.size).sum();
    let what = match entries.len() {
        1 => text!("1 entry, {}", size(bytes)),
        n => text!("{} entries, {}", n, size(bytes)),
    };
    say(output, "Removed", &what);
    Ok(Exit::Met)
}

fn say(output: Output, verb: &'static str, what: &Text) {
    if output.chatty {
        output.say(&text!("{} {}", label(GOOD, verb), what));
    }
}

fn export(args: &Export, output: Output) -> Result<Exit, Failure> {
    let catalogue = lock_file::catalogue()?;
    let _in_use = InUse::shared(catalogue.cache());
    let kernels: Vec<&LockedKernel> = if args.kernel.is_empty() && args.matrix.is_none() {
        let all = catalogue.lock().kernels.iter();
        let wanted =
            |kernel: &&LockedKernel| args.arch.is_empty() || args.arch.contains(&kernel.arch);
        all.filter(wanted)
            .filter(|kernel| catalogue.is_prepared(kernel))
            .collect()
    } else {
        fetch::wanted(&args.kernel, &args.arch, args.matrix.as_deref(), &catalogue)?
    };
    if kernels.is_empty() {
        let hint = "name one with `--kernel`, or a matrix with `--matrix`".to_owned();
        return Err(Failure::says(
            Exit::NoCells,
            "the cache has no kernel to export",
            Some(hint),
        ));
    }
    let fetching = Fetching::new(output);
    for kernel in &kernels {
        named::prepare(&catalogue, kernel, &fetching)?;
    }
    let exported = cache::export(&catalogue, &kernels, args.verdicts, &args.file)
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    let verdicts = if args.verdicts {
        text!(" and {}", count(exported.verdicts, "verdict"))
    } else {
        Text::default()
    };
    let what = text!(
        "{}{} to `{}`, {}",
        count(exported.kernels, "kernel"),
        verdicts,
        harmless(&args.file.to_string_lossy()),
        size(exported.size)
    );
    say(output, "Exported", &what);
    say(output, "SHA-256", &harmless(&exported.sha256).into());
    Ok(Exit::Met)
}

fn import(args: &Import, dir: &Path, output: Output) -> Result<Exit, Failure> {
    let _in_use = InUse::shared(dir);
    let imported = cache::import(&args.file, dir)
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    let known = match imported.known {
        1 => text!("1 was"),
        n => text!("{} were", n),
    };
    let what = text!(
        "{}, {} and {}; {} in the cache before",
        count(imported.kernels, "kernel"),
        count(imported.packages, "package"),
        count(imported.verdicts, "verdict"),
        known
    );
    say(output, "Imported", &what);
    Ok(Exit::Met)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_told_in_their_largest_unit() {
        let now = SystemTime::now();
        let of = |seconds| ago(now, now - Duration::from_secs(seconds)).to_string();
        let seen = [0, 59, 60, 7300, 86400 * 3].map(of);
        assert_eq!(
            seen,
            [
                "just now",
                "just now",
                "1 minute ago",
                "2 hours ago",
                "3 days ago"
            ]
        );
        // A clock that was set back.
        assert_eq!(&*ago(now, now + Duration::from_secs(9)), "just now");
    }

    #[test]
    fn a_cache_is_listed_by_kind() {
        let dir = tempfile::tempdir().unwrap();
        for (path, length) in [
            ("packages/a.deb", 1500),
            ("verdicts/b.tar.zst", 20),
            ("verdicts/c.tar.zst", 30),
        ] {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; length]).unwrap();
        }
        let text = list(dir.path()).plain();
        let text = text.split_once("\n\n").unwrap().1;
        insta::assert_snapshot!(text);
    }
}
