//! Options that say what a guest has beside the files of a command, which `exec`, `runner` and `shell`
//! share.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ukci_harness::command::SharedFile;
use ukci_schema::userland::Network;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Guest options")]
pub(crate) struct Userland {
    /// File to send to the guest. Can be repeated
    ///
    /// Without `:DST`, the file has the same path in the guest as on this host. If it is a program
    /// or a library, the libraries that it needs are sent too.
    #[arg(long, value_name = "SRC[:DST]", value_parser = file)]
    pub(crate) file: Vec<SharedFile>,

    /// Program of Debian's to give to the guest. Can be repeated
    ///
    /// `bpftool` is the only one so far. Its package and those of its libraries are pinned by digest, like
    /// kernels, and fetched when they are needed. It is in the `PATH`, whatever the root file system is.
    #[arg(long, value_name = "NAME")]
    pub(crate) tool: Vec<String>,

    /// Root file system of the guest
    ///
    /// A directory, a tar archive (plain, or compressed by gzip, xz, zstd or bzip2), an OCI image
    /// layout, or what `docker save` or `podman save` writes. If it has several images, add `@` and the
    /// name or the tag of one, for example `images.tar@debian:12`. Commands see it as `/`, and may
    /// write to it. What they write is gone afterwards. Programs are looked up in it. If you give a
    /// program by a path that it does not have, that program is sent from this host, without its
    /// libraries. The guest reads the files from a disk, so they need none of its memory.
    #[arg(long, value_name = "DIR|TAR|OCI[@TAG]")]
    pub(crate) rootfs: Option<PathBuf>,

    /// Use the files of this host as the root file system of the guest
    ///
    /// Commands see the files of this host that every user may read, or if you do not run ukci as root,
    /// those that you may read. They may write to them: what they write goes to an overlay in memory, and
    /// is gone afterwards. This host is never changed. `/root`, `/run` and directories with keys, such as
    /// `~/.ssh`, are hidden. The program `virtiofsd` reads the files. The report then says that the run is
    /// not hermetic, and every cell boots its kernel, because such a guest cannot be saved.
    #[arg(long, conflicts_with = "rootfs")]
    pub(crate) host_root: bool,

    /// Network of the guest
    ///
    /// With `user`, QEMU makes outgoing connections for the guest, as your own user. Programs reach
    /// this host at 10.0.2.2, and names are resolved as this host does. The kernel needs the driver
    /// `virtio_net`. The report then says that the run is not hermetic.
    #[arg(long, value_name = "NETWORK", default_value = "none")]
    pub(crate) net: Net,
}

impl Userland {
    /// The options that have a value, as a command line has them.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        for SharedFile { source, path } in &self.file {
            let path = path
                .as_ref()
                .map_or(String::new(), |path| format!(":{path}"));
            options.push(("--file", format!("{}{path}", source.display())));
        }
        options.extend(self.tool.iter().map(|name| ("--tool", name.clone())));
        let root = self.rootfs.as_ref();
        options.extend(root.map(|path| ("--rootfs", path.display().to_string())));
        options.extend((self.net == Net::User).then(|| ("--net", "user".to_owned())));
        options
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Net {
    /// Only `lo`
    None,
    /// Outgoing connections by QEMU's user networking
    User,
}

impl From<Net> for Network {
    fn from(net: Net) -> Self {
        match net {
            Net::None => Self::None,
            Net::User => Self::User,
        }
    }
}

/// `SRC`, or `SRC:/DST`.
fn file(text: &str) -> Result<SharedFile, String> {
    let (source, path) = match text.rsplit_once(":/") {
        Some((source, path)) => (source, Some(format!("/{path}"))),
        None => (text, None),
    };
    // A file may have a colon in its name.
    let is_relative = path.is_none()
        && !Path::new(text).exists()
        && text
            .rsplit_once(':')
            .is_some_and(|(source, _)| Path::new(source).exists());
    if source.is_empty() || is_relative {
        return Err("expected SRC or SRC:DST, where DST begins with `/`".into());
    }
    if path.as_ref().is_some_and(|path| path.ends_with('/')) {
        return Err("expected the path of a file after `:`, and this one ends with `/`".into());
    }
    Ok(SharedFile {
        source: PathBuf::from(source),
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::file;

    #[test]
    fn a_file_may_have_another_path_in_the_guest() {
        assert_eq!(file("a:b").unwrap().path, None);
        assert_eq!(file("a:/b").unwrap().path.as_deref(), Some("/b"));
        assert!(file(":/b").is_err());
        for text in ["/etc/passwd:rel/x", "/etc/passwd:", "/etc/passwd:/opt/"] {
            assert!(file(text).is_err(), "{text}");
        }
    }
}
