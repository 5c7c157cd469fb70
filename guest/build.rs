//! Makes the table of helper names from the `bpf_helper_defs.h` of the libbpf that is linked.

use std::fmt::Write;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let include = std::env::var_os("DEP_BPF_INCLUDE").expect("libbpf-sys names its headers");
    let header = PathBuf::from(include).join("bpf/bpf_helper_defs.h");
    let text = std::fs::read_to_string(&header)
        .unwrap_or_else(|error| panic!("read {}: {error}", header.display()));
    let mut table = String::from("&[\n");
    let mut count = 0;
    for line in text.lines() {
        // static long (* const bpf_map_update_elem)(void *map, …) = (void *) 2;
        let Some((_, rest)) = line.split_once("(* const bpf_") else {
            continue;
        };
        let Some((name, rest)) = rest.split_once(')') else {
            continue;
        };
        let Some((_, number)) = rest.rsplit_once("= (void *)") else {
            continue;
        };
        let Ok(id) = number.trim().trim_end_matches(';').trim().parse::<u32>() else {
            continue;
        };
        writeln!(table, "    ({id}, \"bpf_{name}\"),").expect("write to a string");
        count += 1;
    }
    // 211 in libbpf 1.7; far fewer would mean that the header is written otherwise.
    assert!(
        count > 200,
        "only {count} helpers found in {}",
        header.display()
    );
    table.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    std::fs::write(out.join("helpers.rs"), table).expect("write the table");
}
