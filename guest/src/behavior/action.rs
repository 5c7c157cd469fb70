//! Does what a test says, and keeps what comes directly of it: how a command ended, and what a
//! program returned.

use std::time::Duration;

use ukci_schema::behavior::{Action, ProgRun, Test, TestEvidence, bytes_of, hex_of, raw};

use super::{Subject, prog_run, shell_command, text};
use crate::attach::together::Together;
use crate::bpf::{Object, Program};

/// Does it. The error says why it could not be done. `watch` is called while it waits.
pub(super) fn act(
    subject: &Subject<'_>,
    test: &Test,
    together: &mut Together<'_>,
    watch: &mut dyn FnMut(),
    seen: &mut TestEvidence,
) -> Result<(), String> {
    match &test.action {
        Action::Stimuli => {
            together.stimulate();
            Ok(())
        }
        Action::Command { line, .. } => {
            subject.shell.clone()?;
            let done = shell_command::run(
                &shell_command::ShellCommand {
                    line,
                    members: together.members.as_deref(),
                    timeout: Duration::from_millis(test.timeout_ms),
                },
                watch,
            )?;
            seen.ended = Some(done.ended);
            seen.stdout = text(&done.stdout);
            seen.stderr = text(&done.stderr);
            Ok(())
        }
        Action::ProgRun(run) => {
            let object = &subject.copy.object;
            let programs = object.programs();
            let program = programs
                .iter()
                .find(|program| program.name() == run.program);
            let program = *program.ok_or_else(|| absent(run))?;
            let done = prog_run::run(
                program.fd().ok_or_else(|| absent(run))?,
                &prog_run::Input {
                    data: run.data.as_deref().and_then(bytes_of),
                    context: context(object, program, run)?,
                    repeat: run.repeat,
                },
            );
            let done = done.map_err(|errno| refused(program, errno))?;
            seen.returned = Some(done.returned);
            seen.output = Some(hex_of(&done.data));
            Ok(())
        }
    }
}

fn absent(run: &ProgRun) -> String {
    format!("program `{}` is not loaded", run.program)
}

/// `ENOTSUPP` of the kernel, which C libraries do not know.
const ENOTSUPP: i32 = 524;

fn refused(program: Program<'_>, errno: i32) -> String {
    let kind = program.kind_name();
    match errno {
        ENOTSUPP | libc::EOPNOTSUPP => {
            format!("this kernel cannot run programs of type `{kind}` with BPF_PROG_TEST_RUN")
        }
        libc::EINVAL => format!(
            "the kernel refused the data or the context for BPF_PROG_TEST_RUN of a program of type \
             `{kind}` (EINVAL)"
        ),
        errno => format!("BPF_PROG_TEST_RUN of `{}`: errno {errno}", program.name()),
    }
}

/// The context structs of program types that take one, as UAPI has them.
const CONTEXTS: &[(&str, &str)] = &[
    ("sched_cls", "__sk_buff"),
    ("sched_act", "__sk_buff"),
    ("socket_filter", "__sk_buff"),
    ("cgroup_skb", "__sk_buff"),
    ("lwt_in", "__sk_buff"),
    ("lwt_out", "__sk_buff"),
    ("lwt_xmit", "__sk_buff"),
    ("flow_dissector", "bpf_flow_keys"),
    ("xdp", "xdp_md"),
    ("sk_lookup", "bpf_sk_lookup"),
];

/// The bytes of the context.
fn context(object: &Object, program: Program<'_>, run: &ProgRun) -> Result<Vec<u8>, String> {
    let Some(value) = &run.context else {
        return Ok(Vec::new());
    };
    if let Some(digits) = raw(value) {
        return bytes_of(digits).ok_or_else(|| "the context is not whole bytes".to_owned());
    }
    let kind = program.kind_name();
    let name = CONTEXTS.iter().find(|(of, _)| *of == kind);
    let (_, name) = name.ok_or_else(|| {
        format!("the context of a program of type `{kind}` can only be given as bytes")
    })?;
    let id = object
        .type_named(name)
        .ok_or_else(|| format!("the object's BTF has no `struct {name}`"))?;
    let mut bytes = vec![0; object.size(id).unwrap_or_default()];
    let mut value = value.clone();
    // The kernel wants to be told where the packet ends, which is no news.
    if let (true, Some(fields)) = (*name == "xdp_md", value.as_object_mut()) {
        let length = run.data.as_ref().map_or(0, |hex| hex.len() / 2);
        fields.entry("data_end").or_insert_with(|| length.into());
    }
    object
        .write(id, &value, &mut bytes)
        .map_err(|why| format!("the context as `struct {name}`: {why}"))?;
    Ok(bytes)
}
