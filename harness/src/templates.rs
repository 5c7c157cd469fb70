//! Decides which cells of a run start as copies of a saved guest, and makes each template once.
//!
//! Cells go in that are about to run, and for each comes out how its first boot starts. Within a run
//! a template pays from the second cell on, and for a single cell if other runs follow; one that is
//! there already is used in any case. While a template is made, the cells that wait for it hold no
//! permit to run a machine.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::OnceCell;

use crate::cell::{Inputs, Start};
use crate::machine::{Machine, NoTemplate, Template, Userland};
use crate::run_options::Copies;
use crate::schedule::Room;

/// The guests of a run that could be copied.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    /// By what their boots have in common.
    groups: HashMap<Group, Shared>,
    /// How many cells must share a guest for it to be saved.
    fewest: usize,
    /// Whether a reason was told that holds for the whole host.
    told: Arc<AtomicBool>,
}

/// What the boots of cells have in common that a template can serve.
type Group = (String, u32, u32, Vec<String>, Userland);

#[derive(Debug, Default)]
struct Shared {
    /// Cells that are to run.
    cells: usize,
    template: OnceCell<Start>,
}

fn group(inputs: &Inputs) -> Group {
    let planned = &inputs.planned;
    let cmdline = planned.cmdline.clone();
    (
        planned.cell.kernel_key(),
        planned.memory,
        planned.cpus,
        cmdline,
        inputs.userland(),
    )
}

impl Templates {
    /// For those of the cells that are to run which `copies` permits.
    pub(crate) fn of<'a>(cells: impl Iterator<Item = &'a Inputs>, copies: Copies) -> Self {
        let mut groups: HashMap<Group, Shared> = HashMap::new();
        for inputs in cells.filter(|inputs| copies != Copies::Never && inputs.can_be_copied()) {
            groups.entry(group(inputs)).or_default().cells += 1;
        }
        Self {
            groups,
            fewest: if copies == Copies::Always { 1 } else { 2 },
            told: Arc::default(),
        }
    }

    /// For further cells of the same run, none of which shares a guest with those of this one.
    pub(crate) fn and<'a>(&self, cells: impl Iterator<Item = &'a Inputs>, copies: Copies) -> Self {
        Self {
            told: Arc::clone(&self.told),
            ..Self::of(cells, copies)
        }
    }

    /// How the first boot of a cell starts. Where its template is made for that, room for its machine
    /// is taken meanwhile. `warn` is told what holds for the whole host, once.
    pub(crate) async fn start<M: Machine>(
        &self,
        machine: &M,
        inputs: &Inputs,
        room: &Room,
        warn: impl Fn(String),
    ) -> Start {
        let Some(shared) = self.groups.get(&group(inputs)) else {
            return Start::Boot { why: None };
        };
        if !inputs.userland().can_be_saved() {
            let why = "a guest that shares this host's files cannot be saved".to_owned();
            return Start::Boot { why: Some(why) };
        }
        let started = shared.template.get_or_init(|| async {
            let boot = inputs.boot(inputs.planned.memory, inputs.out.to_path_buf());
            if let Some(template) = machine.find_template(&boot).await {
                return Start::Copy(template);
            }
            if shared.cells < self.fewest {
                return Start::Boot { why: None };
            }
            let lease = room.take(boot.memory).await;
            let limit = inputs.timeout * machine.slowness();
            let made = machine.make_template(&boot, limit, &|| lease.rests()).await;
            drop(lease);
            self.started(made, inputs, warn)
        });
        started.await.clone()
    }

    fn started(
        &self,
        made: Result<Template, NoTemplate>,
        inputs: &Inputs,
        warn: impl Fn(String),
    ) -> Start {
        let why = match made {
            Ok(template) => return Start::Copy(template),
            Err(why) => why,
        };
        let kernel = &inputs.planned.cell.kernel;
        tracing::info!(kernel, %why, "every cell of this kernel boots");
        match why {
            // It was requested, or holds for the architecture, and says nothing of a cell.
            NoTemplate::Transport(_) | NoTemplate::Timers(_) => Start::Boot { why: None },
            NoTemplate::NoRoom { .. } => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    warn(format!("{why}, so every cell boots its kernel"));
                }
                Start::Boot { why: None }
            }
            NoTemplate::Failed(_) => Start::Boot {
                why: Some(why.to_string()),
            },
        }
    }
}
