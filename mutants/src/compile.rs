//! Builds the copied workspace with all slips in it: those that do not compile are found by the compiler's errors and taken out.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::slips::{Rewritten, Slip, rewrite};
use crate::tree::{Source, Tree};

/// Rounds of compiling: a crate shows its errors when what it depends on is built, types before borrows.
const ROUNDS_MAX: usize = 60;
/// Not built: they ship nothing and test nothing that is shipped.
const OTHERS: [&str; 2] = ["ringmaster-mutants", "ringmaster-bench"];

/// A test binary.
#[derive(Debug, Clone)]
pub(crate) struct Binary {
    /// `package target`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Where cargo would start it.
    pub(crate) folder: PathBuf,
}

/// What was built.
#[derive(Debug, Default)]
pub(crate) struct Built {
    pub(crate) tests: Vec<Binary>,
    /// Programs that tests start.
    pub(crate) programs: Vec<PathBuf>,
}

/// Compiles until it builds, without the slips that do not: everything, or some crates and what they need.
pub(crate) fn compile(tree: &mut Tree, only: Option<&BTreeSet<String>>) -> Result<Built> {
    recall(tree)?;
    // First without the tests: while a crate still shows errors, theirs would be linked in vain.
    let mut targets = "--lib";
    for round in 1..=ROUNDS_MAX {
        tree.write()?;
        let (built, errors) = build(&tree.copy, only, targets)?;
        if errors.is_empty() && targets == "--tests" {
            return Ok(built);
        } else if errors.is_empty() {
            targets = "--tests";
            continue;
        }
        let before: usize = tree.sources.iter().map(|source| source.dropped.len()).sum();
        let layouts: Vec<Layout> = tree.sources.iter().map(Layout::of).collect();
        for error in &errors {
            for (index, dropped) in blame(&layouts, error) {
                tree.sources[index].dropped.extend(dropped);
            }
        }
        let dropped: usize = tree.sources.iter().map(|source| source.dropped.len()).sum();
        ensure!(dropped > before, "the copied workspace does not build, and no slip is to blame:\n{}", errors[0].text);
        eprintln!("mutants: round {round}: {} errors, {dropped} slips do not compile so far", errors.len());
        remember(tree)?;
    }
    bail!("the copied workspace does not build after {ROUNDS_MAX} rounds");
}

/// An error of the compiler.
#[derive(Debug, Default)]
struct Failure {
    text: String,
    /// File, bytes, and whether it is what the error is about.
    spans: Vec<(String, Range<usize>, bool)>,
}

/// Builds once: what was built, or every error.
fn build(copy: &Path, only: Option<&BTreeSet<String>>, targets: &str) -> Result<(Built, Vec<Failure>)> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["build", "--bins", targets, "--keep-going", "--message-format=json"]);
    match only {
        Some(packages) => packages.iter().for_each(|package| {
            command.args(["-p", package]);
        }),
        None => {
            command.arg("--workspace");
            OTHERS.iter().for_each(|other| {
                command.args(["--exclude", other]);
            });
        }
    }
    // Cargo sets these for the tool when it is started by `cargo run`.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "MUTANT"] {
        command.env_remove(name);
    }
    command.env("CARGO_TARGET_DIR", copy.with_file_name("built"));
    let mut child = command.current_dir(copy).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cargo runs")?;
    let (mut built, mut errors) = (Built::default(), Vec::new());
    for line in BufReader::new(child.stdout.take().context("its output is read")?).lines() {
        let Ok(message) = serde_json::from_str::<Value>(&line?) else { continue };
        match message["reason"].as_str() {
            Some("compiler-message") if message["message"]["level"] == "error" => errors.push(failure(&message["message"])),
            Some("compiler-artifact") => artifact(&message, &mut built),
            _ => {}
        }
    }
    let is_success = child.wait()?.success();
    errors.retain(|error| !error.spans.is_empty());
    ensure!(is_success || !errors.is_empty(), "cargo build fails in {} (see above)", copy.display());
    Ok((built, errors))
}

fn artifact(message: &Value, built: &mut Built) {
    let Some(path) = message["executable"].as_str().map(PathBuf::from) else { return };
    if message["profile"]["test"] != true {
        built.programs.push(path);
        return;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let manifest = PathBuf::from(text(&message["manifest_path"]));
    let folder = manifest.parent().map(Path::to_owned).unwrap_or_default();
    let package = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    built.tests.push(Binary { name: format!("{package} {}", text(&message["target"]["name"])), path, folder });
}

fn failure(message: &Value) -> Failure {
    let mut found = Failure { text: message["rendered"].as_str().unwrap_or_default().to_owned(), spans: Vec::new() };
    let mut all = vec![(message, true)];
    while let Some((message, is_first)) = all.pop() {
        for span in message["spans"].as_array().into_iter().flatten() {
            let is_primary = is_first && span["is_primary"] == true;
            let mut span = span;
            while span.is_object() {
                let number = |name: &str| span[name].as_u64().unwrap_or_default() as usize;
                let bytes = number("byte_start")..number("byte_end");
                found.spans.push((span["file_name"].as_str().unwrap_or_default().to_owned(), bytes, is_primary));
                span = &span["expansion"]["span"];
            }
        }
        all.extend(message["children"].as_array().into_iter().flatten().map(|child| (child, false)));
    }
    found
}

/// A source as it was compiled.
struct Layout {
    path: String,
    /// The slips in it, by their place in the source's list.
    slips: Vec<usize>,
    out: Rewritten,
}

impl Layout {
    fn of(source: &Source) -> Layout {
        let numbered: Vec<(u32, &Slip)> = source.alive().collect();
        let slips = numbered.iter().map(|(number, _)| (number - source.first) as usize).collect();
        Layout { path: source.path.clone(), slips, out: rewrite(&source.text, &numbered) }
    }

    /// Every slip within the functions around an error that lies in none.
    fn around(&self, bytes: &Range<usize>) -> Vec<usize> {
        let text = &self.out.text;
        let start = text[..bytes.start].rfind("fn ").unwrap_or(0);
        let end = text[bytes.end..].find("fn ").map_or(text.len(), |more| bytes.end + more);
        let all = self.out.places.iter().enumerate();
        all.filter(|(_, (place, _))| start <= place.start && place.end <= end).map(|(index, _)| index).collect()
    }
}

/// The slips that an error comes from, by source: the innermost whose mistake it lies in, or which it lies in, or what it overlaps;
/// if nothing is near, all in the functions that it names.
fn blame(layouts: &[Layout], error: &Failure) -> Vec<(usize, Vec<usize>)> {
    let named = || {
        error.spans.iter().filter_map(|(file, bytes, is_primary)| {
            let index = layouts.iter().position(|layout| layout.path == *file)?;
            Some((index, bytes, *is_primary))
        })
    };
    let slips = |index: usize, found: Vec<usize>| (index, found.into_iter().map(|slip| layouts[index].slips[slip]).collect());
    for wants_primary in [true, false] {
        for (index, bytes, _) in named().filter(|(.., is_primary)| *is_primary == wants_primary) {
            let found = guilty(&layouts[index].out.places, bytes);
            if !found.is_empty() {
                return vec![slips(index, found)];
            }
        }
    }
    named().map(|(index, bytes, _)| slips(index, layouts[index].around(bytes))).collect()
}

fn guilty(places: &[(Range<usize>, Range<usize>)], bytes: &Range<usize>) -> Vec<usize> {
    let holds = |range: &Range<usize>| !range.is_empty() && range.start <= bytes.start && bytes.end <= range.end;
    let innermost = |found: Vec<usize>| found.into_iter().min_by_key(|&index| places[index].0.len());
    let all = 0..places.len();
    let mistakes = innermost(all.clone().filter(|&index| holds(&places[index].1)).collect());
    let around = || innermost(all.clone().filter(|&index| holds(&places[index].0)).collect());
    if let Some(one) = mistakes.or_else(around) {
        return vec![one];
    }
    all.filter(|&index| places[index].0.start < bytes.end && bytes.start < places[index].0.end).collect()
}

/// What did not compile the last time, by source and its text: it will not compile now.
type Memory = BTreeMap<String, (u64, Vec<usize>)>;

fn memory(tree: &Tree) -> PathBuf {
    tree.copy.with_file_name("uncompilable.json")
}

fn recall(tree: &mut Tree) -> Result<()> {
    let known: Memory = std::fs::read(memory(tree)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    for source in &mut tree.sources {
        if let Some((hash, dropped)) = known.get(&source.path)
            && *hash == stamp(source)
        {
            source.dropped.extend(dropped);
        }
    }
    Ok(())
}

fn remember(tree: &Tree) -> Result<()> {
    let entry = |source: &Source| (source.path.clone(), (stamp(source), source.dropped.iter().copied().collect()));
    let all: Memory = tree.sources.iter().map(entry).collect();
    crate::tree::write(&memory(tree), &serde_json::to_vec(&all)?)
}

/// Of a source and what could be made of it.
fn stamp(source: &Source) -> u64 {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hash = DefaultHasher::new();
    (&source.text, source.slips.len()).hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mistake_is_to_blame() {
        let places = [(0..100, 10..20), (30..80, 40..45), (50..70, 55..58), (90..95, 0..0)];
        assert_eq!(guilty(&places, &(56..57)), [2]);
        assert_eq!(guilty(&places, &(60..61)), [2], "in what is around it");
        assert_eq!(guilty(&places, &(41..45)), [1]);
        assert_eq!(guilty(&places, &(12..14)), [0]);
        assert_eq!(guilty(&places, &(65..120)), [0, 1, 2, 3], "what it overlaps");
        assert!(guilty(&places, &(100..120)).is_empty());
    }

    #[test]
    fn an_error_names_where_it_is_and_where_it_was_expanded() {
        let message = serde_json::json!({
            "rendered": "error: x", "level": "error",
            "spans": [{"file_name": "a.rs", "byte_start": 1, "byte_end": 2, "is_primary": true,
                "expansion": {"span": {"file_name": "b.rs", "byte_start": 3, "byte_end": 4, "expansion": null}}}],
            "children": [{"spans": [{"file_name": "c.rs", "byte_start": 5, "byte_end": 6, "is_primary": true}], "children": []}],
        });
        let found = failure(&message).spans;
        assert_eq!(found, [("a.rs".to_owned(), 1..2, true), ("b.rs".to_owned(), 3..4, true), ("c.rs".to_owned(), 5..6, false)]);
    }
}
