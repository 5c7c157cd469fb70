//! Builds the command that runs one cell of a report again.

use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};

/// The command that runs a cell again alike, `ukci` first.
pub fn again(report: &Report, cell: &CellReport) -> String {
    let artifact = report
        .artifacts
        .iter()
        .find(|artifact| artifact.name == cell.artifact);
    let path = artifact.map_or(cell.artifact.as_str(), |artifact| artifact.path.as_str());
    let asked = &report.run.asked;
    // The other objects of the program run again as well.
    let program = asked.embedded.get(&cell.artifact);
    let path = program.map_or(path, String::as_str);
    let embedded = program.map(|_| "--embedded".to_owned());
    let named = ["--kernel".to_owned(), cell.kernel.clone()];
    let kernel = (asked.kernels.get(&cell.kernel)).map_or(named.as_slice(), Vec::as_slice);
    // A plan has its artifacts.
    let is_planned = asked.options.iter().any(|option| option == "--plan");
    let manifest = artifact.and_then(|artifact| artifact.manifest.as_ref());
    let manifest = manifest.filter(|_| !is_planned);
    let manifest = manifest.map(|of| ["--manifest".to_owned(), of.path.clone()]);
    let is_command = !asked.command.is_empty();
    let artifact = (!is_planned && !is_command).then(|| path.to_owned());
    // A kernel by name is run on x86_64; the user's own says itself what it is for.
    let others = report
        .cells
        .iter()
        .any(|other| other.kernel == cell.kernel && other.arch != cell.arch);
    let named = (cell.arch != Arch::X86_64 || others) && !asked.kernels.contains_key(&cell.kernel);
    let arch = ["--arch".to_owned(), cell.arch.to_string()];
    let arch = if named { arch.as_slice() } else { &[] };
    let words = artifact.iter().chain(&embedded).chain(kernel).chain(arch);
    let llvm = cell.llvm.iter();
    let llvm: Vec<String> = llvm
        .flat_map(|llvm| ["--llvm".into(), llvm.clone()])
        .collect();
    let words = words.chain(&llvm).chain(manifest.iter().flatten());
    // A command's own words come last.
    let words = words.chain(&asked.options).chain(&asked.command);
    let arguments: Vec<String> = words.map(|word| quoted(word)).collect();
    let command = if is_command { "exec" } else { "check" };
    format!("ukci {command} {}", arguments.join(" "))
}

/// A word as a shell reads it back.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/+:@%=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::quoted;

    #[test]
    fn a_shell_reads_every_word_back_as_it_is() {
        assert_eq!(
            quoted("execsnoop/debian-12-6.1/x86_64"),
            "execsnoop/debian-12-6.1/x86_64"
        );
        let words = [
            "",
            "a b",
            "$(id)",
            "`id`",
            "it's",
            "''",
            "a;id",
            "a\\b",
            "*",
            "~",
            "a\nb",
            "#x",
            "-n",
            "é",
            "a&b",
            "{a,b}",
            "!x",
            "\"$HOME\"",
        ];
        for word in words {
            let script = format!("printf '%s' {}", quoted(word));
            let said = Command::new("/bin/sh")
                .args(["-c", &script])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&said.stdout), word, "{script}");
        }
    }
}
