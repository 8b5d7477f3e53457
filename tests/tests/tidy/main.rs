//! The house rules as a test: how sources look, what may be used where, and that the README says what the code says.

mod core;
mod readme;
mod sources;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

/// A committed file: its path from the checkout's root, and its text.
struct File {
    path: String,
    text: String,
}

impl File {
    fn read(path: &str) -> File {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        File { path: path.to_owned(), text }
    }

    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Whether it is, or lies in, one of these.
    fn is_in(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.path.starts_with(place))
    }
}

/// Inputs of the fuzzer, which are whatever they are.
const CORPUS: &str = "fuzz/corpus/";

/// All committed files that are text and are still there.
fn files() -> Vec<File> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git lists what is committed");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let paths = String::from_utf8(listed.stdout).expect("paths are text");
    let text = |path: &str| std::fs::read(root().join(path)).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let paths = paths.split('\0').filter(|path| !path.starts_with(CORPUS));
    let files: Vec<File> = paths.filter_map(|path| Some(File { path: path.to_owned(), text: text(path)? })).collect();
    assert!(files.len() > 100, "only {} files were found: these tests would prove nothing", files.len());
    files
}

/// All committed Rust sources.
fn rust() -> impl Iterator<Item = File> {
    files().into_iter().filter(|file| file.path.ends_with(".rs"))
}

/// Fails with all that was found, one a line.
fn none(rule: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// A letter, digit or underscore.
fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Whether the text has this word, not as a part of another.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(is_word) && !after.starts_with(is_word)
    })
}
