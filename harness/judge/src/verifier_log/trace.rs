//! The path that leads to the refusal: its instructions, each with the state of the registers
//! before it.

use super::instruction::Operation;
use super::reader::Reader;
use super::register::Register;
use super::report::classic;
use super::step::Step;
use ukci_schema::evidence::Log;

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
        for line in classic(log) {
            reader.read(line);
        }
        Self {
            steps: reader.steps(),
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

    /// Whether a step behind the last call writes this register.
    pub(crate) fn writes(&self, register: u8) -> bool {
        let is_call = |operation| matches!(operation, Operation::Call(_) | Operation::CallFunction);
        self.back()
            .map(|step| step.instruction.operation)
            .take_while(|operation| !is_call(*operation))
            .any(|operation| operation.target() == Some(register))
    }

    /// Whether the path has a call, which leaves nothing of R1 to R5.
    pub(crate) fn has_calls(&self) -> bool {
        self.back().any(|step| {
            matches!(
                step.instruction.operation,
                Operation::CallFunction | Operation::Call(_)
            )
        })
    }

    /// The helper whose callback the path ends in, and what the helper passes to it: the path leaves the
    /// program at such a call.
    pub(crate) fn in_callback(&self) -> Option<(&'a str, &'static str)> {
        let call = self.back().find_map(|step| {
            let Operation::Call(name) = step.instruction.operation else {
                return None;
            };
            Some((name, step.instruction.index))
        });
        let (name, index) = call?;
        let inside = self.last()?.instruction.index != index + 1
            && !self.back().any(|step| step.instruction.index == index + 1);
        let passes = match name {
            "bpf_loop" => "an index and a context",
            "bpf_for_each_map_elem" => "the map, a key, a value and a context",
            "bpf_timer_set_callback" => "the map, a key and a value",
            "bpf_find_vma" => "a task, a `struct vm_area_struct` and a context",
            "bpf_user_ringbuf_drain" => "a dynptr and a context",
            _ => return None,
        };
        inside.then_some((name, passes))
    }

    /// Whether one call of a function of the program was entered again before it returned.
    pub(crate) fn calls_itself(&self) -> bool {
        let mut open: Vec<usize> = Vec::new();
        for step in &self.steps {
            let instruction = step.instruction;
            if instruction.operation == Operation::CallFunction {
                if open.contains(&instruction.index) {
                    return true;
                }
                open.push(instruction.index);
            } else if instruction.text.ends_with(") exit") {
                open.pop();
            }
        }
        false
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

#[cfg(test)]
mod tests {
    use super::super::reader::changes_packet;
    use super::{Origin, Trace};
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
