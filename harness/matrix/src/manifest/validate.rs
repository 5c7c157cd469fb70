//! Checks the rules for a manifest that its types do not express and that do not need its object.

use std::collections::BTreeMap;

use super::attach::attach;
use super::check::{Checked, identifier, name, names, one_line, pattern, unique};
use super::kernel::{kconfig, kernel_arguments, modules, variables};
use super::test_rules::{functional_tests, slots};
use super::{Attach, AttachKind, Expect, InnerMap, Manifest, Map, Override, Problem, ProgramType};
use crate::authored::{Path, instead_of};
use crate::scope::Scope;
use ukci_schema::glob;
use ukci_schema::verdict::VerdictKind;

/// Refuses what cannot be meant.
pub(super) fn validate(manifest: &Manifest) -> Checked {
    programs(manifest)?;
    maps(&manifest.maps)?;
    program_types(manifest)?;
    program_variants(manifest)?;
    names("probe_companions", &manifest.probe_companions, identifier)?;
    names("required_profiles", &manifest.required_profiles, |name| {
        !name.is_empty()
    })?;
    functional_tests(&manifest.functional_tests)?;
    if let Some(file) = &manifest.btf_custom_path {
        one_line(&"btf_custom_path".into(), file, 1024)?;
    }
    kconfig(&"kconfig".into(), &manifest.kconfig)?;
    variables(&"rodata".into(), manifest.rodata.keys())?;
    modules(&"modules".into(), &manifest.modules)?;
    kernel_arguments(&"kernel_arguments".into(), &manifest.kernel_arguments)?;
    for (n, rule) in manifest.overrides.iter().enumerate() {
        override_rule(&Path::from("overrides").then(n), rule)?;
    }
    for (n, rule) in manifest.expect.iter().enumerate() {
        expect(&Path::from("expect").then(n), rule)?;
    }
    Ok(())
}

fn programs(manifest: &Manifest) -> Checked {
    let list = Path::from("programs");
    unique(
        &list,
        "name",
        manifest
            .programs
            .iter()
            .map(|program| program.name.as_str()),
    )?;
    for (n, program) in manifest.programs.iter().enumerate() {
        let at = list.then(n);
        pattern(&at.then("name"), &program.name)?;
        if let Some(section) = &program.section {
            one_line(&at.then("section"), section, 512)?;
        }
        if let Some(word) = &program.program_type
            && ProgramType::named(word).is_none()
            && AttachKind::named(word).is_none()
        {
            let what = format!("`{word}` is neither a program type nor a kind of attachment");
            return Err(Problem::value(at.then("type"), what).hint(
                instead_of(word, ProgramType::all()).or(instead_of(word, AttachKind::all())),
            ));
        }
        if let Some(rule) = &program.attach {
            attach(&at.then("attach"), rule)?;
            attach_of_many(&at.then("attach"), &program.name, rule)?;
        }
    }
    required_and_not(manifest)
}

/// A pattern says whether programs must be attached, not where.
fn attach_of_many(at: &Path, name: &str, rule: &Attach) -> Checked {
    let only_required = Attach {
        required: rule.required,
        ..Attach::default()
    };
    if !name.contains('*') || *rule == only_required {
        return Ok(());
    }
    let what = format!("a target for all programs that match the pattern `{name}`");
    Err(Problem::value(at.clone(), what).hint(Some(
        "keep only `required` here, and add an entry for each program that needs a target"
            .to_owned(),
    )))
}

/// Refuses a pattern that makes optional what another entry requires.
fn required_and_not(manifest: &Manifest) -> Checked {
    let said = |required: bool| {
        let programs = manifest.programs.iter().enumerate();
        programs.filter(move |(_, program)| {
            let attach = program.attach.as_ref();
            attach.and_then(|attach| attach.required) == Some(required)
        })
    };
    for (n, program) in said(true) {
        let over = said(false).find(|(_, other)| glob::covers(&other.name, &program.name));
        if let Some((_, over)) = over {
            let at = Path::from("programs")
                .then(n)
                .then("attach")
                .then("required");
            let what = format!(
                "`{}` is required, and `{}`, which covers it, is not",
                program.name, over.name
            );
            let hint = "make the pattern narrower".to_owned();
            return Err(Problem::value(at, what).hint(Some(hint)));
        }
    }
    Ok(())
}

fn maps(maps: &[Map]) -> Checked {
    let list = Path::from("maps");
    unique(&list, "name", maps.iter().map(|map| map.name.as_str()))?;
    for (n, map) in maps.iter().enumerate() {
        let at = list.then(n);
        pattern(&at.then("name"), &map.name)?;
        let named = Map {
            name: map.name.clone(),
            ..Map::default()
        };
        if *map == named {
            let what = format!("the entry for map `{}` sets nothing", map.name);
            return Err(Problem::value(at, what).hint(Some(
                "add `max_entries`, `value_size`, `inner_map` or another key".to_owned(),
            )));
        }
        if map.inner_ringbuf_bytes.is_some() && map.inner_map.is_some() {
            let what = "a map has either `inner_map` or `inner_ringbuf_bytes`: this one has both";
            return Err(Problem::key(at.then("inner_map"), what));
        }
        slots(&at, map)?;
        if let Some(path) = &map.pin {
            one_line(&at.then("pin"), path, 1024)?;
        }
        if let Some(bytes) = map.inner_ringbuf_bytes {
            ring_buffer(&at.then("inner_ringbuf_bytes"), bytes)?;
        }
        if let Some(inner) = &map.inner_map {
            inner_map(&at.then("inner_map"), inner)?;
        }
    }
    Ok(())
}

/// Bytes of the smallest page; a kernel with larger ones wants a multiple of those.
const PAGE: u32 = 4096;

fn ring_buffer(at: &Path, bytes: u32) -> Checked {
    if bytes.is_power_of_two() && bytes >= PAGE {
        return Ok(());
    }
    let larger = bytes
        .max(PAGE)
        .checked_next_power_of_two()
        .unwrap_or(1 << 31);
    let what = format!("expected a power of two from {PAGE}, found {bytes}");
    Err(Problem::value(at.clone(), what)
        .hint(Some(format!("use {larger}, which is the next larger one"))))
}

fn inner_map(at: &Path, inner: &InnerMap) -> Checked {
    let kind = inner.map_type;
    for (key, value) in [
        ("value_size", inner.value_size),
        ("max_entries", inner.max_entries),
    ] {
        if value == 0 {
            return Err(Problem::value(
                at.then(key),
                "expected a number from 1, found 0",
            ));
        }
    }
    // The kernel takes no other (`array_map_alloc_check`, `htab_map_alloc_check`).
    match inner.key_size {
        None | Some(0) if !kind.is_array() => Err(Problem::key(
            at.then("key_size"),
            format!("type `{kind}` needs a `key_size`"),
        )),
        Some(size) if kind.is_array() && size != 4 && size != 0 => {
            let what = format!("keys of type `{kind}` are 4 bytes, not {size}");
            Err(Problem::value(at.then("key_size"), what))
        }
        _ => Ok(()),
    }
}

fn program_types(manifest: &Manifest) -> Checked {
    let list = Path::from("program_types");
    unique(
        &list,
        "program",
        manifest
            .program_types
            .iter()
            .map(|rule| rule.program.as_str()),
    )?;
    for (n, rule) in manifest.program_types.iter().enumerate() {
        one_line(&list.then(n).then("program"), &rule.program, 512)?;
    }
    Ok(())
}

fn program_variants(manifest: &Manifest) -> Checked {
    let list = Path::from("program_variants");
    let groups = &manifest.program_variants;
    unique(
        &list,
        "group",
        groups.iter().map(|group| group.group.as_str()),
    )?;
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    for (n, group) in groups.iter().enumerate() {
        let at = list.then(n);
        name(&at.then("group"), &group.group)?;
        let programs = at.then("programs");
        if group.programs.is_empty() {
            let what = format!("group `{}` has no programs", group.group);
            return Err(Problem::value(programs, what));
        }
        for (m, variant) in group.programs.iter().enumerate() {
            let at = programs.then(m);
            name(&at.then("name"), &variant.name)?;
            if let Some(other) = seen.insert(&variant.name, &group.group) {
                let what = format!("program `{}` is in group `{other}` already", variant.name);
                return Err(Problem::value(at.then("name"), what));
            }
        }
    }
    Ok(())
}

fn override_rule(at: &Path, rule: &Override) -> Checked {
    scope(at, rule.scope())?;
    if rule.scope().is_empty() {
        let what = "this override applies to every cell";
        return Err(Problem::value(at.clone(), what).hint(Some(
            "add `kernels` or another axis, or write it at the top of the manifest".to_owned(),
        )));
    }
    let scoped = Override {
        artifacts: rule.artifacts.clone(),
        kernels: rule.kernels.clone(),
        llvms: rule.llvms.clone(),
        arches: rule.arches.clone(),
        ..Override::default()
    };
    if *rule == scoped {
        return Err(Problem::value(at.clone(), "this override changes nothing"));
    }
    let programs = at.then("programs");
    unique(
        &programs,
        "name",
        rule.programs.iter().map(|program| program.name.as_str()),
    )?;
    for (n, program) in rule.programs.iter().enumerate() {
        let at = programs.then(n);
        pattern(&at.then("name"), &program.name)?;
        match (&program.attach, program.autoload) {
            (None, None) => {
                let what = format!("the entry for program `{}` sets nothing", program.name);
                return Err(
                    Problem::value(at, what).hint(Some("add `attach` or `autoload`".to_owned()))
                );
            }
            (Some(rule), _) => {
                attach(&at.then("attach"), rule)?;
                attach_of_many(&at.then("attach"), &program.name, rule)?;
            }
            (None, Some(_)) => {}
        }
    }
    if let Some(file) = &rule.btf_custom_path {
        one_line(&at.then("btf_custom_path"), file, 1024)?;
    }
    kconfig(&at.then("kconfig"), &rule.kconfig)?;
    variables(&at.then("rodata"), rule.rodata.keys())?;
    modules(&at.then("modules"), &rule.modules)?;
    kernel_arguments(&at.then("kernel_arguments"), &rule.kernel_arguments)
}

fn expect(at: &Path, rule: &Expect) -> Checked {
    scope(at, rule.scope())?;
    if let Some(program) = &rule.program {
        name(&at.then("program"), program)?;
    }
    match (rule.verdict, rule.code) {
        (VerdictKind::Fail, None) => {
            return Err(
                Problem::key(at.then("verdict"), "an expected failure needs its `code`").hint(
                    Some("add `code`, so that a failure for another reason is reported".to_owned()),
                ),
            );
        }
        (VerdictKind::Pass, Some(code)) => {
            return Err(Problem::value(
                at.then("code"),
                format!("a pass has no code, not `{code}`"),
            ));
        }
        (VerdictKind::Error | VerdictKind::Skip, _) => {
            return Err(Problem::value(
                at.then("verdict"),
                "only `pass` and `fail` can be expected",
            ));
        }
        _ => {}
    }
    one_line(&at.then("reason"), &rule.reason, 1000)
}

fn scope(at: &Path, scope: Scope<'_>) -> Checked {
    scope
        .check()
        .map_err(|senseless| Problem::senseless(at, senseless))
}
