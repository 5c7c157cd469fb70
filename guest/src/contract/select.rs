//! Selects the programs of an object that are loaded: those that the manifest switches on and, from
//! each group of variants, the first that this kernel accepts.

use std::collections::BTreeMap;

use ukci_schema::contract::{VariantProgram, VariantTerms};
use ukci_schema::glob;

use super::{AUTO_SIZE, Terms};
use crate::bpf::{self, Object};
use crate::libbpf_log::captured;

/// What became of the object before anything was asked of the kernel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selected {
    /// Why programs are off, by name.
    pub(crate) off: BTreeMap<String, String>,
    /// What was changed, one sentence each.
    pub(crate) edits: Vec<String>,
}

impl Terms<'_> {
    /// Switches programs on and off as the manifest says, and picks variants. Says why
    /// each program that is now off is so, and what was changed.
    pub(crate) fn select(&self, bytes: &[u8], object: &Object) -> Selected {
        let mut selected = Selected::default();
        let programs = object.programs();
        for program in &programs {
            let name = program.name();
            let said = self.contract.autoload.iter();
            let said = said.map(|(pattern, on)| (pattern.as_str(), on));
            let Some(on) = glob::closest(said, &name) else {
                continue;
            };
            if *on != program.autoload() {
                let word = if *on { "on" } else { "off" };
                selected
                    .edits
                    .push(format!("program `{name}`: switched {word}"));
            }
            program.set_autoload(*on);
            if !on {
                let why = "the manifest switches it off".to_owned();
                selected.off.insert(name, why);
            }
        }
        for group in &self.contract.variants {
            let chosen = group
                .programs
                .iter()
                .find(|variant| self.fits(bytes, variant))
                .map(|variant| variant.name.as_str());
            Self::settle(group, chosen, object, &mut selected);
        }
        for map in object.maps() {
            let mut on = self.terms_of(&map.name()).into_iter().rev();
            if let Some(on) = on.find_map(|terms| terms.autocreate) {
                map.set_autocreate(on);
            }
        }
        for map in self.without_size(object) {
            let name = map.name();
            selected
                .edits
                .push(format!("map `{name}`: max_entries {AUTO_SIZE} (auto_size)"));
        }
        selected
    }

    fn settle(
        group: &VariantTerms,
        chosen: Option<&str>,
        object: &Object,
        selected: &mut Selected,
    ) {
        let named = &group.group;
        let edit = match chosen {
            Some(chosen) => format!("variant group `{named}`: `{chosen}` picked"),
            None => format!("variant group `{named}`: no program fits this kernel, so all are off"),
        };
        selected.edits.push(edit);
        for program in object.programs() {
            let name = program.name();
            if !group.programs.iter().any(|variant| variant.name == name) {
                continue;
            }
            let on = chosen == Some(&name);
            program.set_autoload(on);
            if on {
                selected.off.remove(&name);
            } else {
                let why = match chosen {
                    Some(chosen) => format!("variant group `{named}` uses `{chosen}` here"),
                    None => format!("no variant of group `{named}` fits this kernel"),
                };
                selected.off.insert(name, why);
            }
        }
    }

    /// Whether the kernel can take a variant.
    fn fits(&self, bytes: &[u8], variant: &VariantProgram) -> bool {
        if let Some(helper) = variant.helper {
            let has = bpf::probe_helper(libbpf_sys::BPF_PROG_TYPE_RAW_TRACEPOINT, helper.id());
            if has != Some(true) {
                return false;
            }
        }
        if !variant.trial_load {
            return true;
        }
        let on = |name: &str| {
            name == variant.name || self.contract.companions.iter().any(|other| other == name)
        };
        let trial = || {
            let mut copy = self.open_shaped(bytes, 0, |object| {
                for program in object.programs() {
                    program.set_autoload(on(&program.name()));
                }
            })?;
            copy.load()
        };
        captured(trial).0.is_ok()
    }
}
