//! Accesses to a program's context: which struct it is, and which field was meant.

use super::rejection::Rejection;
use super::words::bytes;
use ukci_schema::evidence::{Feature, FeatureKind};
use ukci_schema::plural;

/// The fields of the context structs: struct, offset, bytes in all, bytes of an element, name
/// (`uapi/linux/bpf.h` that libbpf 1.7 carries).
const FIELDS: &str = include_str!("context.tsv");

/// A field of a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    structure: &'static str,
    offset: i64,
    length: i64,
    width: i64,
    name: &'static str,
}

fn fields() -> impl Iterator<Item = Field> {
    FIELDS.lines().filter_map(|line| {
        let mut columns = line.split('\t');
        Some(Field {
            structure: columns.next()?,
            offset: columns.next()?.parse().ok()?,
            length: columns.next()?.parse().ok()?,
            width: columns.next()?.parse().ok()?,
            name: columns.next()?,
        })
    })
}

fn field(structure: &str, offset: i64) -> Option<Field> {
    fields().find(|field| {
        field.structure == structure
            && (field.offset..field.offset + field.length).contains(&offset)
    })
}

/// Bytes of a context struct, as far as fields are known.
fn length(structure: &str) -> i64 {
    let ends = fields().filter(|field| field.structure == structure);
    ends.map(|field| field.offset + field.length)
        .max()
        .unwrap_or(0)
}

/// The context struct of a program type, in libbpf's words.
fn structure(program_type: &str) -> Option<&'static str> {
    Some(match program_type {
        "socket_filter" | "sched_cls" | "sched_act" | "cgroup_skb" | "sk_skb" | "lwt_in"
        | "lwt_out" | "lwt_xmit" | "lwt_seg6local" | "flow_dissector" => "__sk_buff",
        "xdp" => "xdp_md",
        "cgroup_sock_addr" => "bpf_sock_addr",
        "cgroup_sock" => "bpf_sock",
        "sock_ops" => "bpf_sock_ops",
        "sk_msg" => "sk_msg_md",
        "sk_reuseport" => "sk_reuseport_md",
        "sk_lookup" => "bpf_sk_lookup",
        "cgroup_sockopt" => "bpf_sockopt",
        "cgroup_sysctl" => "bpf_sysctl",
        "cgroup_device" => "bpf_cgroup_dev_ctx",
        _ => return None,
    })
}

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    if rejection.says("dereference of modified ctx ptr")
        || rejection.says("negative offset ctx ptr")
    {
        return modified(rejection);
    }
    if rejection.says("variable ctx access") {
        return vec![
            "read the fields of the context by constant offsets: choose among them with `switch` or \
             `if`, not with an index that is known at run time only"
                .into(),
        ];
    }
    if let (Some(most), Some(offset), Some(size)) = (
        rejection.number("invalid access to context, ctx_size="),
        rejection.number("off="),
        rejection.number("size="),
    ) {
        return vec![format!(
            "access the context within its first {}, which is the most that a program of this type is given: \
             {} at offset {offset} are beyond",
            bytes(most),
            bytes(size)
        )];
    }
    if let Some(hints) = of_socket(rejection) {
        return hints;
    }
    if !rejection.says("invalid bpf_context access") {
        return Vec::new();
    }
    let (Some(offset), Some(size)) = (rejection.number("off="), rejection.number("size=")) else {
        return Vec::new();
    };
    let kind = rejection.case.program.program_type.as_str();
    match structure(kind) {
        Some(structure) => of_struct(rejection, structure, offset, size),
        None => arguments(rejection, offset, size),
    }
}

/// `invalid sock_common access off=0 size=8`, `cannot write into sock`.
fn of_socket(rejection: &Rejection<'_>) -> Option<Vec<String>> {
    if rejection.says("cannot write into sock") {
        return Some(vec![
            "do not write to the socket: programs change it by helpers, such as `bpf_setsockopt`"
                .into(),
        ]);
    }
    let kind = ["sock", "sock_common", "tcp_sock"]
        .into_iter()
        .find(|kind| rejection.says(&format!("invalid {kind} access off=")))?;
    let (offset, size) = (rejection.number("off=")?, rejection.number("size=")?);
    let field = field("bpf_sock", offset).filter(|_| kind != "tcp_sock");
    Some(vec![match field {
        Some(field) if size > field.width => format!(
            "access `{}` of `struct bpf_sock` with the width that it has: it has {}, and the program accesses {}",
            field.name,
            bytes(field.width),
            bytes(size)
        ),
        Some(field) if kind == "sock_common" => format!(
            "call `bpf_sk_fullsock` first, and read `{}` of what it returns: a socket that may be a request \
             or in TIME_WAIT has only some of the fields",
            field.name
        ),
        _ => format!(
            "read the fields that `struct bpf_{}` has: the program accesses {} at offset {offset}",
            if kind == "tcp_sock" { kind } else { "sock" },
            bytes(size)
        ),
    }])
}

fn modified(rejection: &Rejection<'_>) -> Vec<String> {
    let offset = rejection.number("off=").unwrap_or(0);
    vec![
        format!(
            "access the context at a constant offset from the pointer that the program was called \
             with: here {offset} was added to the pointer itself before the access"
        ),
        "keep the compiler from sharing such a sum between branches: read the field into a variable \
         first, or put `barrier_var(ctx)` before the read"
            .into(),
    ]
}

fn of_struct(rejection: &Rejection<'_>, structure: &str, offset: i64, size: i64) -> Vec<String> {
    let program = rejection.case.program;
    let kind = &program.program_type;
    let Some(field) = field(structure, offset) else {
        let mut said = format!(
            "read fields of `struct {structure}` only, the context of `{kind}` programs, which has {}: \
             the program accesses {} at offset {offset}",
            bytes(length(structure)),
            bytes(size)
        );
        // A function that was written for another type.
        let meant = fields().find(|other| {
            other.structure == "__sk_buff" && other.offset == offset && structure != "__sk_buff"
        });
        if let Some(meant) = meant {
            said.push_str(&format!(
                ", which is `{}` of `struct __sk_buff`",
                meant.name
            ));
        }
        return vec![said];
    };
    let name = field.name;
    if size > field.width {
        return vec![format!(
            "access `{name}` of `struct {structure}` with the width that it has: it has {}, and the \
             program accesses {}",
            bytes(field.width),
            bytes(size)
        )];
    }
    if let Some(hint) = of_attach_type(rejection, field) {
        return vec![hint];
    }
    if let Some(hint) = narrow(rejection, field, size) {
        return vec![hint];
    }
    if rejection.writes() {
        return vec![format!(
            "do not write to `{name}` of `struct {structure}`: this kernel lets `{kind}` programs only \
             read it, or not access it at all"
        )];
    }
    let packet = structure == "__sk_buff" && matches!(name, "data" | "data_end" | "data_meta");
    if packet {
        return vec![format!(
            "read the packet with `bpf_skb_load_bytes`: `{kind}` programs have no direct access to it, \
             so that they cannot read `{name}`"
        )];
    }
    // Several types, or attach types, have this context, and some of them more of it.
    let instead = match structure {
        "__sk_buff" => ", or take another program type",
        "bpf_sock_addr" | "bpf_sock" | "bpf_sockopt" => ", or take another attach type",
        _ => "",
    };
    vec![format!(
        "do without `{name}` of `struct {structure}`{instead}: this kernel does not let `{kind}` programs \
         access it{}",
        program
            .attach_type
            .as_deref()
            .map_or_else(String::new, |attach| format!(
                " with attach type `{attach}`"
            ))
    )]
}

/// Fields that programs of a type may write, and only as a whole (the `…_is_valid_access` functions of
/// net/core/filter.c and kernel/bpf/cgroup.c).
const WRITABLE: &[(&str, &[&str])] = &[
    ("cgroup_sock", &["bound_dev_if", "mark", "priority"]),
    (
        "cgroup_sock_addr",
        &[
            "user_ip4",
            "user_ip6",
            "user_port",
            "msg_src_ip4",
            "msg_src_ip6",
        ],
    ),
    ("cgroup_sysctl", &["file_pos"]),
    (
        "sched_cls",
        &[
            "mark",
            "tc_index",
            "priority",
            "cb",
            "tc_classid",
            "queue_mapping",
        ],
    ),
    ("sk_skb", &["tc_index", "priority"]),
    ("sock_ops", &["reply", "replylong", "sk_txhash"]),
];

/// Program types that may read the packet directly, so that they may read where it begins and ends
/// (`may_access_direct_pkt_data` of kernel/bpf/verifier.c).
const WITH_PACKET: &[&str] = &[
    "sched_cls",
    "sched_act",
    "cgroup_skb",
    "sk_skb",
    "sk_msg",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "lwt_seg6local",
    "sk_reuseport",
    "xdp",
];

/// A part of a field that the kernel takes only as a whole.
fn narrow(rejection: &Rejection<'_>, field: Field, size: i64) -> Option<String> {
    if size >= field.width {
        return None;
    }
    let kind = rejection.case.program.program_type.as_str();
    let name = field.name;
    if rejection.writes() {
        let of_type = |(known, fields): &&(&str, &[&str])| *known == kind && fields.contains(&name);
        WRITABLE.iter().find(of_type)?;
        return Some(format!(
            "write all {} of `{name}` of `struct {}` at once: the program writes {}, and this kernel lets \
             programs write the field only as a whole",
            bytes(field.width),
            field.structure,
            bytes(size)
        ));
    }
    // `sock_ops_is_valid_access`, `xdp_is_valid_access`, `sk_msg_is_valid_access`, `cg_sockopt_is_valid_access`
    // and `sock_addr_is_valid_access` compare the size with that of the field.
    let whole = matches!(
        field.structure,
        "bpf_sock_ops" | "xdp_md" | "sk_msg_md" | "bpf_sockopt"
    ) || (field.structure == "bpf_sock_addr"
        && matches!(name, "user_family" | "family" | "type" | "protocol"));
    // Where the kernel puts a pointer, or 8 bytes of its own, in place of the field.
    let of_packet =
        matches!(name, "data" | "data_end" | "data_meta") && WITH_PACKET.contains(&kind);
    (whole || of_packet || field.width == 8).then(|| {
        format!(
            "read all {} of `{name}` of `struct {}` at once: the program reads {}, and the kernel gives the \
             field only as a whole",
            bytes(field.width),
            field.structure,
            bytes(size)
        )
    })
}

/// Fields of `struct bpf_sock_addr` are for the address family of the attach type
/// (`sock_addr_is_valid_access` of net/core/filter.c).
fn of_attach_type(rejection: &Rejection<'_>, field: Field) -> Option<String> {
    let attach = rejection.case.program.attach_type.as_deref()?;
    let family = match field.name {
        "user_ip4" | "msg_src_ip4" => "4",
        "user_ip6" | "msg_src_ip6" => "6",
        _ => return None,
    };
    let message = field.name.starts_with("msg_");
    let fits =
        attach.contains(&format!("inet{family}_")) || attach.contains(&format!("udp{family}_"));
    if field.structure != "bpf_sock_addr" || (fits && !message) {
        return None;
    }
    let wanted = if message {
        format!("`cgroup/sendmsg{family}`")
    } else {
        format!("sections for IPv{family}, such as `cgroup/connect{family}`,")
    };
    Some(format!(
        "use `{}` in {wanted} only: this program is attached as `{attach}`",
        field.name
    ))
}

/// Whether the program reads the value that its function returns, right behind the arguments, and the kernel
/// finds none there: `doesn't have 2-th argument`, or `has type UNKNOWN` on 5.10.
fn returns_nothing(rejection: &Rejection<'_>, offset: i64) -> bool {
    let section = rejection.case.section();
    let returns = section.starts_with("fexit") || section.starts_with("fmod_ret");
    let unfound = rejection.says("doesn't have") || rejection.says("has type UNKNOWN");
    returns && unfound && count_of_arguments(rejection) == Some(offset / 8)
}

/// How many arguments the program's target has, where the guest read it from BTF.
fn count_of_arguments(rejection: &Rejection<'_>) -> Option<i64> {
    let target = rejection.case.program.target.as_deref()?;
    let mut features = rejection.case.features(FeatureKind::Target, target);
    let count = features.find_map(|of| of.detail.as_deref()?.strip_suffix(Feature::ARGUMENTS))?;
    count.parse().ok()
}

/// Programs whose context is an array of arguments, or the kernel's registers.
fn arguments(rejection: &Rejection<'_>, offset: i64, size: i64) -> Vec<String> {
    let kind = rejection.case.program.program_type.as_str();
    match kind {
        "tracing" if returns_nothing(rejection, offset) => {
            let of = rejection.case.program.target.as_deref().unwrap_or_default();
            vec![format!(
                "do not read a returned value: `{of}` returns nothing in this kernel"
            )]
        }
        "tracing" | "lsm" | "struct_ops" | "ext" if rejection.says("doesn't have") => {
            // `func 'vfs_fsync' doesn't have 4-th argument`, also of a member of operations.
            let named = (rejection.sentence.split_once("func '"))
                .and_then(|(_, rest)| Some(rest.split_once('\'')?.0));
            let of = rejection.case.program.target.as_deref().or(named);
            let of = of.map_or_else(|| "the function".into(), |of| format!("`{of}`"));
            let mut found = vec![format!(
                "declare the arguments of {of} as this kernel has them, and read only those: argument {} is \
                 not there",
                offset / 8 + 1
            )];
            let section = rejection.case.section();
            let returns = section.starts_with("fexit") || section.starts_with("fmod_ret");
            if let Some(count) = returns.then(|| count_of_arguments(rejection)).flatten()
                && offset / 8 > count
            {
                found.push(format!(
                    "{of} has {} here, and what it returned follows as number {}",
                    plural::count(count, "argument"),
                    count + 1
                ));
            } else if returns {
                found.push(format!(
                    "count the returned value as the one after the last argument: a function that returns \
                     nothing has none, and {of} may be one"
                ));
            }
            found
        }
        "tracing" | "lsm" | "struct_ops" | "ext" if rejection.writes() => {
            vec!["do not write to the arguments: the context of this program is read-only".into()]
        }
        "tracing" | "lsm" | "struct_ops" | "raw_tracepoint" if offset % 8 != 0 || size != 8 => {
            vec![format!(
                "read each argument as 8 bytes at a multiple of 8, as BPF_PROG does: the program reads \
                 {} at offset {offset}",
                bytes(size)
            )]
        }
        "kprobe" | "perf_event" if rejection.writes() => {
            let what = match kind {
                "kprobe" => "the registers",
                _ => "the registers or the sample",
            };
            vec![format!(
                "do not write to {what}: the context of this program is read-only"
            )]
        }
        "netfilter" => vec![
            "declare the context as `struct bpf_nf_ctx`: it has two pointers, `state` and `skb`, and each is read \
             as 8 bytes"
                .into(),
        ],
        "kprobe" => vec![format!(
            "read registers within `struct pt_regs` of this architecture: the program accesses {} at \
             offset {offset}",
            bytes(size)
        )],
        _ if rejection.says("doesn't have") => {
            vec!["declare the arguments as this kernel has them, and read only those".into()]
        }
        _ => vec![format!(
            "access only what the context of `{kind}` programs has: the program {} {} at offset {offset}",
            if rejection.writes() {
                "writes"
            } else {
                "reads"
            },
            bytes(size)
        )],
    }
}

#[cfg(test)]
mod tests {
    use super::{field, fields, length, structure};

    #[test]
    fn the_table_of_fields_is_whole() {
        let lines = super::FIELDS.lines().count();
        assert_eq!(fields().count(), lines);
        for field in fields() {
            assert!(
                field.width > 0 && field.length % field.width == 0,
                "{field:?}"
            );
        }
        let data = field("__sk_buff", 76).unwrap();
        assert_eq!((data.name, data.width), ("data", 4));
        assert_eq!(field("bpf_sock_addr", 20).unwrap().name, "user_ip6");
        assert_eq!(field("__sk_buff", 152).unwrap().name, "tstamp");
        assert_eq!((length("xdp_md"), length("__sk_buff")), (24, 192));
        assert_eq!(field("xdp_md", 76), None);
        assert_eq!(structure("sched_cls"), Some("__sk_buff"));
    }
}
