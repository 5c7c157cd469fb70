//! Reads what libbpf's log says about a load that failed in a copy.

use ukci_schema::evidence::Log;

/// Whether libbpf failed only over a slot of a map, whose program or map was left out.
pub(crate) fn left_out_slot(log: &Log) -> bool {
    log.lines()
        .any(|line| line.contains("failed to initialize slot"))
}

/// The program that libbpf's last words are about: `libbpf: prog 'NAME': …`.
pub(crate) fn blamed(log: &Log) -> Option<&str> {
    log.lines().rev().find_map(|line| {
        let (name, _) = line.strip_prefix("libbpf: prog '")?.split_once("': ")?;
        Some(name)
    })
}

/// libbpf repeats the verifier's log, which the evidence has already.
pub(crate) fn without_verifier_log(log: &Log) -> Log {
    let mut inside = false;
    let mut text = String::new();
    for line in log.lines() {
        if line.contains("-- END PROG LOAD LOG --") {
            inside = false;
        } else if line.contains("-- BEGIN PROG LOAD LOG --") {
            inside = true;
        } else if !inside {
            text.push_str(line);
            text.push('\n');
        }
    }
    Log::bounded(&text)
}

#[cfg(test)]
mod tests {
    use ukci_schema::evidence::Log;

    use super::{blamed, without_verifier_log};

    #[test]
    fn libbpf_names_the_program_and_its_copy_of_the_trace_is_dropped() {
        let log = Log::bounded(
            "libbpf: prog 'bad': BPF program load failed: -EACCES\n\
             libbpf: prog 'bad': -- BEGIN PROG LOAD LOG --\n0: (b7) r0 = 0\n\
             -- END PROG LOAD LOG --\n\
             libbpf: prog 'bad': failed to load: -EACCES\n\
             libbpf: failed to load object 'x'\n",
        );
        assert_eq!(blamed(&log), Some("bad"));
        assert_eq!(
            without_verifier_log(&log).head,
            "libbpf: prog 'bad': BPF program load failed: -EACCES\n\
             libbpf: prog 'bad': failed to load: -EACCES\n\
             libbpf: failed to load object 'x'\n"
        );
        assert_eq!(blamed(&Log::bounded("libbpf: failed to open\n")), None);
    }
}
