//! What `ukci shell` and the agent agree on: where things lie in the guest.

/// Directory with the artifact and what goes with it; where the shell starts.
pub const CELL: &str = "/cell";

/// The [`Request`](crate::message::Request) that the cell's run would make, as JSON.
pub const REQUEST: &str = "/cell/request.json";

/// Directory of the files of the contract, named by their places in its list.
pub const FILES: &str = "/cell/files";

/// What to run in place of an interactive shell; absent without one.
pub const COMMAND: &str = "/cell/command";

/// Where this file is, the guest has [a network](crate::userland::Network::User).
pub const NETWORK: &str = "/cell/network";

/// Where this file is, the shell runs in [a root file system](crate::userland::Root) of its own.
pub const ROOT: &str = "/cell/root";

/// Where this file is, the shell runs in the root file system of the host.
pub const HOST_ROOT: &str = "/cell/host-root";

/// Directory of the files that were sent for the person, each below its path in the guest.
pub const SENT: &str = "/.ukci/sent";

/// The shell and its tools.
pub const BUSYBOX: &str = "/bin/busybox";

/// How the line begins that ends with the exit status of the shell.
pub const DONE: &str = "ukci-guest: the shell exited with status ";

/// Where the agent looks for the module of this name.
pub fn module(name: &str) -> String {
    format!("/lib/ukci/modules/{name}.ko")
}

/// Where the artifact of this name lies.
pub fn object(name: &str) -> String {
    format!("{CELL}/{}.bpf.o", name.replace('/', "_"))
}
