//! A register's state as the verifier prints it, in the old and in the new format.

/// What the verifier knows of a register.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Register<'a> {
    /// `scalar` (`inv` before 5.18), `ctx`, `fp`, `pkt`, `map_value_or_null`, `trusted_ptr_file`.
    pub(crate) kind: &'a str,
    /// The constant part of a pointer's offset.
    pub(crate) offset: i64,
    /// The size of a map's value (`vs`).
    pub(crate) value_size: Option<u64>,
    /// The map's name, which kernels print since 6.7.
    pub(crate) map: Option<&'a str>,
    /// The bytes of a packet that a comparison with its end has proven (`r`).
    pub(crate) proven: Option<u64>,
    /// The least and greatest value as a signed number.
    pub(crate) signed: (i64, i64),
    /// The same as an unsigned number.
    pub(crate) unsigned: (u64, u64),
    /// Whether the offset of a pointer has a part that is known at run time only.
    pub(crate) variable: bool,
    /// Whether the log says so; else it follows from the instructions, and the range is not known.
    pub(crate) printed: bool,
}

impl<'a> Register<'a> {
    /// A register of this kind of which nothing else is known.
    pub(crate) fn of_kind(kind: &'a str) -> Self {
        Self {
            kind,
            signed: (i64::MIN, i64::MAX),
            unsigned: (0, u64::MAX),
            ..Self::default()
        }
    }

    pub(crate) fn is_scalar(&self) -> bool {
        self.kind == "scalar"
    }

    pub(crate) fn is_packet(&self) -> bool {
        matches!(self.kind, "pkt" | "pkt_meta" | "pkt_end")
    }

    /// The one value that it can have.
    pub(crate) fn constant(&self) -> Option<i64> {
        (self.is_scalar() && self.signed.0 == self.signed.1).then_some(self.signed.0)
    }

    /// The state that stands behind `R1_w=`.
    pub(crate) fn of(text: &'a str) -> Option<Self> {
        let mut found = Self::parsed(text.trim())?;
        found.printed = true;
        Some(found)
    }

    fn parsed(text: &'a str) -> Option<Self> {
        // `P` stands before a number that must be known exactly.
        let bare = text.strip_prefix('P').unwrap_or(text);
        if let Some(value) = number(bare) {
            return Some(Self::known(value));
        }
        if let Some(offset) = text.strip_prefix("fp").and_then(number) {
            return Some(Self {
                offset,
                ..Self::of_kind("fp")
            });
        }
        let (kind, inside) = match text.split_once('(') {
            Some((kind, rest)) => (kind, rest.strip_suffix(')').unwrap_or(rest)),
            None => (text, ""),
        };
        let kind = match kind.strip_prefix("inv") {
            Some(rest) => match number(rest.strip_prefix('P').unwrap_or(rest)) {
                Some(value) => return Some(Self::known(value)),
                None => "scalar",
            },
            None => kind.strip_prefix("Pscalar").map_or(kind, |_| "scalar"),
        };
        if kind.is_empty() || !kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return None;
        }
        let mut found = Self::of_kind(kind);
        found.read(inside);
        Some(found)
    }

    pub(crate) fn known(value: i64) -> Self {
        Self {
            signed: (value, value),
            unsigned: (value.cast_unsigned(), value.cast_unsigned()),
            ..Self::of_kind("scalar")
        }
    }

    /// `id=1,off=0,ks=4,vs=8,imm=0`, `smin=smin32=0,smax=umax=7,var_off=(0x0; 0x7)`.
    fn read(&mut self, inside: &'a str) {
        for field in fields(inside) {
            let mut words: Vec<&str> = field.split('=').collect();
            let value = words.pop().unwrap_or_default();
            for key in words {
                self.set(key, value);
            }
        }
        if self.unsigned.1 <= i64::MAX.cast_unsigned() {
            let least = self.unsigned.0.cast_signed().max(self.signed.0);
            let most = self.unsigned.1.cast_signed().min(self.signed.1);
            self.signed = (least, most);
        }
    }

    fn set(&mut self, key: &str, value: &'a str) {
        let Some(number) = number(value) else {
            match key {
                "map" => self.map = Some(value),
                "var_off" => self.masked(value),
                _ => {}
            }
            return;
        };
        let unsigned = number.cast_unsigned();
        match key {
            "off" => self.offset = number,
            "vs" => self.value_size = Some(unsigned),
            "r" => self.proven = Some(unsigned),
            "smin" | "smin_value" => self.signed.0 = number,
            "smax" | "smax_value" => self.signed.1 = number,
            "umin" | "umin_value" => self.unsigned.0 = unsigned,
            "umax" | "umax_value" => self.unsigned.1 = unsigned,
            "map" => self.map = Some(value),
            // From 7.1 the offset of a pointer is a number of its own.
            "imm" if !self.is_scalar() => self.offset = self.offset.saturating_add(number),
            _ => {}
        }
    }

    /// `(0x0; 0x7)`: the bits that are known, and those that are not.
    fn masked(&mut self, text: &str) {
        let bits = text.trim_start_matches('(').trim_end_matches(')');
        let known = bits
            .split_once(';')
            .and_then(|(known, mask)| Some((number(known.trim())?, number(mask.trim())?)));
        if let Some((known, mask)) = known {
            self.variable = mask != 0 && !self.is_scalar();
            let most = known.cast_unsigned() | mask.cast_unsigned();
            self.unsigned.1 = self.unsigned.1.min(most);
        }
    }
}

/// The fields between commas, of which none stands in parentheses.
fn fields(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_u32;
    text.split(move |c| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
}

/// `17`, `-17`, `0x1ff`, as the kernel prints them.
fn number(text: &str) -> Option<i64> {
    if let Some(digits) = text.strip_prefix("-0x") {
        return i64::from_str_radix(digits, 16).ok()?.checked_neg();
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(u64::cast_signed);
    }
    let unsigned = || text.parse::<u64>().ok().map(u64::cast_signed);
    text.parse().ok().or_else(unsigned)
}

/// The registers of a line of states, with their numbers: `R1_w=ctx(off=0,imm=0) R10=fp0 fp-8=…`.
pub(crate) fn states(line: &str) -> Vec<(u8, Register<'_>)> {
    let mut found = Vec::new();
    let mut depth = 0_u32;
    let words = line.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ' ' && depth == 0
    });
    for word in words {
        let Some((name, state)) = word.split_once('=') else {
            continue;
        };
        let Some(name) = name.strip_prefix('R') else {
            continue;
        };
        let number = name.split('_').next().and_then(|n| n.parse().ok());
        if let Some((number, register)) = number.zip(Register::of(state))
            && number <= 10
        {
            found.push((number, register));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{Register, states};

    fn of(text: &str) -> Register<'_> {
        Register::of(text).unwrap()
    }

    #[test]
    fn the_words_of_old_and_new_kernels() {
        let old = of("inv(id=0,umax_value=31,var_off=(0x0; 0x1f))");
        let new = of("scalar(smin=smin32=0,smax=umax=smax32=umax32=31,var_off=(0x0; 0x1f))");
        assert_eq!((old.kind, old.unsigned), ("scalar", (0, 31)));
        assert_eq!((old.signed, new.signed), ((0, 31), (0, 31)));
        assert_eq!(new.unsigned, (0, 31));
        for text in ["invP17", "inv17", "17", "P17", "0x11"] {
            assert_eq!(of(text).constant(), Some(17), "{text}");
        }
        assert_eq!(of("-5").constant(), Some(-5));
        assert_eq!(of("fp-16").offset, -16);
        assert_eq!(of("fp0").kind, "fp");
        let indexed = of("fp(off=-16,smin=smin32=0,smax=umax=63,var_off=(0x0; 0x3f))");
        assert_eq!(
            (indexed.kind, indexed.offset, indexed.signed),
            ("fp", -16, (0, 63))
        );
        assert!(indexed.variable);
        let value = of("map_value(id=0,off=8,ks=4,vs=16,imm=0)");
        assert_eq!((value.offset, value.value_size), (8, Some(16)));
        let value = of("map_value(map=code_pol.bss,ks=4,vs=8)");
        assert_eq!(value.map, Some("code_pol.bss"));
        assert_eq!(of("pkt(id=0,off=14,r=14,imm=0)").proven, Some(14));
        assert_eq!(of("trusted_ptr_file()").kind, "trusted_ptr_file");
        assert_eq!(of("scalar()").signed, (i64::MIN, i64::MAX));
        assert_eq!(of("scalar(smin=-4095,smax=0)").signed, (-4095, 0));
        assert_eq!(
            of("scalar(umin=18446744073709547520)").unsigned.0,
            u64::MAX - 4095
        );
    }

    #[test]
    fn a_line_of_states_keeps_commas_and_blanks_inside() {
        let found = states(
            "R0_w=scalar(umax=7,var_off=(0x0; 0x7)) R1=ctx(off=0,imm=0) R10=fp0 fp-8=mmmm????",
        );
        let numbers: Vec<u8> = found.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [0, 1, 10]);
        assert_eq!(found[0].1.unsigned, (0, 7));
    }

    #[test]
    fn damage_is_left_out() {
        for text in [
            "",
            "(",
            "inv(",
            "\u{1f980}",
            "R",
            "P",
            "scalar(umax=",
            "((((",
            "))))",
        ] {
            let _ = Register::of(text);
        }
        assert!(states("R99=ctx() Rx=1 R=2 R1= =3 R3").is_empty());
    }
}
