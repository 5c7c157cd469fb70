//! The path that leads to the refusal: its instructions, each with the state of the registers
//! before it.

use super::instruction::{Instruction, Operation};
use super::line::Line;
use super::register::{Register, states};
use super::report::START;
use ukci_schema::evidence::Log;

/// R0 to R10.
pub(crate) type Registers<'a> = [Option<Register<'a>>; 11];

/// One instruction of the path.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) instruction: Instruction<'a>,
    /// What was known before it.
    pub(crate) before: Registers<'a>,
    /// The source line that the verifier printed for it.
    pub(crate) source: Option<&'a str>,
}

/// Where the value of a register comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    /// A helper or kfunc returned it.
    Call(&'a str),
    /// It was loaded from memory that a register of this kind points to.
    Load(&'a str),
    /// It was computed.
    Arithmetic,
    /// It is a number of the program's own.
    Constant,
}

/// What the log says of the path that it ends with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trace<'a> {
    steps: Vec<Step<'a>>,
}

impl<'a> Trace<'a> {
    /// Reads the log of a program of this type, in libbpf's words.
    pub(crate) fn of(log: &'a Log, program_type: &str) -> Self {
        let mut reader = Reader::new(program_type);
        for line in log.lines().take_while(|line| !line.starts_with(START)) {
            reader.read(line);
        }
        Self {
            steps: reader.steps,
        }
    }

    /// The instruction that the verifier had come to.
    pub(crate) fn last(&self) -> Option<&Step<'a>> {
        self.steps.last()
    }

    /// What was known of a register before the last instruction.
    pub(crate) fn register(&self, number: u8) -> Option<&Register<'a>> {
        self.last()?.before.get(usize::from(number))?.as_ref()
    }

    /// The helper or kfunc that the last instruction calls.
    pub(crate) fn callee(&self) -> Option<&'a str> {
        match self.last()?.instruction.operation {
            Operation::Call(name) => Some(name),
            _ => None,
        }
    }

    /// The last step of the path at this place of the program.
    pub(crate) fn at(&self, index: usize) -> Option<&Step<'a>> {
        self.steps
            .iter()
            .rev()
            .find(|step| step.instruction.index == index)
    }

    /// The steps before the last, latest first.
    fn back(&self) -> impl Iterator<Item = &Step<'a>> {
        self.steps.iter().rev().skip(1)
    }

    /// Where the value of a register comes from that the last instruction reads.
    pub(crate) fn origin(&self, register: u8) -> Option<Origin<'a>> {
        let mut wanted = register;
        for step in self.back() {
            match step.instruction.operation {
                Operation::Call(name) if wanted == 0 => return Some(Origin::Call(name)),
                Operation::Call(_) if wanted <= 5 => return None,
                Operation::CallFunction => return None,
                Operation::Copy { to, from } if to == wanted => wanted = from,
                Operation::Load { to, from } if to == wanted => {
                    let base = step.before.get(usize::from(from.base))?.as_ref()?;
                    return Some(Origin::Load(base.kind));
                }
                Operation::Set { to, value } if to == wanted => {
                    return value.map(|_| Origin::Constant);
                }
                // A constant is added to a pointer and leaves it what it is.
                Operation::Arithmetic {
                    to, amount: None, ..
                } if to == wanted => {
                    return Some(Origin::Arithmetic);
                }
                _ => {}
            }
        }
        None
    }

    /// The latest call of one of these functions since the register was last written, with its step.
    pub(crate) fn called_since(
        &self,
        register: u8,
        matches: impl Fn(&str) -> bool,
    ) -> Option<(&'a str, &Step<'a>)> {
        let mut wanted = register;
        let mut found = None;
        for step in self.back() {
            match step.instruction.operation {
                Operation::Call(_) if wanted == 0 => return found,
                Operation::Call(name) if matches(name) && found.is_none() => {
                    found = Some((name, step));
                }
                Operation::Copy { to, from } if to == wanted => wanted = from,
                Operation::Arithmetic { to, .. } if to == wanted => {}
                operation if operation.target() == Some(wanted) => return found,
                _ => {}
            }
        }
        None
    }

    /// The latest call of a function of the program since the register was last written. What the
    /// function did to it is not known.
    pub(crate) fn function_since(&self, register: u8) -> Option<&Step<'a>> {
        let mut wanted = register;
        for step in self.back() {
            match step.instruction.operation {
                Operation::CallFunction => return (wanted >= 6).then_some(step),
                Operation::Copy { to, from } if to == wanted => wanted = from,
                Operation::Arithmetic { to, .. } if to == wanted => {}
                operation if operation.target() == Some(wanted) => return None,
                _ => {}
            }
        }
        None
    }

    /// The kind of pointer that a register last was, on the path.
    pub(crate) fn was_packet(&self, register: u8) -> bool {
        let mut wanted = register;
        for step in self.back() {
            match step.instruction.operation {
                Operation::Copy { to, from } if to == wanted => wanted = from,
                operation if operation.target() == Some(wanted) => {
                    let is_arithmetic = matches!(operation, Operation::Arithmetic { .. });
                    if !is_arithmetic {
                        return false;
                    }
                }
                _ => {}
            }
            let known = step.before.get(usize::from(wanted)).copied().flatten();
            if known.is_some_and(|known| known.is_packet()) {
                return true;
            }
        }
        false
    }
}

/// Reads line by line, and follows the registers as far as lines and instructions say.
struct Reader<'a> {
    steps: Vec<Step<'a>>,
    now: Registers<'a>,
    source: Option<&'a str>,
    /// Offsets of the packet's beginning, its end and its metadata in the program's context.
    packet: Option<(i64, i64, i64)>,
    /// Whether the context holds pointers that the verifier knows the types of.
    typed: bool,
}

impl<'a> Reader<'a> {
    fn new(program_type: &str) -> Self {
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

    fn at_entry() -> Registers<'a> {
        let mut registers = Registers::default();
        registers[1] = Some(Register::of_kind("ctx"));
        registers[10] = Some(Register::of_kind("fp"));
        registers
    }

    fn read(&mut self, text: &'a str) {
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

#[cfg(test)]
mod tests {
    use super::{Origin, Trace, changes_packet};
    use ukci_schema::evidence::Log;

    /// 5.10 says nothing of the registers here; they follow from the instructions.
    #[test]
    fn registers_are_followed_where_the_log_is_silent() {
        let log = Log::bounded(
            "; __u8 *data = (void *)(long)skb->data;\n1: (61) r7 = *(u32 *)(r1 +76)\n\
             2: (bf) r6 = r1\n8: (85) call bpf_skb_pull_data#39\n9: (71) r0 = *(u8 *)(r7 +12)\n\
             R7 invalid mem access 'inv'\n",
        );
        let trace = Trace::of(&log, "sched_cls");
        assert!(trace.was_packet(7));
        assert_eq!(trace.origin(7), Some(Origin::Load("ctx")));
        let (name, step) = trace.called_since(7, changes_packet).unwrap();
        assert_eq!((name, step.instruction.index), ("bpf_skb_pull_data", 8));
        assert!(trace.register(7).unwrap().is_scalar());
        // The same of a program whose context has no packet.
        assert!(!Trace::of(&log, "kprobe").was_packet(7));
    }

    #[test]
    fn a_path_goes_on_where_it_branched_off() {
        let log = Log::bounded(
            "0: (85) call bpf_get_current_task#35 ; R0=scalar()\n1: (bf) r6 = r0\n\
             2: (15) if r1 == 0x0 goto pc+3\n3: (b7) r6 = 1\n4: (95) exit\n\
             from 2 to 6: R6=scalar(id=1) R10=fp0\n6: (79) r1 = *(u64 *)(r6 +0)\n\
             R6 invalid mem access 'scalar'\n",
        );
        let trace = Trace::of(&log, "kprobe");
        assert_eq!(trace.origin(6), Some(Origin::Call("bpf_get_current_task")));
        assert_eq!(trace.last().unwrap().instruction.index, 6);
        assert!(trace.at(3).is_none(), "it is of the other path");
    }

    #[test]
    fn the_state_before_the_last_instruction_is_kept() {
        let log = Log::bounded(
            "0: R1=ctx() R10=fp0\n7: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,\
             map=counts,ks=4,vs=8)\n8: (15) if r0 == 0x0 goto pc+3 9: R0=map_value(map=counts,ks=4,\
             vs=8) R10=fp0\n9: (79) r1 = *(u64 *)(r0 +8)\ninvalid access to map value\n",
        );
        let trace = Trace::of(&log, "xdp");
        let value = trace.register(0).unwrap();
        assert_eq!((value.kind, value.map), ("map_value", Some("counts")));
        assert_eq!(value.value_size, Some(8));
    }
}
