//! How `struct_ops` maps were registered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::ProgramAttach;

/// One `struct_ops` map and its registration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StructOpsEvidence {
    /// The map's name in the object.
    pub map: String,
    /// The kernel's struct that it fills, e.g. `sched_ext_ops`.
    pub operations: String,
    /// The programs that it names, in the object's order; absent if every operation is null.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// The members that are numbers or text and not zero, as the object (or its loader) set them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// How its registration ended.
    pub attach: ProgramAttach,
}
