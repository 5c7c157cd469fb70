//! A machine whose console is our own terminal, for a shell in a guest.

use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::sync::watch;
use ukci_schema::command::WindowSize;

use super::device::{self, Backend, Device};
use super::error::Error;
use super::evidence_file;
use super::interface::Boot;
use super::private_dir::PrivateDir;
use super::process::{Process, Rights};
use super::qemu::Qemu;
use super::unprivileged::Handed;
use crate::arch;
use crate::console::CONSOLE_LOG;

impl Qemu {
    /// Boots a machine whose console is our own standard input and output, and waits for its end,
    /// in words: `exited with status 0`. The guest is told whenever the window has another size.
    /// Dropping the future kills it.
    pub async fn boot_on_terminal(
        &self,
        boot: &Boot,
        window: watch::Receiver<WindowSize>,
    ) -> Result<String, Error> {
        let platform = arch::platform(boot.cell.arch);
        let emulator = self.emulator(boot.cell.arch).ok_or(Error::NoQemu {
            program: platform.qemu,
            package: platform.package,
        })?;
        let failed = |source| Error::Run {
            program: emulator.path.clone(),
            source,
        };
        let terminal = Device::Terminal {
            name: platform.console,
            log: boot.evidence.join(CONSOLE_LOG),
        };
        let user = self.user(boot.cell.arch).ok();
        let group = user.as_ref().map(|user| user.id);
        let dir = PrivateDir::create(self.base(), group).map_err(failed)?;
        let listener = UnixListener::bind(dir.agent()).map_err(failed)?;
        let mut links = vec![Device::SerialPort(dir.agent())];
        let mut memory = Backend::Private;
        // It ends with this function.
        let mut _files = None;
        if boot.userland.host_root {
            let arch = boot.cell.arch;
            let shared = self.share_files(arch, &dir, &boot.evidence).await;
            let (process, device) = shared.map_err(Error::Share)?;
            links.push(device);
            memory = Backend::Shared;
            _files = Some(process);
        }
        if user.is_some() {
            dir.admit().map_err(failed)?;
        }
        let machine = self.made_of(boot, terminal, links, memory);
        let (handed, disk) = boot.handed_to(user.as_ref()).map_err(failed)?;
        let log = boot.evidence.join(CONSOLE_LOG);
        let written = evidence_file::create(&log).map_err(failed)?;
        let Handed {
            command,
            mut descriptors,
        } = Handed::to(
            user.as_ref(),
            &emulator.path,
            &device::flags(&machine.devices(&handed)),
            &[&boot.kernel, &boot.initramfs],
            Some((&log, written)),
        )
        .map_err(failed)?;
        descriptors.extend(disk);
        let rights = Rights {
            user,
            descriptors,
            namespace: None,
        };
        let process = Process::spawn_on_terminal(command, rights).await;
        let mut process = process.map_err(failed)?;
        let exit = tokio::select! {
            exit = process.exited() => exit,
            () = tell_sizes(&listener, window) => process.exited().await,
        };
        Ok(exit.map_err(failed)?.words())
    }
}

/// Tells a guest the size of the window, and each that follows it, in a line each. Ends if the guest
/// cannot be told any more, which does no harm.
async fn tell_sizes(listener: &UnixListener, mut window: watch::Receiver<WindowSize>) {
    let Ok((mut guest, _)) = listener.accept().await else {
        return;
    };
    loop {
        let WindowSize { columns, rows } = *window.borrow_and_update();
        let line = format!("{columns}x{rows}\n");
        if guest.write_all(line.as_bytes()).await.is_err() || window.changed().await.is_err() {
            return;
        }
    }
}
