//! Derives from a manifest what it says for one kernel.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Attach, FunctionalTest, Manifest, Override, Trial};
use ukci_schema::cell::Cell;
use ukci_schema::contract::{
    Boot, Contract, Expected, InnerMapTerms, MapTerms, ProgramTypeTerms, Site, Slot, Target,
    TargetShape, VariantProgram, VariantTerms,
};
use ukci_schema::verdict::Expectation;

impl Manifest {
    fn overrides_on(&self, cell: &Cell) -> Vec<&Override> {
        self.overrides
            .iter()
            .filter(|rule| rule.scope().covers(cell, &self.groups))
            .collect()
    }

    /// What is said of each program's attachment in this cell: the last word on each.
    fn attachments(&self, cell: &Cell) -> BTreeMap<&str, &Attach> {
        let own = self
            .programs
            .iter()
            .map(|program| (program.name.as_str(), &program.attach));
        let over = self
            .overrides_on(cell)
            .into_iter()
            .flat_map(|rule| &rule.programs)
            .map(|program| (program.name.as_str(), &program.attach));
        own.chain(over)
            .filter_map(|(name, attach)| Some((name, attach.as_ref()?)))
            .collect()
    }

    /// The files that it names for any kernel, each once.
    pub fn files(&self) -> Vec<&str> {
        let own = self.programs.iter().filter_map(|p| p.attach.as_ref());
        let over = self.overrides.iter().flat_map(|rule| &rule.programs);
        let over = over.filter_map(|p| p.attach.as_ref());
        let of_tests = self.functional_tests.iter().flat_map(|test| &test.files);
        let attachments = own.chain(over);
        let mut files: Vec<&str> = attachments
            .flat_map(|attach| [attach.binary.as_deref(), attach.object.as_deref()])
            .flatten()
            .collect();
        files.extend(of_tests.map(String::as_str));
        files.extend(self.btf_files());
        files.sort_unstable();
        files.dedup();
        files
    }

    /// The files of BTF among them, for any kernel.
    pub fn btf_files(&self) -> impl Iterator<Item = &str> {
        let over = self.overrides.iter();
        let over = over.filter_map(|rule| rule.btf_custom_path.as_deref());
        self.btf_custom_path.as_deref().into_iter().chain(over)
    }

    /// What the guest does for this object in this cell.
    pub fn contract(&self, cell: &Cell) -> Contract {
        let mut files = Vec::new();
        let mut btf = self.btf_custom_path.as_deref();
        let mut kconfig = self.kconfig.clone();
        let mut rodata = self.rodata.clone();
        let mut autoload: BTreeMap<String, bool> = self
            .programs
            .iter()
            .filter_map(|program| Some((program.name.clone(), program.autoload?)))
            .collect();
        for rule in self.overrides_on(cell) {
            btf = rule.btf_custom_path.as_deref().or(btf);
            kconfig.extend(rule.kconfig.clone());
            rodata.extend(rule.rodata.clone());
            autoload.extend(
                rule.programs
                    .iter()
                    .filter_map(|program| Some((program.name.clone(), program.autoload?))),
            );
        }
        let custom_btf = btf.map(|file| index_of(file, &mut files));
        let targets = self
            .attachments(cell)
            .into_iter()
            .filter_map(|(name, attach)| Some((name.to_owned(), target(attach, &mut files)?)))
            .collect();
        Contract {
            files,
            custom_btf,
            kconfig: kconfig
                .iter()
                .fold(String::new(), |mut lines, (option, value)| {
                    // Writing to a String cannot fail.
                    let _ = writeln!(lines, "{option}={value}");
                    lines
                }),
            rodata,
            autoload,
            variants: self.variant_terms(),
            companions: self.probe_companions.clone(),
            maps: self.map_terms(),
            auto_size: self.auto_size,
            program_types: self
                .program_types
                .iter()
                .map(|rule| ProgramTypeTerms {
                    program: rule.program.clone(),
                    program_type: rule.program_type,
                    attach_type: rule.attach_type,
                })
                .collect(),
            targets,
            modules: self.boot(cell).modules,
            tests: (self.functional_tests.iter())
                .map(FunctionalTest::terms)
                .collect(),
            placed: Vec::new(),
        }
    }

    fn variant_terms(&self) -> Vec<VariantTerms> {
        self.program_variants
            .iter()
            .map(|group| VariantTerms {
                group: group.group.clone(),
                programs: group
                    .programs
                    .iter()
                    .map(|variant| VariantProgram {
                        name: variant.name.clone(),
                        helper: variant.requires_helper,
                        trial_load: variant.probe == Some(Trial::TrialLoad),
                    })
                    .collect(),
            })
            .collect()
    }

    fn map_terms(&self) -> Vec<MapTerms> {
        self.maps
            .iter()
            .map(|map| MapTerms {
                name: map.name.clone(),
                map_type: map.map_type,
                key_size: map.key_size,
                value_size: map.value_size,
                map_flags: map.map_flags,
                autocreate: map.autocreate,
                pinned: map.pin.is_some(),
                max_entries: map.max_entries,
                inner: match (map.inner_ringbuf_bytes, &map.inner_map) {
                    (Some(bytes), _) => Some(InnerMapTerms::Ringbuf { bytes }),
                    (None, Some(inner)) => Some(InnerMapTerms::Map {
                        map_type: inner.map_type,
                        // An array's keys are indices of four bytes, said or not.
                        key_size: match inner.key_size {
                            None | Some(0) => 4,
                            Some(size) => size,
                        },
                        value_size: inner.value_size,
                        max_entries: inner.max_entries,
                    }),
                    (None, None) => None,
                },
                programs: (map.programs.iter())
                    .filter_map(|(index, program)| {
                        Some(Slot {
                            index: index.parse().ok()?,
                            program: program.clone(),
                        })
                    })
                    .collect(),
            })
            .collect()
    }

    /// What the host does before it boots the kernel of this cell.
    pub fn boot(&self, cell: &Cell) -> Boot {
        let mut boot = Boot {
            modules: self.modules.clone(),
            kernel_arguments: self.kernel_arguments.clone(),
        };
        for rule in self.overrides_on(cell) {
            for module in &rule.modules {
                if !boot.modules.contains(module) {
                    boot.modules.push(module.clone());
                }
            }
            boot.kernel_arguments
                .extend(rule.kernel_arguments.iter().cloned());
        }
        boot
    }

    /// What is expected in this cell.
    pub fn expected(&self, cell: &Cell) -> Expected {
        let mut expected = Expected {
            attach_optional: self
                .attachments(cell)
                .into_iter()
                .filter(|(_, attach)| attach.required == Some(false))
                .map(|(name, _)| name.to_owned())
                .collect(),
            ..Expected::default()
        };
        for rule in self
            .expect
            .iter()
            .filter(|rule| rule.scope().covers(cell, &self.groups))
        {
            let expectation = Expectation {
                verdict: rule.verdict,
                code: rule.code,
                reason: Some(rule.reason.clone()),
            };
            match &rule.program {
                Some(program) => _ = expected.programs.insert(program.clone(), expectation),
                None => expected.object = Some(expectation),
            }
        }
        expected
    }
}

/// The index of a file among those sent, to which it is added once.
fn index_of(file: &str, files: &mut Vec<String>) -> usize {
    files
        .iter()
        .position(|known| known == file)
        .unwrap_or_else(|| {
            files.push(file.to_owned());
            files.len() - 1
        })
}

/// Where an attachment goes; `None` if the manifest leaves it to the section.
fn target(attach: &Attach, files: &mut Vec<String>) -> Option<Target> {
    let kind = attach.implied_kind()?;
    let mut file = |name: &Option<String>| name.as_deref().map(|file| index_of(file, files));
    let offset = attach.offset.unwrap_or_default();
    let site = match kind.shape() {
        TargetShape::Function => Site::Function {
            symbol: attach.symbol.clone().or_else(|| attach.name.clone())?,
            offset,
        },
        TargetShape::Tracepoint => Site::Tracepoint {
            category: attach.category.clone()?,
            name: attach.name.clone()?,
        },
        TargetShape::RawTracepoint => Site::RawTracepoint {
            name: attach.name.clone()?,
        },
        TargetShape::User => {
            attach
                .symbol
                .as_ref()
                .map(|_| ())
                .or(attach.offset.map(|_| ()))?;
            Site::User {
                file: file(&attach.binary),
                symbol: attach.symbol.clone(),
                offset,
            }
        }
        TargetShape::Usdt => Site::Usdt {
            provider: attach.provider.clone()?,
            name: attach.name.clone()?,
            file: file(&attach.binary),
        },
        TargetShape::Program => {
            let program = attach.name.clone()?;
            Site::Program {
                function: attach.symbol.clone().unwrap_or_else(|| program.clone()),
                file: file(&attach.object)?,
                program,
            }
        }
        TargetShape::Made => return None,
    };
    Some(Target { kind, site })
}
