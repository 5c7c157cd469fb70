//! QEMU as a [`Machine`].

use std::time::Duration;

use ukci_schema::plan::PlannedKernel;
use ukci_schema::verdict::Fault;

use super::interface::{Boot, Hardware, Machine, NoTemplate};
use super::qemu::Qemu;
use super::qemu_guest::QemuGuest;
use super::template::Template;
use super::{saving, start};

impl Machine for Qemu {
    type Guest = QemuGuest;

    fn hardware(&self, kernel: &PlannedKernel) -> Hardware {
        self.hardware_for(kernel)
    }

    fn slowness(&self) -> u32 {
        self.slowdown()
    }

    async fn boot(&self, boot: Boot) -> Result<QemuGuest, Fault> {
        start::guest(self, boot).await
    }

    async fn find_template(&self, boot: &Boot) -> Option<Template> {
        saving::find(self, boot).await
    }

    async fn make_template(
        &self,
        boot: &Boot,
        limit: Duration,
        rests: &(dyn Fn() + Sync),
    ) -> Result<Template, NoTemplate> {
        saving::make(self, boot, limit, rests).await
    }
}
