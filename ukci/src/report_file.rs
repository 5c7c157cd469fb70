//! Reading `report.json`, as a file, from the directory that holds it, or from standard input.

use std::path::{Path, PathBuf};

use ukci_harness::input_file;
use ukci_schema::report::{Report, SCHEMA};

use crate::diagnostic::Failure;
use crate::exit::Exit;

/// Reads a report: a file, a directory that holds `report.json`, or `-` for stdin.
pub(crate) fn read(path: &Path) -> Result<Report, Failure> {
    let file = file_of(path);
    let name = file.display();
    let text = if path == Path::new("-") {
        input_file::read_text_stream(std::io::stdin(), input_file::DOCUMENT_LIMIT)
    } else {
        input_file::read_text(&file, input_file::DOCUMENT_LIMIT)
    };
    let text = text.map_err(|error| {
        let hint = "name a directory that a run has written with `--out`, or its `report.json`";
        Failure::unread(&file, &error).with_hint(hint)
    })?;
    let broken = |message: String, hint: Option<String>| {
        let message = format!("`{name}` is not a report: {message}");
        Failure::says(Exit::Usage, &message, hint)
    };
    let error = match serde_json::from_str::<Report>(&text) {
        Ok(report) if report.schema == SCHEMA => return Ok(report),
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    };
    // A later version may have fields that this reader refuses: that is the better message.
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| broken(error.to_string(), None))?;
    let version = value.get("schema").and_then(|schema| schema.as_str());
    if version == Some(SCHEMA) {
        return Err(broken(error, None));
    }
    let hint = "read it with the ukci that wrote it".to_owned();
    let version = version.unwrap_or("nothing");
    let message = format!("its `schema` is `{version}`, not `{SCHEMA}`");
    Err(broken(message, Some(hint)))
}

/// Reads several.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Report>, Failure> {
    paths.iter().map(|path| read(path)).collect()
}

/// `report.json` of a directory, or the file itself.
pub(crate) fn file_of(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join("report.json")
    } else {
        path.to_owned()
    }
}

/// The directory of a report, named by itself or by its directory.
pub(crate) fn dir_of(report: &Path) -> PathBuf {
    let file = file_of(report);
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}
