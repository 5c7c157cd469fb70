//! A rejected program, from its verifier log alone: what the judge tells its author.

use ukci_judge::judge;
use ukci_schema::diagnosis::Diagnosis;
use ukci_schema::evidence::{
    Evidence, Log, MapEvidence, Mode, ProgramEvidence, ProgramLoad, Step, StepOutcome,
};
use ukci_schema::verdict::Verdict;

/// A rejected program: its type and section, and what it refers to.
#[derive(Clone, Default)]
pub(crate) struct Rejected {
    kind: &'static str,
    section: &'static str,
    attach: Option<&'static str>,
    maps: Vec<MapEvidence>,
    kfuncs: Vec<&'static str>,
    release: Option<&'static str>,
    libbpf: &'static str,
}

impl Rejected {
    pub(crate) fn of(kind: &'static str, section: &'static str) -> Self {
        Self {
            kind,
            section,
            ..Self::default()
        }
    }

    pub(crate) fn attached_as(mut self, attach: &'static str) -> Self {
        self.attach = Some(attach);
        self
    }

    pub(crate) fn with_map(mut self, name: &str, kind: &str, value_size: u32) -> Self {
        self.maps.push(MapEvidence {
            name: name.into(),
            map_type: kind.into(),
            key_size: 4,
            value_size,
            max_entries: 1,
            autocreate: true,
            created: StepOutcome::Ok,
            ..MapEvidence::default()
        });
        self
    }

    /// The flags of the map that was declared last.
    pub(crate) fn with_flags(mut self, flags: u32) -> Self {
        self.maps.last_mut().unwrap().flags = flags;
        self
    }

    pub(crate) fn calling(mut self, kfunc: &'static str) -> Self {
        self.kfuncs.push(kfunc);
        self
    }

    pub(crate) fn on(mut self, release: &'static str) -> Self {
        self.release = Some(release);
        self
    }

    /// What libbpf printed of the whole object.
    pub(crate) fn with_log(mut self, libbpf: &'static str) -> Self {
        self.libbpf = libbpf;
        self
    }

    pub(crate) fn diagnosis(&self, log: &str) -> Diagnosis {
        let program = ProgramEvidence {
            name: "prog".into(),
            section: self.section.into(),
            program_type: self.kind.into(),
            attach_type: self.attach.map(Into::into),
            target: self
                .section
                .split_once('/')
                .map(|(_, target)| target.into()),
            autoload: true,
            maps: self.maps.iter().map(|map| map.name.clone()).collect(),
            kfuncs: self.kfuncs.iter().map(|name| (*name).into()).collect(),
            load: ProgramLoad {
                outcome: StepOutcome::Refused,
                isolated: true,
                errno: Some(13),
                log: Log::bounded(log),
                ..ProgramLoad::default()
            },
            ..ProgramEvidence::default()
        };
        let step = |outcome| Step {
            outcome,
            errno: None,
            micros: 1,
        };
        let mut evidence = Evidence {
            mode: Mode::Load,
            open: step(StepOutcome::Ok),
            load: step(StepOutcome::Refused),
            programs: vec![program],
            maps: self.maps.clone(),
            log: Log::bounded(self.libbpf),
            ..Evidence::default()
        };
        evidence.guest.release = self.release.unwrap_or("6.12.0-cloud-amd64").into();
        evidence.guest.jit = Some("1".into());
        match judge(&evidence, false).verdict {
            Verdict::Fail { diagnosis } => diagnosis,
            other => panic!("{log}\n{other:?}"),
        }
    }

    fn hints(&self, log: &str) -> String {
        self.diagnosis(log).hints.join("\n")
    }

    /// The hints have all of these words.
    #[track_caller]
    pub(crate) fn told(&self, log: &str, words: &[&str]) {
        let hints = self.hints(log);
        for words in words {
            assert!(
                hints.contains(words),
                "no `{words}` in:\n{hints}\nof:\n{log}"
            );
        }
    }

    /// The hints have none of these words.
    #[track_caller]
    pub(crate) fn not_told(&self, log: &str, words: &[&str]) {
        let hints = self.hints(log);
        for words in words {
            assert!(!hints.contains(words), "`{words}` in:\n{hints}\nof:\n{log}");
        }
    }
}

pub(crate) fn tracing() -> Rejected {
    Rejected::of("raw_tracepoint", "raw_tp/sched_switch")
}
