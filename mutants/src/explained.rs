//! Slips that change nothing that could be seen, with the reason: they are not counted again. A file that people write.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::slips::Slip;
use crate::tree::{Source, Tree};

/// Where it lies, from the workspace's root.
const PATH: &str = "mutants/explained.toml";

/// One slip, by what does not change when code moves.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explained {
    pub(crate) file: String,
    /// The text of the line that it begins in.
    pub(crate) line: String,
    /// What it does, as the tool says it.
    pub(crate) slip: String,
    pub(crate) why: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct All {
    #[serde(default)]
    explained: Vec<Explained>,
}

/// Reads it; entries that name no slip of the sources any more are an error, so that the list stays true.
pub(crate) fn read(tree: &Tree) -> Result<Vec<Explained>> {
    let path = tree.root.join(PATH);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let all = parse(&path)?;
    for entry in &all {
        let mut slips = tree.sources.iter().flat_map(|source| source.slips.iter().map(move |slip| (source, slip)));
        ensure!(slips.any(|(source, slip)| is(entry, source, slip)), "{PATH}: no such slip any more, remove it: {entry:?}");
        ensure!(entry.why.len() > 10, "{PATH}: say why: {entry:?}");
    }
    Ok(all)
}

fn parse(path: &Path) -> Result<Vec<Explained>> {
    let all: All =
        toml::from_str(&std::fs::read_to_string(path)?).with_context(|| format!("{} is not understood", path.display()))?;
    Ok(all.explained)
}

/// Whether an entry is about this slip.
pub(crate) fn is(entry: &Explained, source: &Source, slip: &Slip) -> bool {
    entry.file == source.path && entry.slip == slip.says && entry.line.trim() == source.line_text(source.line(slip.place.start))
}
