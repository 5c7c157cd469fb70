//! A CO-RE access that libbpf could not resolve.

use serde::{Deserialize, Serialize};

/// What the object reads of a kernel type, and what this kernel has in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreAccess {
    /// As libbpf prints it: `struct cred___old.cap_effective`.
    pub spec: String,
    /// The first step of it that the kernel's BTF does not allow.
    pub fault: CoreFault,
}

/// See [`CoreAccess::fault`]. Types are named as the kernel names them, without the object's flavor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CoreFault {
    /// The kernel has no such type.
    NoType {
        /// `struct cred`.
        name: String,
        /// The types of this kernel that took its place.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        near: Vec<String>,
    },
    /// It has the type, and no such member in it.
    NoMember {
        /// `struct cred`; empty where the type has no name.
        owner: String,
        /// The member.
        member: String,
        /// The names of its members that look alike, the best first.
        near: Vec<String>,
        /// Where this kernel has what the member held, if that is in another struct.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        moved: Option<NewPlace>,
    },
    /// It has the member, which is of another BTF kind. To libbpf that is no match.
    OtherKind {
        /// `struct cred`; empty where the type has no name.
        owner: String,
        /// The member.
        member: String,
        /// As the kernel declares it.
        kernel: Declared,
        /// As the object declares it.
        object: Declared,
    },
    /// It is an array with fewer elements.
    TooFewElements {
        /// The member that is the array.
        member: String,
        /// How many there are.
        elements: u32,
        /// The one that the object reads.
        index: u32,
    },
}

/// A member of this kernel that took over from one of another struct.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPlace {
    /// The struct that the way begins at: `struct request`.
    pub of: String,
    /// The way from there, as C writes it: `q->disk`.
    pub path: String,
    /// The member's type.
    pub declared: Declared,
}

/// A member's type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declared {
    /// As C writes it: `kernel_cap_t`, `unsigned long long`, `enum skb_drop_reason`.
    pub name: String,
    /// `struct`, `union`, `enum`, `integer`, `pointer`, `array`, `float`, `function`.
    pub kind: String,
}
