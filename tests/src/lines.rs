//! A file to which runs add what they found, a line of JSON each.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Adds what a run found. It is one write, so that runs that go on at once do not mix their lines.
pub(crate) fn append(file: &Path, found: &impl Serialize) -> Result<(), String> {
    let mut line = serde_json::to_string(found).map_err(|error| error.to_string())?;
    line.push('\n');
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.and_then(|mut opened| opened.write_all(line.as_bytes())).map_err(|error| format!("{}: {error}", file.display()))
}

/// All that a file has. An error names the line that cannot be read.
pub(crate) fn read<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let read = |(number, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| format!("{}, line {}: {error}", file.display(), number + 1))
    };
    text.lines().enumerate().map(read).collect()
}
