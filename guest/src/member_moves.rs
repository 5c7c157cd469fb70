//! Finds where the kernel keeps what a member held that it no longer has: `request.rq_disk` became
//! `request.q->disk`.
//!
//! `member_moves.tsv` has a member that mainline gave up, and the places that took over from it, the
//! latest first: a way through members of the same struct, or `struct/member` if the member is in
//! another struct for the same memory now. A place counts only if this kernel's BTF has it.

use libbpf_sys as sys;
use ukci_schema::evidence::NewPlace;

use crate::c_types::Types;
use crate::kernel::Btf;

const MOVES: &str = include_str!("member_moves.tsv");

/// The place of this kernel that took over from a member.
pub(crate) fn new_place(
    owner: &str,
    member: &str,
    types: &Types<'_>,
    kernel: &Btf,
) -> Option<NewPlace> {
    places(owner, member).find_map(|place| {
        let (of, path) = place.split_once('/').unwrap_or((owner, place));
        let root = kernel.find(of, sys::BTF_KIND_STRUCT)?;
        follow(types, root, path).map(|(path, id)| NewPlace {
            of: format!("struct {of}"),
            path,
            declared: types.declared(id),
        })
    })
}

fn places(owner: &str, member: &str) -> impl Iterator<Item = &'static str> {
    let line = MOVES.lines().find_map(|line| {
        let (old, new) = line.split_once('\t')?;
        let (of, name) = old.split_once('.')?;
        (of == owner && name == member).then_some(new)
    });
    line.into_iter().flat_map(|new| new.split(' '))
}

/// The way to a member as C writes it, and the member's type.
fn follow(types: &Types<'_>, root: u32, path: &str) -> Option<(String, u32)> {
    let mut written = String::new();
    let mut id = root;
    for (n, step) in path.split('.').enumerate() {
        let of = types.pointee(id);
        if n > 0 {
            written.push_str(if of.is_some() { "->" } else { "." });
        }
        written.push_str(step);
        id = types.member(types.resolve(of.unwrap_or(id))?, step, 0)?;
    }
    Some((written, id))
}

#[cfg(test)]
mod tests {
    use super::{MOVES, places};

    #[test]
    fn a_member_is_found_by_its_struct() {
        let of = |owner, member| places(owner, member).collect::<Vec<_>>();
        assert_eq!(of("request", "rq_disk"), ["q.disk"]);
        assert_eq!(
            of("bio", "bi_partno"),
            ["bi_bdev.bd_partno", "bi_bdev.__bd_flags"]
        );
        assert!(of("bio", "rq_disk").is_empty());
        assert!(of("rq", "cpu").is_empty());
    }

    #[test]
    fn the_table_is_in_order_and_has_each_member_once() {
        let old: Vec<&str> = (MOVES.lines())
            .map(|line| line.split_once('\t').expect("an old and a new place").0)
            .collect();
        assert!(old.is_sorted_by(|a, b| a < b), "{old:?}");
    }
}
