//! The commands, one file per subcommand. What several of them need is beside this directory.

pub(crate) mod bisect;
pub(crate) mod bless;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod explain;
pub(crate) mod help;
pub(crate) mod init;
pub(crate) mod kernels;
pub(crate) mod list;
pub(crate) mod manifest;
pub(crate) mod mskv;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod rerun;
pub(crate) mod runner;
pub(crate) mod shell;
pub(crate) mod sweep;
pub(crate) mod warm;
