//! Which mainline release brought a helper, a map type, a program type.
