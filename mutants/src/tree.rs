//! The workspace: which sources are shipped, and its copy, in which every slip is compiled behind its switch.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::find::{Found, find};
use crate::slips::{Slip, rewrite};

/// The crates whose slips are looked for, in the order in which they are built. Names that a workspace has not are passed over.
const SHIPPED: [&str; 6] =
    ["ringmaster-schemas", "ringmaster-core", "ringmaster-bus", "ringmaster-store", "ringmaster-participants", "ringmaster"];
/// Numbers of one crate's slips, so that a change in one leaves the others as they were built.
const NUMBERS_A_CRATE: u32 = 1 << 15;
const SWITCH: &str = include_str!("../switch/lib.rs");
const SWITCH_MANIFEST: &str = "[package]\nname = \"mutant-switch\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n[workspace]\n";

/// A shipped source and its slips.
#[derive(Debug)]
pub(crate) struct Source {
    /// The crate's name.
    pub(crate) package: String,
    /// From the workspace's root.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) slips: Vec<Slip>,
    /// Slips that do not compile, by their place in `slips`.
    pub(crate) dropped: BTreeSet<usize>,
    /// The number of its first slip.
    pub(crate) first: u32,
    pub(crate) left_out: BTreeMap<&'static str, usize>,
    pub(crate) beside: usize,
}

impl Source {
    /// Slips that compile, with their numbers.
    pub(crate) fn alive(&self) -> impl Iterator<Item = (u32, &Slip)> {
        let all = self.slips.iter().enumerate().filter(|(index, _)| !self.dropped.contains(index));
        all.map(|(index, slip)| (self.first + index as u32, slip))
    }

    /// Line of a byte, from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// The text of a line.
    pub(crate) fn line_text(&self, line: usize) -> &str {
        self.text.lines().nth(line - 1).unwrap_or_default().trim()
    }
}

/// The workspace that the tool was started in.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) root: PathBuf,
    /// Where its copy lies.
    pub(crate) copy: PathBuf,
    pub(crate) sources: Vec<Source>,
}

impl Tree {
    /// Looks through the workspace of the current folder.
    pub(crate) fn read() -> Result<Tree> {
        let metadata = metadata()?;
        let text = |value: &Value| value.as_str().map(PathBuf::from).context("cargo metadata has a path");
        let (root, target) = (text(&metadata["workspace_root"])?, text(&metadata["target_directory"])?);
        let mut tree = Tree { root, copy: target.join("mutants/tree"), sources: Vec::new() };
        let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
        for (index, name) in SHIPPED.iter().enumerate() {
            let Some(package) = packages.iter().find(|package| package["name"] == *name) else { continue };
            let mut next = index as u32 * NUMBERS_A_CRATE;
            let mut seen = HashSet::new();
            for built in package["targets"].as_array().into_iter().flatten() {
                let kinds = built["kind"].as_array().into_iter().flatten();
                if kinds.into_iter().any(|kind| kind == "lib" || kind == "bin") {
                    let path = text(&built["src_path"])?;
                    let folder = path.parent().context("a source has a folder")?.to_owned();
                    tree.module(name, &path, &folder, &mut seen, &mut next)?;
                }
            }
            ensure!(next <= (index as u32 + 1) * NUMBERS_A_CRATE, "{name} has too many slips for NUMBERS_A_CRATE");
        }
        ensure!(!tree.sources.is_empty(), "none of {SHIPPED:?} is in the workspace {}", tree.root.display());
        Ok(tree)
    }

    /// A source and the modules below it; `folder` is where those lie.
    fn module(&mut self, package: &str, path: &Path, folder: &Path, seen: &mut HashSet<PathBuf>, next: &mut u32) -> Result<()> {
        if !seen.insert(path.to_owned()) {
            return Ok(());
        }
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let Found { slips, left_out, beside, modules } =
            find(&text).with_context(|| format!("{} is not understood", path.display()))?;
        let name = path.strip_prefix(&self.root)?.to_str().context("paths are text")?.to_owned();
        let (first, package_name) = (*next, package.to_owned());
        *next += slips.len() as u32;
        let dropped = BTreeSet::new();
        self.sources.push(Source { package: package_name, path: name, text, slips, dropped, first, left_out, beside });
        for (module, inside) in modules {
            let mut folder = folder.to_owned();
            folder.extend(inside);
            let candidates = [folder.join(format!("{module}.rs")), folder.join(&module).join("mod.rs")];
            let Some(file) = candidates.iter().find(|file| file.exists()) else {
                bail!("module {module} of {} is not found", path.display());
            };
            self.module(package, file, &folder.join(&module), seen, next)?;
        }
        Ok(())
    }

    /// Copies everything that git knows or could know of the workspace; what is the same stays as it was, so that cargo builds
    /// little. The shipped sources are written by [`Tree::write`].
    pub(crate) fn copy(&self) -> Result<()> {
        let shipped: HashSet<&str> = self.sources.iter().map(|source| source.path.as_str()).collect();
        let mut kept = HashSet::new();
        for path in files(&self.root)? {
            let (from, to) = (self.root.join(&path), self.copy.join(&path));
            if shipped.contains(path.as_str()) || !from.is_file() {
                kept.insert(to);
                continue;
            }
            let mut bytes = std::fs::read(&from)?;
            if path.ends_with("Cargo.toml") {
                bytes = self.manifest(&path, String::from_utf8(bytes)?).into_bytes();
            }
            write(&to, &bytes)?;
            let permissions = std::fs::metadata(&from)?.permissions();
            std::fs::set_permissions(&to, permissions)?;
            kept.insert(to);
        }
        let config = self.root.join(".cargo/config.toml");
        if config.exists() {
            write(&self.copy.join(".cargo/config.toml"), &std::fs::read(config)?)?;
        }
        let switch = self.switch();
        write(&switch.join("lib.rs"), SWITCH.as_bytes())?;
        write(&switch.join("Cargo.toml"), SWITCH_MANIFEST.as_bytes())?;
        remove_others(&self.copy, &kept)
    }

    fn switch(&self) -> PathBuf {
        self.copy.with_file_name("switch")
    }

    /// A manifest with the switch among the dependencies; the workspace's with warnings off, since mistakes look odd.
    fn manifest(&self, path: &str, text: String) -> String {
        let line = format!("mutant-switch = {{ path = \"{}\" }}\n", self.switch().display());
        let quiet = "[workspace.lints.rust]\nwarnings = \"allow\"\n";
        match path {
            "Cargo.toml" => text.replacen("[workspace.lints.rust]\n", quiet, 1),
            _ => text.replacen("\n[dependencies]\n", &format!("\n[dependencies]\n{line}"), 1),
        }
    }

    /// Writes the shipped sources with all slips that compile.
    pub(crate) fn write(&self) -> Result<()> {
        for source in &self.sources {
            let slips: Vec<(u32, &Slip)> = source.alive().collect();
            write(&self.copy.join(&source.path), rewrite(&source.text, &slips).text.as_bytes())?;
        }
        Ok(())
    }

    /// All slips that compile.
    pub(crate) fn alive(&self) -> impl Iterator<Item = (&Source, u32, &Slip)> {
        self.sources.iter().flat_map(|source| source.alive().map(move |(number, slip)| (source, number, slip)))
    }
}

fn metadata() -> Result<Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let out = Command::new(cargo).args(["metadata", "--no-deps", "--format-version", "1"]).output().context("cargo runs")?;
    ensure!(out.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    Ok(serde_json::from_slice(&out.stdout)?)
}

/// Files that are committed, or could be.
fn files(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git").args(["ls-files", "-coz", "--exclude-standard"]).current_dir(root).output()?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    Ok(String::from_utf8(listed.stdout)?.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect())
}

/// Writes a file, unless it is so already: cargo goes by the time of the last change.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    std::fs::create_dir_all(path.parent().context("a file has a folder")?)?;
    std::fs::write(path, bytes).with_context(|| format!("{} cannot be written", path.display()))
}

/// Removes sources of a former copy that the workspace has not any more.
fn remove_others(folder: &Path, kept: &HashSet<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && name != ".cargo" {
            remove_others(&path, kept)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") && !kept.contains(&path) {
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}
