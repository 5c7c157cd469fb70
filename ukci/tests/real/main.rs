//! The heart of the suite: the built binary, real kernels out of their packages, QEMU.
//!
//! `make test` sees to the agents, the kernels and the objects and sets `UKCI_TEST_REAL=1`: then
//! a missing one fails. Without it each test says what is missing and skips.

#![expect(clippy::print_stderr, reason = "a skip is told to people")]

mod again;
mod axes;
mod behavior;
mod cells;
mod containers;
mod copies;
mod custom_btf;
mod downloads;
mod exec;
mod features;
mod fixture;
mod host_limits;
mod lifetime;
mod loaders;
mod many;
mod netlink;
mod obstacles;
mod runners;
mod serial_line;
mod shell;
mod stdin;
mod tools;
mod tty;
mod userland;
mod vendors;
mod versions;
mod watch;
