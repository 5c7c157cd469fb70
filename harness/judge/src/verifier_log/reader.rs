//! Reads a log line by line into the steps of a path, and follows the registers as far as lines and
//! instructions say.

use super::instruction::Operation;
use super::line::Line;
use super::register::{Register, states};
use super::step::{Registers, Step};

/// What was read so far.
pub(super) struct Reader<'a> {
    steps: Vec<Step<'a>>,
    now: Registers<'a>,
    source: Option<&'a str>,
    /// Offsets of the packet's beginning, its end and its metadata in the program's context.
    packet: Option<(i64, i64, i64)>,
    /// Whether the context holds pointers that the verifier knows the types of.
    typed: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(program_type: &str) -> Self {
        let packet = match program_type {
            "xdp" => Some((0, 4, 8)),
            "sched_cls" | "sched_act" | "cgroup_skb" | "sk_skb" | "lwt_in" | "lwt_out"
            | "lwt_xmit" | "lwt_seg6local" | "flow_dissector" => Some((76, 80, 140)),
            _ => None,
        };
        Self {
            steps: Vec::new(),
            now: Self::at_entry(),
            source: None,
            packet,
            typed: matches!(program_type, "tracing" | "lsm" | "struct_ops" | "ext"),
        }
    }

    /// The steps of the path that the lines show.
    pub(super) fn steps(self) -> Vec<Step<'a>> {
        self.steps
    }

    fn at_entry() -> Registers<'a> {
        let mut registers = Registers::default();
        registers[1] = Some(Register::of_kind("ctx"));
        registers[10] = Some(Register::of_kind("fp"));
        registers
    }

    pub(super) fn read(&mut self, text: &'a str) {
        if let Some(source) = text.strip_prefix("; ") {
            self.source = Some(source.trim());
        }
        match Line::of(text) {
            Line::Instruction(instruction, state) => {
                self.steps.push(Step {
                    instruction,
                    before: self.now,
                    source: self.source,
                });
                self.run(&instruction.operation);
                self.learn(state);
            }
            Line::State(state) => self.learn(state),
            Line::From(index, state) => {
                // The path goes back to where it branched off; what came since is of another.
                let at = self
                    .steps
                    .iter()
                    .rposition(|step| step.instruction.index == index);
                self.steps.truncate(at.map_or(0, |at| at + 1));
                self.now = Registers::default();
                self.now[10] = Some(Register::of_kind("fp"));
                self.learn(state);
            }
            Line::Validating => {
                self.steps.clear();
                self.now = Registers::default();
                self.now[10] = Some(Register::of_kind("fp"));
            }
            Line::Remark(_) | Line::Noise | Line::Prose(_) => {}
        }
    }

    fn learn(&mut self, state: &'a str) {
        for (number, register) in states(state) {
            if let Some(slot) = self.now.get_mut(usize::from(number)) {
                *slot = Some(register);
            }
        }
    }

    fn known(&self, register: u8) -> Option<Register<'a>> {
        self.now.get(usize::from(register)).copied().flatten()
    }

    /// What an instruction does to the registers, where the log does not say (5.10 says little).
    fn run(&mut self, operation: &Operation<'a>) {
        let result = match *operation {
            Operation::Call(name) => {
                let result = result_of(name, self.now[1]);
                self.now[1..=5].fill(None);
                if changes_packet(name) {
                    for register in self.now.iter_mut().flatten().filter(|r| r.is_packet()) {
                        *register = Register::of_kind("scalar");
                    }
                }
                self.now[0] = result;
                return;
            }
            Operation::CallFunction => {
                self.now[0] = None;
                self.now[6..=9].fill(None);
                return;
            }
            Operation::Store { .. } | Operation::Other => return,
            Operation::Copy { from, .. } => self.known(from),
            Operation::Set { value, .. } => value.map(Register::known),
            Operation::Load { from, .. } => self.known(from.base).and_then(|base| {
                let offset = from.offset;
                match (base.kind, self.packet) {
                    ("ctx", Some((start, ..))) if start == offset => Some(Register::of_kind("pkt")),
                    ("ctx", Some((_, end, _))) if end == offset => {
                        Some(Register::of_kind("pkt_end"))
                    }
                    ("ctx", Some((.., meta))) if meta == offset => {
                        Some(Register::of_kind("pkt_meta"))
                    }
                    ("ctx", None) if self.typed => None,
                    ("ctx" | "map_value" | "pkt", _) => Some(Register::of_kind("scalar")),
                    _ => None,
                }
            }),
            Operation::Arithmetic { to, amount, .. } => self.known(to).map(|mut known| {
                if known.is_scalar() {
                    return Register::of_kind("scalar");
                }
                match amount {
                    Some(amount) => known.offset = known.offset.saturating_add(amount),
                    None => known.variable = true,
                }
                known.printed = false;
                known
            }),
        };
        let target = operation.target().map(usize::from);
        if let Some(slot) = target.and_then(|target| self.now.get_mut(target)) {
            *slot = result;
        }
    }
}

/// What a helper returns, of those whose result is a pointer in many programs.
fn result_of<'a>(helper: &str, first: Option<Register<'a>>) -> Option<Register<'a>> {
    match helper {
        "bpf_map_lookup_elem" => {
            let mut found = Register::of_kind("map_value_or_null");
            if let Some(map) = first {
                found.value_size = map.value_size;
                found.map = map.map;
            }
            Some(found)
        }
        "bpf_get_current_task" | "bpf_ktime_get_ns" | "bpf_get_current_pid_tgid" => {
            Some(Register::of_kind("scalar"))
        }
        _ => None,
    }
}

/// Helpers after which no pointer into the packet is known any more (`bpf_helper_changes_pkt_data`
/// of net/core/filter.c).
pub(crate) fn changes_packet(helper: &str) -> bool {
    matches!(
        helper,
        "bpf_clone_redirect"
            | "bpf_l3_csum_replace"
            | "bpf_l4_csum_replace"
            | "bpf_lwt_push_encap"
            | "bpf_lwt_seg6_action"
            | "bpf_lwt_seg6_adjust_srh"
            | "bpf_lwt_seg6_store_bytes"
            | "bpf_msg_pop_data"
            | "bpf_msg_pull_data"
            | "bpf_msg_push_data"
            | "bpf_skb_adjust_room"
            | "bpf_skb_change_head"
            | "bpf_skb_change_proto"
            | "bpf_skb_change_tail"
            | "bpf_skb_pull_data"
            | "bpf_skb_store_bytes"
            | "bpf_skb_vlan_pop"
            | "bpf_skb_vlan_push"
            | "bpf_store_hdr_opt"
            | "bpf_tail_call"
            | "bpf_xdp_adjust_head"
            | "bpf_xdp_adjust_meta"
            | "bpf_xdp_adjust_tail"
    )
}
