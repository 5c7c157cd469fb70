//! Checks the rules for tests that their types do not express: those that need no object, and those
//! that do.

use regex::Regex;
use serde_json::Value;
use ukci_schema::behavior::{bytes_of, is_hex};

use super::check::{Checked, name, one_line, unique};
use super::functional_test::{ExpectFile, FunctionalTest, ProgRunOf, base_name};
use super::{Map, Problem};
use crate::authored::Path;

/// Most tests of a manifest.
const MOST: usize = 32;

/// Most runs of a program in one test.
const RUNS: u32 = 1_000_000;

/// Refuses tests that cannot be meant.
pub(super) fn functional_tests(tests: &[FunctionalTest]) -> Checked {
    let list = Path::from("functional_tests");
    unique(&list, "name", tests.iter().map(|test| test.name.as_str()))?;
    if tests.len() > MOST {
        let what = format!("{} tests, over the limit of {MOST}", tests.len());
        return Err(Problem::value(list.then(MOST), what));
    }
    for (n, test) in tests.iter().enumerate() {
        let at = list.then(n);
        functional_test(&at, test)?;
        for (m, file) in test.files.iter().enumerate() {
            let others = tests[..=n].iter().flat_map(|test| &test.files);
            let same = |other: &&String| *other != file && base_name(other) == base_name(file);
            if let Some(other) = others.into_iter().find(same) {
                let what = format!("`{file}` and `{other}` have the same name in the guest");
                return Err(Problem::value(at.then("files").then(m), what));
            }
        }
    }
    Ok(())
}

fn functional_test(at: &Path, test: &FunctionalTest) -> Checked {
    one_line(&at.then("name"), &test.name, 200)?;
    if let Some(line) = &test.command {
        one_line(&at.then("command"), line, 1000)?;
    }
    if test.command.is_some() && test.prog_run.is_some() {
        let what = "a test has either `command` or `prog_run`: this one has both";
        return Err(Problem::key(at.then("prog_run"), what));
    }
    keys_of_actions(at, test)?;
    files(at, test)?;
    for (key, text) in [
        ("expect_stdout_contains", &test.expect_stdout_contains),
        ("expect_stderr_contains", &test.expect_stderr_contains),
        ("expect_trace_contains", &test.expect_trace_contains),
    ] {
        contains(&at.then(key), text.as_deref())?;
    }
    for (key, text) in [
        ("expect_stdout_matches", &test.expect_stdout_matches),
        ("expect_stderr_matches", &test.expect_stderr_matches),
        ("expect_trace_matches", &test.expect_trace_matches),
    ] {
        pattern(&at.then(key), text.as_deref())?;
    }
    for (n, file) in test.expect_files.iter().enumerate() {
        expect_file(&at.then("expect_files").then(n), file)?;
    }
    for (n, events) in test.expect_events.iter().enumerate() {
        let at = at.then("expect_events").then(n);
        name(&at.then("map"), &events.map)?;
        value(&at.then("event"), events.event.as_ref())?;
        amount(&at, events.count, events.at_least, events.at_most)?;
    }
    for (n, map) in test.expect_maps.iter().enumerate() {
        let at = at.then("expect_maps").then(n);
        name(&at.then("map"), &map.map)?;
        value(&at.then("key"), map.key.as_ref())?;
        value(&at.then("value"), map.value.as_ref())?;
        amount(&at, map.count, map.at_least, map.at_most)?;
    }
    for (n, runs) in test.expect_runs.iter().enumerate() {
        let at = at.then("expect_runs").then(n);
        name(&at.then("program"), &runs.program)?;
        amount(&at, runs.count, runs.at_least, runs.at_most)?;
    }
    if let Some(run) = &test.prog_run {
        prog_run(&at.then("prog_run"), run)?;
    }
    if let Some(output) = &test.expect_output {
        hex(&at.then("expect_output"), output)?;
    }
    if *test == without_expectations(test) && test.command.is_none() {
        let what = format!("test `{}` expects nothing", test.name);
        let hint = "add `expect_events`, `expect_maps` or another of the `expect_` keys".to_owned();
        return Err(Problem::value(at.clone(), what).hint(Some(hint)));
    }
    Ok(())
}

/// The test with its action alone.
fn without_expectations(test: &FunctionalTest) -> FunctionalTest {
    FunctionalTest {
        name: test.name.clone(),
        command: test.command.clone(),
        files: test.files.clone(),
        prog_run: test.prog_run.clone(),
        required: test.required,
        timeout: test.timeout,
        wait: test.wait,
        ..FunctionalTest::default()
    }
}

/// A key that means nothing for what the test does.
fn keys_of_actions(at: &Path, test: &FunctionalTest) -> Checked {
    let of_command = [
        ("files", !test.files.is_empty()),
        ("expect_exit_code", test.expect_exit_code.is_some()),
        (
            "expect_stdout_contains",
            test.expect_stdout_contains.is_some(),
        ),
        (
            "expect_stdout_matches",
            test.expect_stdout_matches.is_some(),
        ),
        (
            "expect_stderr_contains",
            test.expect_stderr_contains.is_some(),
        ),
        (
            "expect_stderr_matches",
            test.expect_stderr_matches.is_some(),
        ),
    ];
    let of_run = [
        ("expect_return", test.expect_return.is_some()),
        ("expect_output", test.expect_output.is_some()),
    ];
    for (keys, other, is_there) in [
        (&of_command[..], "command", test.command.is_some()),
        (&of_run[..], "prog_run", test.prog_run.is_some()),
    ] {
        if let Some((key, _)) = keys.iter().find(|(_, is_given)| *is_given && !is_there) {
            let what = format!("`{key}` in a test without `{other}`");
            return Err(Problem::key(at.then(*key), what));
        }
    }
    Ok(())
}

fn files(at: &Path, test: &FunctionalTest) -> Checked {
    let list = at.then("files");
    for (n, file) in test.files.iter().enumerate() {
        one_line(&list.then(n), file, 1024)?;
        if test.files[..n].contains(file) {
            let what = format!("duplicate `{file}`");
            return Err(Problem::value(list.then(n), what));
        }
    }
    Ok(())
}

fn expect_file(at: &Path, file: &ExpectFile) -> Checked {
    one_line(&at.then("path"), &file.path, 1024)?;
    contains(&at.then("contains"), file.contains.as_deref())?;
    pattern(&at.then("matches"), file.matches.as_deref())?;
    if file.absent && (file.contains.is_some() || file.matches.is_some()) {
        let what = "a file that must be absent cannot have `contains` or `matches`";
        return Err(Problem::key(at.then("absent"), what));
    }
    Ok(())
}

fn contains(at: &Path, text: Option<&str>) -> Checked {
    if text.is_some_and(|text| text.contains(['\n', '\r'])) {
        return Err(Problem::value(at.clone(), "expected one line"));
    }
    Ok(())
}

fn pattern(at: &Path, text: Option<&str>) -> Checked {
    let Some(Err(error)) = text.map(Regex::new) else {
        return Ok(());
    };
    // Its last line says what is wrong; those before it show the place.
    let error = error.to_string();
    let last = error.lines().last().unwrap_or_default();
    let what = last.strip_prefix("error: ").unwrap_or(last);
    let what = format!("not a regular expression: {what}");
    Err(Problem::value(at.clone(), what))
}

/// `{ bytes = "…" }` has whole bytes. A table with a field of that name has a number there.
fn value(at: &Path, value: Option<&Value>) -> Checked {
    let table = value.and_then(Value::as_object);
    let digits = table
        .filter(|table| table.len() == 1)
        .and_then(|table| table.get("bytes")?.as_str());
    digits.map_or(Ok(()), |digits| hex(&at.then("bytes"), digits))
}

fn hex(at: &Path, digits: &str) -> Checked {
    if is_hex(digits) {
        return Ok(());
    }
    let what = format!("expected pairs of hexadecimal digits, found `{digits}`");
    Err(Problem::value(at.clone(), what))
}

fn amount(at: &Path, count: Option<u64>, at_least: Option<u64>, at_most: Option<u64>) -> Checked {
    let key = if at_least.is_some() {
        "at_least"
    } else {
        "at_most"
    };
    if count.is_some() && (at_least.is_some() || at_most.is_some()) {
        let what = format!("`{key}` and `count` exclude each other: `count` is exact");
        return Err(Problem::key(at.then(key), what));
    }
    if let (Some(least), Some(most)) = (at_least, at_most)
        && least > most
    {
        let what = format!("`at_most` is {most}, and `at_least` is {least}");
        return Err(Problem::value(at.then("at_most"), what));
    }
    Ok(())
}

fn prog_run(at: &Path, run: &ProgRunOf) -> Checked {
    name(&at.then("program"), &run.program)?;
    value(&at.then("context"), run.context.as_ref())?;
    if run.repeat == 0 || run.repeat > RUNS {
        let what = format!("expected a number from 1 to {RUNS}, found {}", run.repeat);
        return Err(Problem::value(at.then("repeat"), what));
    }
    if run.packet.is_some() && run.data.is_some() {
        let what = "`data` and `packet` exclude each other";
        return Err(Problem::key(at.then("data"), what));
    }
    if let Some(digits) = &run.data {
        hex(&at.then("data"), digits)?;
        if bytes_of(digits).is_none_or(|bytes| bytes.is_empty()) {
            return Err(Problem::value(
                at.then("data"),
                "expected at least one byte",
            ));
        }
    }
    if let Some(Err((key, what))) = run.packet.as_ref().map(super::packet::Packet::bytes) {
        return Err(Problem::value(at.then("packet").then(key), what));
    }
    Ok(())
}

/// The slots of a program array are numbers, and name programs.
pub(super) fn slots(at: &Path, map: &Map) -> Checked {
    for (slot, program) in &map.programs {
        let at = at.then("programs").then(slot.as_str());
        if slot.parse::<u32>().is_err() {
            let what = format!("expected the number of a slot, found `{slot}`");
            return Err(Problem::key(at, what));
        }
        name(&at, program)?;
    }
    Ok(())
}
