//! Maps that the kernel refused to create.

use super::{capability, kernel_name, loader, map_in_map, map_limit, map_type, memory};
use crate::case::{Whole, needs_option};
use crate::errno::{self, E2BIG, EBADF, EINVAL, ENOMEM, EPERM};
use crate::finding::{Found, brought, diagnosis};
use crate::said::Said;
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Evidence, FeatureKind, MapEvidence, StepOutcome};
use ukci_schema::history;
use ukci_schema::plural::count;
use ukci_schema::verdict::Stage;

/// The first refused map, one that is refused whatever the guest's memory before others.
pub(crate) fn refused(whole: &Whole<'_>) -> Option<Found> {
    let found: Vec<Found> = guilty(whole)
        .map(|(map, errno)| Found {
            rule: "map",
            diagnosis: diagnose(map, errno, whole),
        })
        .collect();
    let certain = found
        .iter()
        .find(|found| found.diagnosis.code != Code::GuestResources);
    let mut first = certain.or(found.first())?.clone();
    // A loader contract tells of all maps that wait for their loader.
    let alike = |other: &Diagnosis| {
        let contract = Code::LoaderContract;
        other.headline == first.diagnosis.headline
            || other.code == Code::GuestResources
            || (other.code == contract && first.diagnosis.code == contract)
    };
    let mut others: Vec<&str> = (found.iter().map(|found| &found.diagnosis))
        .filter(|other| !alike(other))
        .map(|other| {
            other
                .headline
                .strip_prefix(REFUSED)
                .unwrap_or(&other.headline)
        })
        .collect();
    others.dedup();
    if let [next, rest @ ..] = others.as_slice() {
        let more = match rest.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        first
            .diagnosis
            .hints
            .push(format!("look at its other maps as well: {next}{more}"));
    }
    Some(first)
}

/// How most headlines begin.
const REFUSED: &str = "the kernel refused to create ";

/// The refused maps of these names, with the errno.
pub(crate) fn refused_among(whole: &Whole<'_>, names: &[String]) -> Option<Diagnosis> {
    let (map, errno) = guilty(whole).find(|(map, _)| {
        // Global data is named by its section in the ELF, and after the object in libbpf.
        let is = |name: &String| {
            *name == map.name || (name.starts_with('.') && map.name.ends_with(name.as_str()))
        };
        names.iter().any(is)
    })?;
    Some(diagnose(map, errno, whole))
}

/// Maps that were refused alone; or, where the guest did not try them alone (`struct_ops`), those
/// that libbpf named when it gave up the whole object.
fn guilty<'a>(whole: &'a Whole<'_>) -> impl Iterator<Item = (&'a MapEvidence, Option<i32>)> {
    whole
        .evidence
        .maps
        .iter()
        .filter_map(|map| match map.created {
            StepOutcome::Refused => {
                // Without its BTF a map may be refused for the lack of it: the limit came first.
                let too_large = Said::MapRetried {
                    map: &map.name,
                    errno: "E2BIG",
                };
                let first = whole.has_said(&too_large).then_some(E2BIG);
                Some((map, first.or(map.errno)))
            }
            StepOutcome::Ok => None,
            StepOutcome::NotAttempted => {
                let failed = whole.heard(|said| match *said {
                    Said::MapFailed { map: name, errno } if name == map.name => Some(errno),
                    _ => None,
                })?;
                let errno = [EINVAL, E2BIG, ENOMEM, EPERM, EBADF]
                    .into_iter()
                    .find(|errno| errno::name(Some(*errno)) == failed);
                Some((map, errno.or(whole.evidence.load.errno)))
            }
        })
}

/// A refused map: one of the object's, or the inner map of one, which libbpf creates before it.
#[derive(Clone, Copy)]
pub(super) struct Refused<'a> {
    /// What was refused.
    pub(super) map: &'a MapEvidence,
    /// The map of maps that it is the inner map of.
    pub(super) outer: Option<&'a MapEvidence>,
}

impl<'a> Refused<'a> {
    /// What of a map was refused.
    pub(super) fn of(whole: &Whole<'_>, map: &'a MapEvidence) -> Self {
        match map.inner.as_deref().filter(|_| is_of_inner(whole, map)) {
            Some(inner) => Self {
                map: inner,
                outer: Some(map),
            },
            None => Self { map, outer: None },
        }
    }

    /// `` map `m` (hash) `` or `` the inner map (hash) of map `m` (array_of_maps) ``.
    pub(super) fn called(self) -> String {
        let kind = &self.map.map_type;
        match self.outer {
            None => format!("map `{}` ({kind})", self.map.name),
            Some(MapEvidence { name, map_type, .. }) => {
                format!("the inner map ({kind}) of map `{name}` ({map_type})")
            }
        }
    }

    /// The same without types.
    fn named(self) -> String {
        match self.outer {
            None => format!("map `{}`", self.map.name),
            Some(outer) => format!("the inner map of `{}`", outer.name),
        }
    }
}

/// Whether it is the inner map of a map of maps that was refused.
pub(super) fn is_of_inner(whole: &Whole<'_>, map: &MapEvidence) -> bool {
    let inner = map.inner.as_deref().map(|inner| inner.created);
    inner == Some(StepOutcome::Refused) || whole.has_said(&Said::InnerMapFailed(&map.name))
}

fn diagnose(map: &MapEvidence, errno: Option<i32>, whole: &Whole<'_>) -> Diagnosis {
    let evidence = whole.evidence;
    let of = Refused::of(whole, map);
    let kind = &of.map.map_type;
    let present = whole
        .features(FeatureKind::MapType, kind)
        .find_map(|f| f.present);
    let slot = whole.heard(|said| match *said {
        Said::MapSlot {
            map: of,
            slot,
            put,
            errno,
        } if of == map.name => Some((slot, put, errno)),
        _ => None,
    });
    let (code, headline, hints) = if present == Some(false) {
        unsupported(of, evidence)
    } else if let Some(slot) = slot {
        unfit_slot(map, slot, evidence)
    } else if loader::share(whole, map, errno).is_some() {
        return loader::maps(whole, guilty(whole));
    } else if let Some((why, hint)) =
        map_limit::whatever_memory(of.map).filter(|_| errno == Some(ENOMEM))
    {
        let headline = format!(
            "the kernel refused to create {}: {why} ({}; ENOMEM)",
            of.called(),
            shape(of.map)
        );
        (Code::MapRefused, headline, vec![hint])
    } else if errno == Some(ENOMEM) {
        let purpose = format!("create {} of {}", of.called(), shape(of.map));
        let found = memory::too_little(evidence, &purpose, Stage::Load);
        (found.code, found.headline, found.hints)
    } else if errno == Some(EPERM) {
        let headline = format!(
            "the kernel did not permit {} to be created (EPERM)",
            of.called()
        );
        let hint = "give the loader CAP_BPF, or CAP_SYS_ADMIN below 5.8";
        match capability::missing(evidence) {
            Some(missing) => (
                Code::CapabilityFailure,
                format!("{headline}: the loader lacks {missing}"),
                vec![hint.into()],
            ),
            None => (
                Code::MapRefused,
                headline,
                vec![capability::NOT_MISSING.into()],
            ),
        }
    } else if let Some((headline, hint)) = map_in_map::refused(map, errno, is_of_inner(whole, map))
    {
        (Code::MapRefused, headline, vec![hint])
    } else {
        refused_shape(of, errno, evidence)
    };
    Diagnosis {
        excerpt: text::libbpf_excerpt(&evidence.log),
        ..diagnosis(code, Stage::Load, headline, hints)
    }
}

/// The map itself is good; what the object puts into a slot of it is not as its inner map is
/// declared: `map 'outer': failed to initialize slot [0] to map 'other' fd=5: -EINVAL`.
fn unfit_slot(
    map: &MapEvidence,
    (slot, put, errno): (&str, &str, &str),
    evidence: &Evidence,
) -> (Code, String, Vec<String>) {
    let of = evidence.maps.iter().find(|other| other.name == put);
    let of = of.map_or_else(String::new, |of| {
        format!(" ({}, {})", of.map_type, shape(of))
    });
    let headline = format!(
        "the kernel refused map `{put}`{of} in slot {slot} of `{}`: it differs from the declared \
         inner map ({errno})",
        map.name
    );
    let hint = "give it the type, key size, value size and flags of the declared inner map, and for \
                arrays the same number of entries, unless BPF_F_INNER_MAP is set (5.10)";
    (Code::MapRefused, headline, vec![hint.into()])
}

/// The options without which a kernel lacks a type of maps (`include/linux/bpf_types.h`).
const MAP_OPTIONS: &[(&str, &str)] = &[
    ("cgroup_array", "CGROUPS"),
    ("cgroup_storage", "CGROUP_BPF"),
    ("cgrp_storage", "CGROUPS"),
    ("inode_storage", "BPF_LSM"),
    ("percpu_cgroup_storage", "CGROUP_BPF"),
    ("xskmap", "XDP_SOCKETS"),
];

fn unsupported(of: Refused<'_>, evidence: &Evidence) -> (Code, String, Vec<String>) {
    let kind = &of.map.map_type;
    let release = &evidence.guest.release;
    let headline = format!(
        "the kernel has no map type `{kind}`{}, which {} needs",
        brought(release, history::map_type(kind)),
        of.named()
    );
    let instead = match kind.as_str() {
        "ringbuf" => "fall back to a `perf_event_array` where the kernel has no ring buffer".into(),
        "bloom_filter" => "fall back to a `hash` map where the kernel has no bloom filter".into(),
        "task_storage" | "cgrp_storage" | "inode_storage" | "sk_storage" => {
            format!("fall back to a `hash` map keyed by id if the kernel has no `{kind}`")
        }
        "arena" => {
            "fall back to an `array` with BPF_F_MMAPABLE where the kernel has no arena".into()
        }
        _ => format!("use another map type where the kernel has no `{kind}`"),
    };
    let option = MAP_OPTIONS.iter().find(|(known, _)| known == kind);
    let option =
        option.and_then(|(_, option)| needs_option(evidence, option, history::map_type(kind)));
    let hints = option.into_iter().chain([
        instead,
        format!(
            "make it optional: if the type is missing, call `bpf_map__set_autocreate({}, false)` \
             and switch off the programs that use it (`bpf_program__set_autoload`)",
            of.outer.unwrap_or(of.map).name
        ),
    ]);
    (Code::UnsupportedMapType, headline, hints.collect())
}

/// The type is known; its sizes or flags are not accepted.
fn refused_shape(
    of: Refused<'_>,
    errno: Option<i32>,
    evidence: &Evidence,
) -> (Code, String, Vec<String>) {
    let map = of.map;
    let kind = &map.map_type;
    let release = &evidence.guest.release;
    let mut hints = Vec::new();
    let flags = history::map_flags(map.flags);
    let new: Vec<String> = flags
        .iter()
        .filter(|flag| history::is_older(release, flag.release))
        .map(|flag| format!("{} (mainline {})", flag.name, flag.release))
        .collect();
    let why = if errno == Some(E2BIG) {
        let (why, hint) = map_limit::exceeded(map, evidence);
        hints.push(hint);
        why
    } else if map.map_type == "struct_ops" && new.iter().any(|flag| flag.starts_with("BPF_F_LINK"))
    {
        hints.push(
            "write `SEC(\".struct_ops\")` in place of `SEC(\".struct_ops.link\")` for kernels that \
             do not attach `struct_ops` with a link: libbpf sets BPF_F_LINK for the latter"
                .into(),
        );
        "its section `.struct_ops.link` asks for BPF_F_LINK (mainline 6.4)".to_owned()
    } else if !new.is_empty() {
        hints.push(format!(
            "do not set these flags on kernels that do not know them: {}",
            new.join(", ")
        ));
        format!(
            "it has flags that are newer than this kernel: {}",
            new.join(", ")
        )
    } else if let Some(bad) = kernel_name::unaccepted(&map.name) {
        hints.push(kernel_name::RENAME.to_owned());
        format!("it does not accept the name, which has `{bad}`")
    } else if let Some((why, hint)) = map_type::broken_rule(map, known_flags()) {
        hints.push(hint);
        why
    } else {
        "its sizes or flags are not accepted".to_owned()
    };
    if hints.is_empty() {
        hints.push(format!(
            "compare its sizes and flags with what this kernel allows for `{kind}` maps"
        ));
    }
    let headline = format!(
        "the kernel refused to create {}: {why} ({}; {})",
        of.called(),
        shape(map),
        errno::name(errno)
    );
    (Code::MapRefused, headline, hints)
}

/// Every flag in the table.
fn known_flags() -> u32 {
    let bits = history::map_flags(u32::MAX);
    bits.iter()
        .filter_map(|flag| flag.number)
        .map(|bit| 1 << bit)
        .sum()
}

pub(super) fn shape(map: &MapEvidence) -> String {
    let flags = history::map_flags(map.flags);
    let flags = match flags.as_slice() {
        [] if map.flags == 0 => String::new(),
        [] => format!(", flags {:#x}", map.flags),
        known => {
            let mut names: Vec<String> = known.iter().map(|flag| flag.name.to_owned()).collect();
            let rest = map.flags & !known_flags();
            names.extend((rest != 0).then(|| format!("{rest:#x}")));
            format!(", flags {}", names.join("|"))
        }
    };
    let MapEvidence {
        key_size,
        value_size,
        max_entries,
        ..
    } = map;
    let extra = match map.extra {
        0 => String::new(),
        extra => format!(", map_extra {extra:#x}"),
    };
    format!(
        "key {}, value {}, {max_entries} entr{}{flags}{extra}",
        count(*key_size, "byte"),
        count(*value_size, "byte"),
        if *max_entries == 1 { "y" } else { "ies" }
    )
}
