//! An instruction as the verifier prints it: `8: (79) r1 = *(u64 *)(r0 +0)`.

/// One instruction of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction<'a> {
    /// Its place in the program.
    pub(crate) index: usize,
    /// `(79) r1 = *(u64 *)(r0 +0)`.
    pub(crate) text: &'a str,
    pub(crate) operation: Operation<'a>,
}

/// What an instruction does, as far as a diagnosis asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation<'a> {
    /// A helper or kfunc; the name is `unknown` where the kernel knows only a number.
    Call(&'a str),
    /// A function of the program.
    CallFunction,
    /// `r1 = *(u64 *)(r0 +0)`.
    Load { to: u8, from: Place },
    /// `*(u64 *)(r0 +0) = r1`, and atomic operations.
    Store { to: Place, atomic: bool },
    /// `r2 = r10`.
    Copy { to: u8, from: u8 },
    /// `r1 = 7`; no value for the address of a map or of a value, which is printed in hexadecimal.
    Set { to: u8, value: Option<i64> },
    /// `r1 += r2`, `r1 += 8`: the amount where it is a constant, or the register with it.
    Arithmetic {
        to: u8,
        amount: Option<i64>,
        with: Option<u8>,
    },
    /// A jump, an exit, and what else there is.
    Other,
}

/// A place in memory: a register, an offset and a width in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) base: u8,
    pub(crate) offset: i64,
    pub(crate) size: u32,
}

impl<'a> Instruction<'a> {
    pub(crate) fn of(line: &'a str) -> Option<Self> {
        let (index, rest) = line.split_once(": (")?;
        let index = index.parse().ok()?;
        let (_, rest) = rest.split_at_checked(2)?;
        let body = rest.strip_prefix(") ")?;
        let body = body.split_once(" ;").map_or(body, |(body, _)| body);
        let body = body[..end_of_jump(body).unwrap_or(body.len())].trim();
        let start = line.find('(')?;
        let end = line.find(body)?.checked_add(body.len())?;
        Some(Self {
            index,
            text: line.get(start..end)?,
            operation: Operation::of(body),
        })
    }
}

/// Where a jump ends: behind the distance of `goto pc-2` or `may_goto pc+3`. The state of the next
/// instruction can stand behind it since 5.17 (`if r0 != 0x0 goto pc+4 12: R0=scalar()`), or a message.
pub(super) fn end_of_jump(text: &str) -> Option<usize> {
    const PLACE: &str = " pc";
    let jump = text.find("goto")?;
    let distance = jump + text[jump..].find(PLACE)? + PLACE.len();
    let digits = text[distance..].strip_prefix(['+', '-'])?;
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    (length > 0).then_some(distance + 1 + length)
}

impl<'a> Operation<'a> {
    fn of(body: &'a str) -> Self {
        if let Some(callee) = body.strip_prefix("call ") {
            let name = callee.split(['#', ' ']).next().unwrap_or_default();
            return if name.starts_with("pc") || name.is_empty() {
                Self::CallFunction
            } else {
                Self::Call(name)
            };
        }
        if body.contains("atomic") || body.starts_with("lock ") {
            return match Place::of(body) {
                Some(to) => Self::Store { to, atomic: true },
                None => Self::Other,
            };
        }
        Self::assignment(body).unwrap_or(Self::Other)
    }

    fn assignment(body: &str) -> Option<Self> {
        let (left, right) = body.split_once(" = ").or_else(|| {
            // `r1 += 8`, `r1 s>>= 3`.
            let (left, right) = body.split_once("= ")?;
            Some((left, right))
        })?;
        if left.starts_with("*(") {
            let to = Place::of(left)?;
            return Some(Self::Store { to, atomic: false });
        }
        let (name, operator) = left.split_once(' ').unwrap_or((left, ""));
        let to = register(name)?;
        if !operator.is_empty() {
            let amount: Option<i64> = right.parse().ok();
            let amount = match operator {
                "+" => amount,
                "-" => amount.and_then(i64::checked_neg),
                _ => None,
            };
            let with = register(right);
            return Some(Self::Arithmetic { to, amount, with });
        }
        if right.starts_with("*(") {
            let from = Place::of(right)?;
            return Some(Self::Load { to, from });
        }
        Some(match register(right) {
            Some(from) => Self::Copy { to, from },
            None if right.starts_with(|c: char| c.is_ascii_digit() || c == '-') => Self::Set {
                to,
                value: right.parse().ok(),
            },
            None => Self::Arithmetic {
                to,
                amount: None,
                with: None,
            },
        })
    }

    /// The register that this writes, where it is one alone.
    pub(crate) fn target(&self) -> Option<u8> {
        match *self {
            Self::Load { to, .. }
            | Self::Copy { to, .. }
            | Self::Set { to, .. }
            | Self::Arithmetic { to, .. } => Some(to),
            _ => None,
        }
    }

    /// The memory that this reads or writes.
    pub(crate) fn place(&self) -> Option<Place> {
        match *self {
            Self::Load { from, .. } => Some(from),
            Self::Store { to, .. } => Some(to),
            _ => None,
        }
    }
}

impl Place {
    /// The first `(u64 *)(r0 +0)` of the text.
    fn of(text: &str) -> Option<Self> {
        let (before, rest) = text.split_once(" *)(")?;
        let size = match before.rsplit('(').next()? {
            "u8" | "s8" => 1,
            "u16" | "s16" => 2,
            "u32" | "s32" => 4,
            "u64" | "s64" => 8,
            _ => return None,
        };
        let (inside, _) = rest.split_once(')')?;
        let (base, offset) = inside.trim().split_once(' ')?;
        Some(Self {
            base: register(base)?,
            offset: offset.trim().parse().ok()?,
            size,
        })
    }
}

/// `r7` and `w7` are 7.
fn register(name: &str) -> Option<u8> {
    let number: u8 = name.strip_prefix(['r', 'w'])?.parse().ok()?;
    (number <= 11).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Instruction, Operation, Place};

    fn of(line: &str) -> Operation<'_> {
        Instruction::of(line).unwrap().operation
    }

    #[test]
    fn instructions_of_all_kernels() {
        let found = Instruction::of("7: (85) call bpf_map_lookup_elem#1    ; R0=scalar()").unwrap();
        assert_eq!(
            (found.index, found.text),
            (7, "(85) call bpf_map_lookup_elem#1")
        );
        assert_eq!(found.operation, Operation::Call("bpf_map_lookup_elem"));
        assert_eq!(of("3: (85) call pc+4"), Operation::CallFunction);
        let place = |base, offset, size| Place { base, offset, size };
        assert_eq!(
            of("8: (79) r1 = *(u64 *)(r0 +0)"),
            Operation::Load {
                to: 1,
                from: place(0, 0, 8)
            }
        );
        assert_eq!(
            of("1: (63) *(u32 *)(r10 -4) = r1         ; R1=0 R10=fp0"),
            Operation::Store {
                to: place(10, -4, 4),
                atomic: false
            }
        );
        assert_eq!(
            of("9: (db) lock *(u64 *)(r0 +4) += r1"),
            Operation::Store {
                to: place(0, 4, 8),
                atomic: true
            }
        );
        assert_eq!(
            of("9: (db) r0 = atomic64_fetch_add((u64 *)(r1 +0), r0)"),
            Operation::Store {
                to: place(1, 0, 8),
                atomic: true
            }
        );
        assert_eq!(of("2: (bf) r2 = r10"), Operation::Copy { to: 2, from: 10 });
        assert_eq!(of("2: (bc) w2 = w1"), Operation::Copy { to: 2, from: 1 });
        let arithmetic = |to, amount| Operation::Arithmetic {
            to,
            amount,
            with: None,
        };
        assert_eq!(of("3: (07) r2 += -4"), arithmetic(2, Some(-4)));
        assert_eq!(of("3: (17) r2 -= 4"), arithmetic(2, Some(-4)));
        let added = Operation::Arithmetic {
            to: 2,
            amount: None,
            with: Some(3),
        };
        assert_eq!(of("3: (0f) r2 += r3"), added);
        assert_eq!(of("3: (77) r0 >>= 32"), arithmetic(0, None));
        assert_eq!(of("3: (c7) r0 s>>= 32"), arithmetic(0, None));
        assert_eq!(
            of("0: (b7) r1 = 0"),
            Operation::Set {
                to: 1,
                value: Some(0)
            }
        );
        assert_eq!(
            of("0: (18) r1 = 0xffff8880"),
            Operation::Set { to: 1, value: None }
        );
        let jump =
            Instruction::of("7: (55) if r0 != 0x0 goto pc+4 12: R0_w=scalar() R10=fp0").unwrap();
        assert_eq!(jump.text, "(55) if r0 != 0x0 goto pc+4");
        assert_eq!(of("9: (95) exit"), Operation::Other);
        assert_eq!(of("9: (15) if r0 == 0x0 goto pc+3"), Operation::Other);
    }

    #[test]
    fn what_is_cut_is_no_instruction_and_no_place() {
        for line in [
            "",
            "7",
            "7: (",
            "7: (8",
            "7: (85",
            "x: (85) call y",
            "7: (\u{1f980}) r1",
        ] {
            assert_eq!(Instruction::of(line), None, "{line}");
        }
        for line in [
            "7: (79) r1 = *(u64 *)(r0",
            "7: (79) r1 = *(u64 *)(r99 +0)",
            "7: (79) r1 = *(u64 *)(r0 +99999999999999999999)",
            "7: (7b) *(",
        ] {
            assert_eq!(of(line), Operation::Other, "{line}");
        }
    }
}
