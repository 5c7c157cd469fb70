//! Checks a manifest against its object and the catalogue.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Attach, AttachKind, Expect, KconfigValue, Manifest, Map, MapType, Override, Problem, Program,
    ProgramType,
};
use crate::authored::{Path, instead_of};
use crate::nearest::nearest;
use crate::pattern::Pattern;
use ukci_schema::glob;

/// The names in an object, as its ELF and BTF have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectNames {
    /// Its programs, by C function.
    pub programs: BTreeMap<String, ProgramNames>,
    /// Its maps, by name, each with libbpf's word for its type where that is known.
    pub maps: BTreeMap<String, Option<String>>,
    /// The variables of its read-only data.
    pub rodata: BTreeSet<String>,
    /// Its `CONFIG_` externs.
    pub kconfig: BTreeSet<String>,
}

/// One program of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramNames {
    /// The section, with its leading `?` where it has one.
    pub section: String,
    /// libbpf's word for its type; `None` if libbpf cannot tell it from the section.
    pub program_type: Option<String>,
}

/// A map as its object declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapShape {
    /// Its type; none for one without a word.
    pub map_type: Option<MapType>,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Most entries.
    pub max_entries: u32,
    /// Its flags.
    pub flags: u32,
    /// Whether it declares what its inner maps look like.
    pub has_inner: bool,
    /// Whether libbpf pins it.
    pub pinned: bool,
}

/// All that an object says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectFacts {
    /// Its names.
    pub names: ObjectNames,
    /// The maps that its BTF declares, by name.
    pub maps: BTreeMap<String, MapShape>,
    /// The helpers that each program calls itself, by number.
    pub helpers: BTreeMap<String, BTreeSet<u32>>,
}

impl Manifest {
    /// Compares the manifest with its object: every name in it must be there and be what the
    /// manifest takes it for. Every mistake is returned, in the order of the keys.
    pub fn check_object(&self, object: &ObjectNames) -> Vec<Problem> {
        let mut check = Check {
            manifest: self,
            object,
            problems: Vec::new(),
        };
        check.programs();
        check.maps();
        check.program_types();
        check.variants();
        check.variables(
            &"kconfig".into(),
            &self.kconfig,
            &"rodata".into(),
            self.rodata.keys(),
        );
        check.overrides();
        check.tests();
        for (n, rule) in self.expect.iter().enumerate() {
            if let Some(program) = &rule.program {
                check.program(&Path::from("expect").then(n).then("program"), program);
            }
        }
        check.problems
    }

    /// Refuses rules that cover no kernel of the catalogue, which `known` are the names of.
    pub fn check_kernels<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> Vec<Problem> {
        let known: Vec<&str> = known.into_iter().collect();
        let overrides = self.overrides.iter().map(Override::scope).enumerate();
        let expect = self.expect.iter().map(Expect::scope).enumerate();
        let rules = (overrides.map(|(n, scope)| (Path::from("overrides").then(n), scope)))
            .chain(expect.map(|(n, scope)| (Path::from("expect").then(n), scope)));
        let mut problems = Vec::new();
        for (at, scope) in rules {
            if let Err(senseless) = scope.check_groups(&self.groups) {
                problems.push(Problem::senseless(&at, senseless));
                continue;
            }
            for (n, pattern) in scope.kernels.unwrap_or_default().iter().enumerate() {
                if !known
                    .iter()
                    .any(|kernel| self.groups.covers(pattern, kernel))
                {
                    problems.push(covers_nothing(&at.then("kernels").then(n), pattern, &known));
                }
            }
        }
        problems
    }

    /// The kernels without which the run may not start and that are not among `selected`.
    pub fn check_required<'a>(&self, selected: impl IntoIterator<Item = &'a str>) -> Vec<Problem> {
        let selected: BTreeSet<&str> = selected.into_iter().collect();
        let list = Path::from("required_profiles");
        self.required_profiles
            .iter()
            .enumerate()
            .filter(|(_, name)| !selected.contains(name.as_str()))
            .map(|(n, name)| {
                Problem::value(
                    list.then(n),
                    format!("the run lacks the required kernel `{name}`"),
                )
                .hint(Some(
                    "select it, or take it from `required_profiles`".to_owned(),
                ))
            })
            .collect()
    }
}

fn covers_nothing(at: &Path, pattern: &Pattern, known: &[&str]) -> Problem {
    let near = nearest(pattern.as_str().trim_matches('*'), known.iter().copied());
    Problem::value(
        at.clone(),
        format!("`{pattern}` covers no kernel of the catalogue"),
    )
    .hint(instead_of(pattern.as_str(), &near))
}

struct Check<'m> {
    manifest: &'m Manifest,
    object: &'m ObjectNames,
    problems: Vec<Problem>,
}

impl<'m> Check<'m> {
    fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Reports a name that the object lacks.
    fn absent<'n>(
        &mut self,
        problem: fn(Path, String) -> Problem,
        at: &Path,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.into_iter().collect();
        let hint = match known.as_slice() {
            [] => Some(format!("the object has no {what} at all")),
            known => instead_of(name, known),
        };
        self.report(problem(at.clone(), format!("the object has no {what} `{name}`")).hint(hint));
    }

    fn program(&mut self, at: &Path, name: &str) -> Option<&'m ProgramNames> {
        let object = self.object;
        let found = object.programs.get(name);
        if found.is_none() {
            let known = object.programs.keys().map(String::as_str);
            self.absent(Problem::value, at, "program", name, known);
        }
        found
    }

    fn programs(&mut self) {
        let list = Path::from("programs");
        for (n, program) in self.manifest.programs.iter().enumerate() {
            let at = list.then(n);
            for (name, found) in self.covered(&at.then("name"), &program.name) {
                self.program_is(&at, program, name, found);
            }
        }
    }

    /// The programs that a pattern covers, at least one.
    fn covered(&mut self, at: &Path, pattern: &str) -> Vec<(&'m str, &'m ProgramNames)> {
        let object = self.object;
        let programs = (object.programs.iter()).map(|(name, found)| (name.as_str(), found));
        let covered: Vec<_> = programs
            .filter(|(name, _)| glob::covers(pattern, name))
            .collect();
        if covered.is_empty() {
            let known = object.programs.keys().map(String::as_str);
            self.absent(Problem::value, at, "program", pattern, known);
        }
        covered
    }

    /// What is said of a program is so.
    fn program_is(&mut self, at: &Path, program: &Program, name: &str, found: &ProgramNames) {
        // A `?` only says that libbpf does not load it by itself.
        let bare = |section: &str| section.trim_start_matches('?').to_owned();
        if let Some(section) = &program.section
            && bare(section) != bare(&found.section)
        {
            let what = format!("program `{name}` is in section `{}`", found.section);
            self.report(Problem::value(at.then("section"), what));
        }
        let program_type = self.type_of(name, found);
        if let (Some(word), Some(actual)) = (&program.program_type, program_type)
            && !stands_for(word, actual)
        {
            let what = format!("program `{name}` is of type `{actual}`");
            self.report(Problem::value(at.then("type"), what));
        }
        if let Some(attach) = &program.attach {
            self.kind(&at.then("attach"), name, attach, program_type);
        }
    }

    /// The type that a program has once the manifest's rules are applied.
    fn type_of<'a>(&self, name: &str, found: &'a ProgramNames) -> Option<&'a str> {
        self.manifest
            .program_types
            .iter()
            .rev()
            .find(|rule| rule.program == name || rule.program == found.section)
            .map(|rule| rule.program_type.name())
            .or(found.program_type.as_deref())
    }

    fn kind(&mut self, at: &Path, name: &str, attach: &Attach, program_type: Option<&str>) {
        if let (Some(kind), Some(actual)) = (attach.implied_kind(), program_type)
            && !kind.program_types().contains(&actual)
        {
            let what = format!(
                "program `{name}` is of type `{actual}`, which is not attached as `{kind}`"
            );
            let kinds: Vec<&str> = AttachKind::all()
                .iter()
                .copied()
                .filter(|kind| {
                    AttachKind::named(kind)
                        .is_some_and(|kind| kind.program_types().contains(&actual))
                })
                .collect();
            let hint = (!kinds.is_empty())
                .then(|| format!("type `{actual}` is attached as {}", list_of(&kinds)));
            self.report(Problem::value(at.then("kind"), what).hint(hint));
        }
    }

    fn maps(&mut self) {
        let object = self.object;
        let list = Path::from("maps");
        for (n, map) in self.manifest.maps.iter().enumerate() {
            let at = list.then(n);
            let covered: Vec<&Option<String>> = (object.maps.iter())
                .filter(|(name, _)| glob::covers(&map.name, name))
                .map(|(_, map_type)| map_type)
                .collect();
            if covered.is_empty() {
                let known = object.maps.keys().map(String::as_str);
                self.absent(Problem::value, &at.then("name"), "map", &map.name, known);
            }
            for map_type in covered.into_iter().filter_map(Option::as_ref) {
                let said = map.map_type.map_or(map_type.as_str(), |named| named.name());
                self.map(&at, map, said);
            }
        }
    }

    fn map(&mut self, at: &Path, map: &Map, map_type: &str) {
        let inner = match (map.inner_ringbuf_bytes, &map.inner_map) {
            (Some(_), _) => "inner_ringbuf_bytes",
            (_, Some(_)) => "inner_map",
            _ => "",
        };
        if !inner.is_empty() && !matches!(map_type, "array_of_maps" | "hash_of_maps") {
            let what = format!(
                "map `{}` is of type `{map_type}`, which has no inner maps",
                map.name
            );
            self.report(Problem::key(at.then(inner), what));
        }
        // `bpf_local_storage_map_alloc_check` refuses any other number.
        if map.max_entries.is_some()
            && map_type.ends_with("_storage")
            && !map_type.contains("cgroup_storage")
        {
            let what = format!(
                "map `{}` is of type `{map_type}`, whose entries must be 0",
                map.name
            );
            self.report(Problem::key(at.then("max_entries"), what));
        }
    }

    /// What tests and program arrays name.
    fn tests(&mut self) {
        let manifest = self.manifest;
        for (n, map) in manifest.maps.iter().enumerate() {
            let at = Path::from("maps").then(n).then("programs");
            for (slot, program) in &map.programs {
                self.program(&at.then(slot.as_str()), program);
            }
        }
        let list = Path::from("functional_tests");
        for (n, test) in manifest.functional_tests.iter().enumerate() {
            let at = list.then(n);
            if let Some(run) = &test.prog_run {
                self.program(&at.then("prog_run").then("program"), &run.program);
            }
            for (m, runs) in test.expect_runs.iter().enumerate() {
                let at = at.then("expect_runs").then(m).then("program");
                self.program(&at, &runs.program);
            }
            for (m, events) in test.expect_events.iter().enumerate() {
                let at = at.then("expect_events").then(m).then("map");
                self.map_named(&at, &events.map);
                self.has_events(&at, &events.map);
            }
            for (m, map) in test.expect_maps.iter().enumerate() {
                self.map_named(&at.then("expect_maps").then(m).then("map"), &map.map);
            }
        }
    }

    /// A program writes events to such a map, and its user reads them.
    fn has_events(&mut self, at: &Path, name: &str) {
        const EVENTS: [&str; 2] = ["ringbuf", "perf_event_array"];
        let object = self.object;
        let Some(Some(map_type)) = object.maps.get(name) else {
            return;
        };
        let in_manifest = self.manifest.maps.iter().rev();
        let said = in_manifest
            .filter(|map| glob::covers(&map.name, name))
            .find_map(|map| map.map_type);
        let map_type = said.map_or(map_type.as_str(), |named| named.name());
        if !EVENTS.contains(&map_type) {
            let what = format!("map `{name}` is of type `{map_type}`, which has no events");
            let hint = "name a ring buffer or a perf event array here, and a map whose entries are \
                        to be read in `expect_maps`";
            self.report(Problem::value(at.clone(), what).hint(hint.to_owned()));
        }
    }

    /// A map of the object. Those of its variables have no names of their own.
    fn map_named(&mut self, at: &Path, name: &str) {
        let object = self.object;
        if !name.starts_with('.') && !object.maps.contains_key(name) {
            let known = object.maps.keys().map(String::as_str);
            self.absent(Problem::value, at, "map", name, known);
        }
    }

    fn program_types(&mut self) {
        let object = self.object;
        let list = Path::from("program_types");
        for (n, rule) in self.manifest.program_types.iter().enumerate() {
            let named = object.programs.contains_key(&rule.program);
            if !named
                && !object
                    .programs
                    .values()
                    .any(|found| found.section == rule.program)
            {
                let known = object
                    .programs
                    .iter()
                    .flat_map(|(name, found)| [name.as_str(), found.section.as_str()]);
                let at = list.then(n).then("program");
                self.absent(
                    Problem::value,
                    &at,
                    "program or section",
                    &rule.program,
                    known,
                );
            }
        }
    }

    fn variants(&mut self) {
        for (n, group) in self.manifest.program_variants.iter().enumerate() {
            let programs = Path::from("program_variants").then(n).then("programs");
            for (m, variant) in group.programs.iter().enumerate() {
                self.program(&programs.then(m).then("name"), &variant.name);
            }
        }
        for (n, companion) in self.manifest.probe_companions.iter().enumerate() {
            self.program(&Path::from("probe_companions").then(n), companion);
        }
    }

    fn variables<'a>(
        &mut self,
        kconfig_at: &Path,
        kconfig: &BTreeMap<String, KconfigValue>,
        rodata_at: &Path,
        rodata: impl Iterator<Item = &'a String>,
    ) {
        let object = self.object;
        for name in kconfig
            .keys()
            .filter(|name| !object.kconfig.contains(*name))
        {
            let at = kconfig_at.then(name.as_str());
            let known = object.kconfig.iter().map(String::as_str);
            self.absent(Problem::key, &at, "extern", name, known);
        }
        for name in rodata.filter(|name| !object.rodata.contains(*name)) {
            let at = rodata_at.then(name.as_str());
            let known = object.rodata.iter().map(String::as_str);
            self.absent(Problem::key, &at, "read-only variable", name, known);
        }
    }

    fn overrides(&mut self) {
        for (n, rule) in self.manifest.overrides.iter().enumerate() {
            let at = Path::from("overrides").then(n);
            for (m, program) in rule.programs.iter().enumerate() {
                let at = at.then("programs").then(m);
                for (name, found) in self.covered(&at.then("name"), &program.name) {
                    if let Some(attach) = &program.attach {
                        let program_type = self.type_of(name, found);
                        self.kind(&at.then("attach"), name, attach, program_type);
                    }
                }
            }
            self.variables(
                &at.then("kconfig"),
                &rule.kconfig,
                &at.then("rodata"),
                rule.rodata.keys(),
            );
        }
    }
}

/// Whether a manifest's word for a type, or for a kind of attachment, is the object's type.
fn stands_for(word: &str, actual: &str) -> bool {
    // `lsm` and `xdp` are both a type and a kind; the type is the narrower.
    if ProgramType::named(word).is_some() {
        return word == actual;
    }
    AttachKind::named(word).is_some_and(|kind| kind.program_types().contains(&actual))
}

fn list_of(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
