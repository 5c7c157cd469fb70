//! The inner maps that a manifest gives to maps of maps.

use ukci_schema::contract::InnerMapTerms;
use ukci_schema::evidence::MapEvidence;

use super::{Terms, map_type};
use crate::bpf::{self, Errno, InnerMap, Map, Object};
use crate::libbpf_log::note;

impl Terms<'_> {
    /// Makes the inner map of the map at `index`, if the manifest gives it one. A refusal is told in
    /// libbpf's words for the inner maps that an object declares.
    pub(super) fn give_inner_map(
        &self,
        object: &mut Object,
        index: usize,
        name: &str,
    ) -> Result<(), Errno> {
        let Some(terms) = self.inner_terms(name) else {
            return Ok(());
        };
        if !object.maps().get(index).is_some_and(Map::autocreate) {
            return Ok(());
        }
        object
            .give_inner_map(index, shape(terms)?)
            .inspect_err(|errno| {
                note(&format!(
                    "libbpf: map '{name}': failed to create inner map: -{errno}"
                ));
            })
    }

    /// The inner map that the manifest gives to a map, as evidence has it.
    pub(crate) fn inner_map(&self, name: &str) -> Option<MapEvidence> {
        let InnerMap {
            kind,
            key_size,
            value_size,
            max_entries,
        } = shape(self.inner_terms(name)?).ok()?;
        Some(MapEvidence {
            name: format!("{name}.inner"),
            map_type: bpf::map_type_name(kind),
            key_size,
            value_size,
            max_entries,
            autocreate: true,
            ..MapEvidence::default()
        })
    }

    fn inner_terms(&self, name: &str) -> Option<&InnerMapTerms> {
        let mut closest_first = self.terms_of(name).into_iter().rev();
        closest_first.find_map(|terms| terms.inner.as_ref())
    }
}

fn shape(terms: &InnerMapTerms) -> Result<InnerMap, Errno> {
    Ok(match terms {
        InnerMapTerms::Ringbuf { bytes } => InnerMap {
            kind: libbpf_sys::BPF_MAP_TYPE_RINGBUF,
            key_size: 0,
            value_size: 0,
            max_entries: *bytes,
        },
        InnerMapTerms::Map {
            map_type: kind,
            key_size,
            value_size,
            max_entries,
        } => InnerMap {
            kind: map_type(kind.name()).ok_or(libc::EINVAL)?,
            key_size: *key_size,
            value_size: *value_size,
            max_entries: *max_entries,
        },
    })
}
