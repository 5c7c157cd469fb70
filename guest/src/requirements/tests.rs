use std::collections::BTreeSet;
use std::process::Command;

use super::{Needs, read, with_weak_externs};

/// Compiles C for the BPF target. A machine without clang skips what needs it, and says so.
#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn compile(name: &str, source: &str) -> Option<Vec<u8>> {
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang-19".into());
    let dir = std::env::temp_dir().join(format!("ukci-needs-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (input, output) = (dir.join("x.bpf.c"), dir.join("x.bpf.o"));
    std::fs::write(&input, source).unwrap();
    let status = Command::new(&clang)
        .args([
            "-g",
            "-O2",
            "-target",
            "bpf",
            "-Wno-ignored-attributes",
            "-c",
        ])
        .arg(&input)
        .arg("-o")
        .arg(&output)
        .status();
    let object = match status {
        Ok(status) => {
            assert!(status.success(), "{clang} refuses the source");
            Some(std::fs::read(&output).unwrap())
        }
        Err(error) => {
            eprintln!("skipped: {clang}: {error}");
            None
        }
    };
    std::fs::remove_dir_all(&dir).unwrap();
    object
}

const SOURCE: &str = r#"
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
static void *(*bpf_map_lookup_elem)(void *, const void *) = (void *)1;
static unsigned long long (*bpf_get_current_pid_tgid)(void) = (void *)14;
static long (*bpf_loop)(unsigned, void *, void *, unsigned long long) = (void *)181;
struct { __uint(type, 2); __uint(max_entries, 1); __uint(key_size, 4); __uint(value_size, 8); }
    counts SEC(".maps");
extern int HZ_OF_THE_KERNEL SEC(".kconfig") __attribute__((weak));
extern _Bool CONFIG_BPF SEC(".kconfig");
extern void bpf_rcu_read_lock(void) SEC(".ksyms");
static __attribute__((noinline)) int inner(int key)
{
    return bpf_map_lookup_elem(&counts, &key) != 0;
}
static long step(unsigned index, void *context) { return bpf_get_current_pid_tgid() & 1; }
__attribute__((noinline)) int outer(int key) { return inner(key + 1); }
SEC("tp/a/b") int through_subprograms(void *context) { return outer(*(int *)context); }
SEC("tp/a/b") int with_a_callback(void *context) { return bpf_loop(3, step, context, 0); }
SEC("tp/a/c") int with_externs(void *context) { bpf_rcu_read_lock(); return CONFIG_BPF; }
SEC("tp/a/c") int nothing(void *context) { return 0; }
char LICENSE[] SEC("license") = "Dual BSD/GPL";
"#;

fn names_of<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn needs_are_found_through_subprograms_callbacks_and_relocations() {
    let Some(object) = compile("all", SOURCE) else {
        return;
    };
    let read = read(&object);
    assert_eq!(read.facts.malformed, None);
    assert_eq!(read.facts.license.as_deref(), Some("Dual BSD/GPL"));
    assert!(read.facts.has_btf && read.facts.has_btf_ext);
    let through = &read.functions["through_subprograms"];
    assert_eq!(through.helpers, BTreeSet::from([1]));
    assert_eq!(through.maps, names_of(["counts"]));
    let callback = &read.functions["with_a_callback"];
    assert_eq!(callback.helpers, BTreeSet::from([14, 181]));
    let externs = &read.functions["with_externs"];
    assert_eq!(externs.kfuncs, names_of(["bpf_rcu_read_lock"]));
    assert_eq!(externs.externs, names_of(["CONFIG_BPF"]));
    assert_eq!(read.functions["nothing"], Needs::default());
    let kinds: Vec<_> = read
        .facts
        .externs
        .iter()
        .map(|e| (e.name.as_str(), e.kind.as_str(), e.weak))
        .collect();
    assert_eq!(
        kinds,
        [
            ("CONFIG_BPF", "kconfig", false),
            ("bpf_rcu_read_lock", "kfunc", false)
        ]
    );
}

const OPERATIONS: &str = r#"
#define SEC(name) __attribute__((section(name), used))
struct ops { int (*first)(void); int (*second)(void); unsigned limit; };
SEC("struct_ops/one") int one(void *context) { return 0; }
SEC(".struct_ops") struct ops with_a_program = { .second = (void *)one, .limit = 3 };
SEC(".struct_ops.link") struct ops without_programs = { .limit = 4 };
SEC("?.struct_ops.link") struct ops switched_off = { .limit = 5 };
char LICENSE[] SEC("license") = "GPL";
"#;

/// One whose operations are all null is registered as well as any other.
#[test]
fn a_struct_ops_map_without_programs_is_one() {
    let Some(object) = compile("operations", OPERATIONS) else {
        return;
    };
    let maps = read(&object).struct_ops;
    let names: Vec<&str> = maps.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["switched_off", "with_a_program", "without_programs"]
    );
    assert_eq!(maps["with_a_program"], names_of(["one"]));
    assert!(maps["without_programs"].is_empty() && maps["switched_off"].is_empty());
}

#[test]
fn only_the_externs_to_keep_stay_strong() {
    let Some(object) = compile("weak", SOURCE) else {
        return;
    };
    let copy = with_weak_externs(&object, &read(&object), &names_of(["CONFIG_BPF"]));
    assert_eq!(copy.len(), object.len());
    let weak: Vec<_> = read(&copy)
        .facts
        .externs
        .into_iter()
        .map(|e| (e.name, e.weak))
        .collect();
    assert_eq!(
        weak,
        [
            ("CONFIG_BPF".into(), false),
            ("bpf_rcu_read_lock".into(), true)
        ]
    );
}

/// A real object, cut short at every length, and with every byte turned.
#[test]
fn a_broken_object_is_read_without_a_panic() {
    let Some(object) = compile("broken", SOURCE) else {
        return;
    };
    for length in 0..object.len() {
        read(&object[..length]);
    }
    let mut bytes = object.clone();
    for n in 0..bytes.len() {
        for turn in [0xff, 0x80, 0x01] {
            bytes[n] ^= turn;
            read(&bytes);
            bytes[n] ^= turn;
        }
    }
}

#[test]
fn anything_can_be_read_without_a_panic() {
    assert!(read(b"this is a text file").facts.malformed.is_some());
    assert!(read(&[]).facts.malformed.is_some());
    // Every truncation and some mutations of a real ELF file: this test's own executable.
    let own = std::fs::read("/proc/self/exe").unwrap();
    for length in (0..own.len().min(4096)).step_by(7) {
        read(&own[..length]);
    }
    let mut bytes = own[..own.len().min(65536)].to_vec();
    for n in 0..bytes.len().min(2048) {
        bytes[n] ^= 0xa5;
        read(&bytes);
        bytes[n] ^= 0xa5;
    }
}
