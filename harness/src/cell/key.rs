//! The key under which a cell's evidence is remembered: a digest of everything that it depends on.
//!
//! | In the key | Why |
//! |---|---|
//! | the request: artifact's name, mode, contract, sysctls | what the agent is asked |
//! | the object, the contract's files, by digest | what it is given |
//! | kernel image, segment, modules, by digest; kernel arguments | what is booted |
//! | memory, CPUs, accelerator, CPU model, the emulator's version | on what |
//! | the host's processor, with KVM only | an emulated one does not show it |
//! | the agent, by digest; the protocol; [`RECIPE`] | who asks, and how |
//!
//! Not in the key, because the evidence must not depend on them: the transport, the clock, the time
//! limits, whether the guest was booted or cloned, and the version of ukci.

use serde::Serialize;
use ukci_schema::message::{PROTOCOL, Request};

use super::inputs::Inputs;
use crate::catalogue::digest;
use crate::machine::Hardware;
use crate::remembered::Key;

/// Goes into every key: raised when ukci does something else to a guest that has the same inputs,
/// such as giving it other modules or devices.
const RECIPE: &str = "ukci.verdict/3";

/// All that the evidence depends on.
#[derive(Serialize)]
struct KeyOf<'a> {
    recipe: &'a str,
    protocol: u32,
    request: Request,
    object: &'a str,
    files: Vec<String>,
    image: &'a str,
    segment: &'a str,
    modules: Option<&'a str>,
    cmdline: Vec<&'a str>,
    memory: u32,
    cpus: u32,
    agent: &'a str,
    accel: &'a str,
    cpu: &'a str,
    emulator: &'a str,
    processor: &'a str,
}

/// The key of a cell on this hardware.
pub(super) fn key(inputs: &Inputs, hardware: &Hardware) -> Option<Key> {
    // What a command does depends on more than its bytes, and it is run to be seen.
    if inputs.command.is_some() {
        return None;
    }
    let (planned, kernel) = (&inputs.planned, &inputs.kernel);
    let of = KeyOf {
        recipe: RECIPE,
        protocol: PROTOCOL,
        request: Request {
            time: 0,
            entropy: String::new(),
            isolation_seconds: None,
            // They are chosen by the object and the manifest, out of the kernel's.
            modules: Vec::new(),
            ..inputs.request(inputs.timeout)
        },
        object: &inputs.object_sha256,
        files: inputs.files.iter().map(|file| digest::of(file)).collect(),
        image: &kernel.image.sha256,
        segment: &kernel.segment.sha256,
        modules: kernel.modules.as_ref().map(|file| file.sha256.as_str()),
        cmdline: (kernel.cmdline.iter())
            .chain(&planned.cmdline)
            .map(String::as_str)
            .collect(),
        memory: planned.memory,
        cpus: planned.cpus,
        agent: &inputs.agent,
        accel: &hardware.accel,
        cpu: &hardware.cpu,
        emulator: &hardware.emulator,
        processor: &hardware.processor,
    };
    Key::of(&of)
}
