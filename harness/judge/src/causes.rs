//! All causes of one object's failure: what the verdict names, and what else its programs were
//! refused for. Who mends the first must not meet the others one run later.

use ukci_schema::diagnosis::Diagnosis;

/// One cause and the programs that it stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause<'a> {
    /// That of the first program, or the object's own.
    pub diagnosis: &'a Diagnosis,
    /// The programs, in the object's order; empty where it is the object's own.
    pub programs: Vec<&'a str>,
}

/// Groups the causes, the verdict's own first. `programs` are all of the object, each with its
/// diagnosis if it was refused: those of a report's cell, or of a [`Judgement`](crate::Judgement).
pub fn causes<'a>(
    whole: Option<&'a Diagnosis>,
    programs: impl IntoIterator<Item = (&'a str, Option<&'a Diagnosis>)>,
) -> Vec<Cause<'a>> {
    let mut causes: Vec<Cause<'a>> = whole
        .map(|diagnosis| Cause {
            diagnosis,
            programs: Vec::new(),
        })
        .into_iter()
        .collect();
    for (program, diagnosis) in programs {
        let Some(diagnosis) = diagnosis else {
            continue;
        };
        let known = (causes.iter_mut()).find(|cause| is_same(cause.diagnosis, diagnosis));
        match known {
            Some(cause) => cause.programs.push(program),
            None => causes.push(Cause {
                diagnosis,
                programs: vec![program],
            }),
        }
    }
    causes
}

/// Whether two programs are refused for one reason: the same code and the same words about each.
pub fn is_same(one: &Diagnosis, other: &Diagnosis) -> bool {
    one.code == other.code && one.stage == other.stage && impersonal(one) == impersonal(other)
}

/// The headline without the program's own name.
fn impersonal(diagnosis: &Diagnosis) -> String {
    match &diagnosis.program {
        Some(name) => diagnosis.headline.replace(&format!("`{name}`"), "`…`"),
        None => diagnosis.headline.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::causes;
    use ukci_schema::diagnosis::{Code, Diagnosis};
    use ukci_schema::verdict::Stage;

    fn refused(program: &str, code: Code, headline: &str) -> Diagnosis {
        Diagnosis {
            code,
            stage: Stage::Load,
            program: Some(program.into()),
            headline: headline.replace("NAME", &format!("`{program}`")),
            at: None,
            excerpt: None,
            hints: Vec::new(),
        }
    }

    #[test]
    fn programs_of_one_cause_stand_together_and_no_cause_is_lost() {
        let (loops, pointer) = (Code::UnsupportedHelper, Code::VerifierRejection);
        let all = [
            (
                "a",
                Some(refused("a", pointer, "the verifier rejected NAME: R1")),
            ),
            (
                "b",
                Some(refused(
                    "b",
                    loops,
                    "no helper `bpf_loop`, which NAME calls",
                )),
            ),
            ("c", None),
            (
                "d",
                Some(refused(
                    "d",
                    loops,
                    "no helper `bpf_loop`, which NAME calls",
                )),
            ),
            (
                "e",
                Some(refused("e", pointer, "the verifier rejected NAME: R2")),
            ),
        ];
        let programs = all.iter().map(|(name, found)| (*name, found.as_ref()));
        let found = causes(all[0].1.as_ref(), programs);
        let names: Vec<&[&str]> = found.iter().map(|cause| &*cause.programs).collect();
        assert_eq!(names, [&["a"][..], &["b", "d"], &["e"]]);
        assert_eq!(found[1].diagnosis.code, loops);
    }

    #[test]
    fn a_cause_of_the_object_comes_first_and_names_no_program() {
        let mut own = refused("x", Code::MapRefused, "a map is too large");
        own.program = None;
        let of_one = refused("a", Code::VerifierRejection, "the verifier rejected NAME");
        let found = causes(Some(&own), [("a", Some(&of_one)), ("b", None)]);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].programs, [""; 0]);
        assert_eq!(found[1].programs, ["a"]);
        assert!(causes(None, [("a", None)]).is_empty());
    }
}
