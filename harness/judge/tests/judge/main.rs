//! The judge over evidence: recorded on real kernels, written by hand, and damaged at random.
//!
//! `../evidence/<kernel>/<case>.json` is what the agent sent from that kernel, for an object of
//! `guest/tests/casebook` or `docs/examples`; `../evidence/<kernel>.snap` is what the judge makes
//! of it. A failure seen in the wild is kept as one more file there.

mod asked;
mod attach_reasons;
mod attachment;
mod brought_by_options;
mod damage;
mod errnos;
mod field;
mod hand;
mod hints_of_arguments;
mod hints_of_calls;
mod hints_of_kinds;
mod hints_of_memory;
mod hints_of_sentences;
mod map_in_map;
mod object;
mod options;
mod program;
mod program_array;
mod recorded;
mod rejected;
mod splat;
mod user_probes;
