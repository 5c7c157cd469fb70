//! One instruction of a path, with what was known before it.

use super::instruction::Instruction;
use super::register::Register;

/// R0 to R10.
pub(crate) type Registers<'a> = [Option<Register<'a>>; 11];

/// One instruction of the path.
#[derive(Clone, Debug)]
pub(crate) struct Step<'a> {
    pub(crate) instruction: Instruction<'a>,
    /// What was known before it.
    pub(crate) before: Registers<'a>,
    /// The source line that the verifier printed for it.
    pub(crate) source: Option<&'a str>,
}
