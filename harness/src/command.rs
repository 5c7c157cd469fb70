//! Commands: programs that are run in a guest, and whose exit status is the verdict.
//!
//! A command is put together from a person's words and the files of this host ([`Draft`]); a cell
//! of it is run in the one conversation with a guest ([`Run`]).

mod account;
mod draft;
pub(crate) mod elf_closure;
mod exchange;
pub(crate) mod out_files;
mod output;
pub(crate) mod program_path;
mod script;
mod terminfo;
mod tool_files;

pub use self::draft::{Draft, Error, SharedFile, Terminal, check_host, planned, sent};
pub use self::output::{Chunk, Closer, Stdin, StdinReader, StreamName};
pub use self::tool_files::tools_of;

pub(crate) use self::exchange::Run;
pub(crate) use self::output::Sender;
