//! `ukci kernels features`: list the eBPF features of a kernel, or the differences between two.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use ukci_harness::catalogue::{Catalogue, Prepared, cache_dir};
use ukci_harness::kernel_features::{self, Probe};
use ukci_harness::{initramfs, render};
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::features::{KernelFeatures, Kind};
use ukci_schema::plan::FileRef;

use super::named;
use ukci_harness::render::{Shown, plain_json};

use crate::args::{Features, FeaturesFormat, Offer};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::fetching::Fetching;
use crate::host::{self, Trial};
use crate::output::Output;
use crate::stdout::print;
use crate::text::Text;
use crate::{carried, lock_file, runtime, selected};

/// Version of the shape that a comparison has as JSON.
const COMPARISON: &str = "ukci.features-comparison/1";

/// Runs the command.
pub(super) fn run(asked: &Features, output: Output) -> Result<Exit, Failure> {
    if !asked.modules.is_empty() && !asked.kernels.iter().any(|name| name.contains('/')) {
        return Err(selected::modules_without_kernel("`./bzImage`"));
    }
    let catalogue = lock_file::catalogue()?;
    let fetching = Fetching::new(output);
    let mut prepared = Vec::new();
    for name in &asked.kernels {
        let found = find(asked, name, &catalogue, &fetching)?;
        for warning in &found.warnings {
            output.warn(warning);
        }
        prepared.push(found);
    }
    let told = runtime::run_to_first_signal(|_| ask(asked, &prepared))?;
    let Some(mut told) = told else {
        return Ok(Exit::Interrupted);
    };
    for kernel in &mut told {
        kernel.retain(|kind, name| {
            let wanted = asked.name.as_deref().is_none_or(|text| name.contains(text));
            wanted && (asked.only.is_empty() || asked.only.contains(&offer(kind)))
        });
    }
    if let Some(name) = &asked.name
        && told.iter().all(|kernel| kernel.features.is_empty())
    {
        let message = format!("no feature with `{name}` in its name was found");
        let hint = "leave `--name` out to list every feature, and remember that a name may have a \
                    prefix, such as `bpf_`";
        return Err(Failure::says(
            Exit::NoCells,
            &message,
            Some(hint.to_owned()),
        ));
    }
    print(text(asked, &told))
}

/// The word of the command line for a kind.
fn offer(kind: Kind) -> Offer {
    match kind {
        Kind::ProgramType => Offer::ProgramTypes,
        Kind::MapType => Offer::MapTypes,
        Kind::Helper => Offer::Helpers,
        Kind::Kfunc => Offer::Kfuncs,
        Kind::StructOps => Offer::StructOps,
        Kind::LinkType => Offer::LinkTypes,
        Kind::Command => Offer::Commands,
    }
}

/// A kernel of the catalogue, or a user kernel. `NAME/ARCH` is no path if NAME is known.
fn find(
    asked: &Features,
    name: &str,
    catalogue: &Catalogue,
    fetching: &Fetching,
) -> Result<Prepared, Failure> {
    let plain = name.rsplit_once('/').map_or(name, |(plain, _)| plain);
    let is_path = name.contains('/') && named::find(catalogue, plain).is_err();
    if is_path {
        let path = Path::new(name);
        for file in [path]
            .into_iter()
            .chain(asked.modules.iter().map(PathBuf::as_path))
        {
            let downloaded = catalogue.download(file, &|progress| fetching.show(progress));
            downloaded.map_err(|error| selected::not_downloaded(&error))?;
        }
        let own = catalogue
            .arch_of(path, &asked.modules)
            .and_then(|arch| catalogue.own_kernel(path, &asked.modules, arch));
        return own.map_err(|error| Failure::of(selected::exit_of(&error), &error, error.hint()));
    }
    named::prepare(catalogue, named::find_one(catalogue, name)?, fetching)
}

async fn ask(asked: &Features, prepared: &[Prepared]) -> Result<Vec<KernelFeatures>, Failure> {
    let cache = cache_dir();
    let agents_of_this = carried::agents();
    let mut agents: BTreeMap<Arch, FileRef> = BTreeMap::new();
    for kernel in prepared {
        let arch = kernel.kernel.arch;
        let agent = agents_of_this
            .of(arch)
            .map_err(|error| selected::unresolved(&error))?;
        agents.insert(arch, agent);
    }
    let mut questions = Vec::new();
    for Prepared { kernel, .. } in prepared {
        let agent = &agents[&kernel.arch];
        questions.push(Probe {
            kernel,
            agent,
            initramfs: initramfs::assemble(&cache, agent, &kernel.segment)
                .map_err(|error| Failure::failed_to("create an initramfs", &error))?,
            timeout: asked.timeout,
        });
    }
    let trials = questions.iter().map(trial);
    let arches = agents.keys().copied();
    let machine = host::qemu(asked.accel, asked.transport, arches, trials).await?;
    let mut told = Vec::new();
    for question in &questions {
        let name = &question.kernel.name;
        let answer = kernel_features::of(&machine, question, &cache)
            .await
            .map_err(|fault| {
                let message = format!("kernel `{name}` could not be probed: {}", fault.headline);
                Failure::says(Exit::NoVerdict, &message, fault.hints.into_iter().next())
            })?;
        told.push(answer);
    }
    Ok(told)
}

fn trial<'a>(question: &Probe<'a>) -> Trial<'a> {
    Trial {
        cell: Cell {
            artifact: "features".into(),
            kernel: question.kernel.name.clone(),
            llvm: None,
            arch: question.kernel.arch,
            btf: None,
        },
        kernel: question.kernel,
        agent: question.agent,
        memory: 256,
    }
}

fn text(asked: &Features, told: &[KernelFeatures]) -> Text {
    let settings: Vec<_> = told.iter().map(|kernel| settings(asked, kernel)).collect();
    let pretty = |value: serde_json::Value| Text::from(plain_json(&format!("{value:#}\n")));
    let shown: Vec<_> = told.iter().map(Shown::of).collect();
    let shown_settings: Vec<_> = settings.iter().map(Shown::of).collect();
    match (asked.format, told) {
        (FeaturesFormat::Text, [one, other]) => render::differences(
            [&shown[0], &shown[1]],
            [&shown_settings[0], &shown_settings[1]],
            &Shown::of(&one.differences(other)),
        )
        .into(),
        (FeaturesFormat::Json, [one, other]) => pretty(json!({
            "schema": COMPARISON,
            "kernels": [one.kernel, other.kernel],
            "settings": settings,
            "features": one.differences(other),
        })),
        (FeaturesFormat::Text, _) => {
            let pages = shown.iter().zip(&shown_settings);
            let pages = pages.map(|(kernel, settings)| render::features(kernel, settings).into());
            Text::joined(&pages.collect::<Vec<_>>(), "")
        }
        (FeaturesFormat::Json, told) => {
            let pages = told.iter().map(|kernel| pretty(json!(kernel)));
            Text::joined(&pages.collect::<Vec<_>>(), "")
        }
    }
}

/// The settings that were requested.
fn settings(asked: &Features, kernel: &KernelFeatures) -> BTreeMap<String, String> {
    let mut settings = kernel.settings();
    settings.retain(|name, _| {
        let wanted = asked.name.as_deref().is_none_or(|text| name.contains(text));
        wanted && (asked.only.is_empty() || asked.only.contains(&Offer::Settings))
    });
    settings
}
