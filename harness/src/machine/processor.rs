//! What this host's processor is: its model, and the rate of its time stamp counter.

use std::sync::OnceLock;

use ukci_schema::cell::Arch;

use crate::arch;

/// The model of this host's processor: what `/proc/cpuinfo` says of the first one, without what
/// changes from moment to moment or differs between the cores.
pub(super) fn model() -> String {
    static MODEL: OnceLock<String> = OnceLock::new();
    let read = || model_in(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    MODEL.get_or_init(read).clone()
}

fn model_in(cpuinfo: &str) -> String {
    const OF_THE_MODEL: &[&str] = &[
        // x86: the microcode adds and hides features.
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "microcode",
        "flags",
        // arm64
        "Features",
        "CPU implementer",
        "CPU architecture",
        "CPU variant",
        "CPU part",
        "CPU revision",
        // riscv64
        "isa",
        "mmu",
        "uarch",
        "mvendorid",
        "marchid",
        "mimpid",
    ];
    let first = cpuinfo.split("\n\n").next().unwrap_or_default();
    let lines = first.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.trim(), value.trim());
        OF_THE_MODEL
            .contains(&name)
            .then(|| format!("{name}: {value}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The rate of this host's time stamp counter in kHz, if it is an x86 one that never stops. The
/// kernel states it as `bogomips`, which is twice the rate in MHz where the TSC is the delay timer.
pub(super) fn tsc_khz() -> Option<u32> {
    if arch::host() != Some(Arch::X86_64) {
        return None;
    }
    counter_khz(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn counter_khz(cpuinfo: &str) -> Option<u32> {
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    let flags = value("flags")?;
    if !["constant_tsc", "nonstop_tsc"]
        .iter()
        .all(|flag| flags.split(' ').any(|f| f == *flag))
    {
        return None;
    }
    let (whole, part) = value("bogomips")?.split_once('.')?;
    let hundredths: u32 = format!("{whole}{part:0<2}").parse().ok()?;
    // Hundredths of bogomips are 10 kHz of bogomips, and 5 of the counter.
    hundredths.checked_mul(5).filter(|khz| *khz > 100_000)
}

#[cfg(test)]
mod tests {
    use super::{counter_khz, model_in};

    #[test]
    fn a_processor_is_its_model_and_not_its_momentary_clock() {
        let of = |mhz: &str, model: &str| {
            let core = format!(
                "processor\t: 0\nmodel name\t: {model}\ncpu MHz\t\t: {mhz}\nflags\t\t: fpu avx\n\n"
            );
            model_in(&core.repeat(2))
        };
        assert_eq!(of("2600.0", "Xeon"), "model name: Xeon\nflags: fpu avx");
        assert_eq!(of("2600.0", "Xeon"), of("3100.5", "Xeon"));
        assert_ne!(of("2600.0", "Xeon"), of("2600.0", "EPYC"));
        assert_eq!(model_in(""), "");
    }

    #[test]
    fn the_hosts_counter_is_read_where_it_never_stops() {
        let cpuinfo = "flags\t\t: fpu constant_tsc nonstop_tsc\nbogomips\t: 5192.26\n";
        assert_eq!(counter_khz(cpuinfo), Some(2_596_130));
        assert_eq!(
            counter_khz("flags : fpu constant_tsc\nbogomips : 5192.26\n"),
            None
        );
        assert_eq!(
            counter_khz("flags : constant_tsc nonstop_tsc\nbogomips : ?\n"),
            None
        );
        assert_eq!(counter_khz(""), None);
    }
}
