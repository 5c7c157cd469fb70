//! Finds what the names and sections of several programs have in common.

/// The words of a name that only say how a program is attached, or which of several it is.
const FILLERS: [&str; 22] = [
    "fentry",
    "fexit",
    "kprobe",
    "kretprobe",
    "ksyscall",
    "entry",
    "exit",
    "return",
    "ret",
    "tp",
    "btf",
    "raw",
    "rawtp",
    "tracepoint",
    "handle",
    "trace",
    "probe",
    "kp",
    "krp",
    "fmod",
    "prog",
    "bpf",
];

/// The words that say which of two generations a program is.
const GENERATIONS: [&str; 5] = ["old", "new", "legacy", "compat", "fallback"];

/// A name without the words that only say how the program is attached.
pub(super) fn stem(name: &str) -> String {
    without(name, &FILLERS)
}

/// A name without the words that say which generation it is.
pub(super) fn generation_stem(name: &str) -> String {
    without(name, &GENERATIONS)
}

fn without(name: &str, fillers: &[&str]) -> String {
    let words = name.split('_').filter(|word| !fillers.contains(word));
    words.collect::<Vec<_>>().join("_")
}

/// How a section attaches, and to what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hook<'s> {
    /// The word before the `/`, without `?` and `.s`.
    pub(super) kind: &'s str,
    /// What stands after it; empty if nothing does.
    pub(super) target: &'s str,
}

impl<'s> Hook<'s> {
    pub(super) fn of(section: &'s str) -> Self {
        let section = section.trim_start_matches('?');
        let (kind, target) = section.split_once('/').unwrap_or((section, ""));
        let kind = kind.strip_suffix(".s").unwrap_or(kind);
        Self { kind, target }
    }

    /// Whether it runs when a function returns.
    pub(super) fn is_return(&self) -> bool {
        matches!(self.kind, "fexit" | "kretprobe" | "kretsyscall")
    }

    /// How good a way this is to watch the kernel, 0 being the best; none for others.
    pub(super) fn rank(&self) -> Option<u8> {
        match self.kind {
            "fentry" | "fexit" | "fmod_ret" | "tp_btf" => Some(0),
            "raw_tp" | "raw_tracepoint" => Some(1),
            "kprobe" | "kretprobe" | "ksyscall" | "kretsyscall" => Some(2),
            "tp" | "tracepoint" => Some(3),
            _ => None,
        }
    }

    /// Whether its target is a word that stands for one, which the loader replaces.
    pub(super) fn is_placeholder(&self) -> bool {
        self.rank().is_some() && ukci_schema::placeholder::is_placeholder(self.target)
    }
}
