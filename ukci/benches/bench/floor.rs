//! The floor: a bare QEMU with the machine of a cell and without ukci's devices, whose initramfs
//! powers off at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// QEMU arguments whose value is of ukci's own devices and not of the machine.
const DEVICES: &[&str] = &[
    "-object", "-chardev", "-device", "-mon", "-initrd", "-serial",
];

/// The words of the QEMU command in a `command.txt`: a flag and its value a line.
fn qemu_words(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .map(|line| line.trim().trim_end_matches('\\').trim_end());
    let mut words: Vec<String> = Vec::new();
    for line in lines.skip_while(|line| !line.contains("qemu-system-")) {
        let (flag, value) = line
            .split_once(' ')
            .map_or((line, None), |(f, v)| (f, Some(v)));
        words.push(flag.trim_matches('\'').to_owned());
        words.extend(value.map(|value| value.trim_matches('\'').to_owned()));
    }
    words
}

/// The machine of a cell's `command.txt` without ukci's devices.
pub(crate) fn bare(text: &str, initramfs: &Path, dir: &Path) -> Command {
    let words = qemu_words(text);
    let mut command = Command::new(&words[0]);
    let mut words = words[1..].iter();
    while let Some(word) = words.next() {
        if DEVICES.contains(&word.as_str()) {
            words.next();
            continue;
        }
        match word.as_str() {
            "-M" | "-machine" => {
                let value = words.next().expect("a machine");
                let kept: Vec<&str> = value
                    .split(',')
                    .filter(|o| !o.starts_with("memory-backend"))
                    .collect();
                command.arg(word).arg(kept.join(","));
            }
            "-append" => {
                let value = words.next().expect("arguments");
                let kept: Vec<&str> = value
                    .split(' ')
                    .filter(|a| !a.starts_with("ukci."))
                    .collect();
                command.arg(word).arg(kept.join(" "));
            }
            _ => {
                command.arg(word);
            }
        }
    }
    command.arg("-initrd").arg(initramfs);
    command
        .arg("-serial")
        .arg(format!("file:{}", dir.join("bare.log").display()));
    command
}

/// An initramfs whose only program powers the machine off. It is the agent's smallest rival: a
/// static program that makes one system call.
pub(crate) fn initramfs(dir: &Path, arch: &str) -> PathBuf {
    let source = dir.join("poweroff.c");
    fs::write(&source, POWER_OFF).expect("write the program");
    let program = dir.join(format!("poweroff-{arch}"));
    let compiler = match arch {
        "x86_64" => "gcc".to_owned(),
        arch => format!("{arch}-linux-gnu-gcc"),
    };
    let status = Command::new(&compiler)
        .args(["-O2", "-static", "-nostdlib", "-o"])
        .arg(&program)
        .arg(&source)
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "{compiler} is installed by `make setup ARCHES={arch}`"
    );
    let mut archive = ukci_harness::cpio::Archive::default();
    archive.file("init", fs::read(&program).expect("the program"), true);
    let path = dir.join(format!("floor-{arch}.cpio"));
    fs::write(&path, archive.finish()).expect("write the initramfs");
    path
}

/// `reboot(RB_POWER_OFF)` without a C library.
const POWER_OFF: &str = r#"
#define MAGIC1 0xfee1deadL
#define MAGIC2 672274793L
#define POWER_OFF 0x4321fedcL
void _start(void)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = 0;
    __asm__ volatile("syscall" : "=a"(result)
        : "0"(169L), "D"(MAGIC1), "S"(MAGIC2), "d"(POWER_OFF), "r"(r10)
        : "rcx", "r11", "memory");
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = 142;
    register long x0 __asm__("x0") = MAGIC1;
    register long x1 __asm__("x1") = MAGIC2;
    register long x2 __asm__("x2") = POWER_OFF;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
#elif defined(__riscv)
    register long a7 __asm__("a7") = 142;
    register long a0 __asm__("a0") = MAGIC1;
    register long a1 __asm__("a1") = MAGIC2;
    register long a2 __asm__("a2") = POWER_OFF;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
#endif
    for (;;)
        ;
}
"#;
