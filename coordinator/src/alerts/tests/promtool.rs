//! Prometheus's own tool, by which its rules are checked and played.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `scripts/promtool.sh` puts it.
fn promtool() -> PathBuf {
    let cache = std::env::var_os("RINGMASTER_CACHE").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/ringmaster");
    let tool = cache.unwrap_or_else(home).join("promtool");
    assert!(
        tool.exists(),
        "{} is missing, by which the rules for Prometheus are tested: `make promtool` fetches it",
        tool.display()
    );
    tool
}

/// Runs it in this folder; what it says if it fails.
pub(super) fn run(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let out = Command::new(promtool()).args(arguments).current_dir(folder).output().expect("promtool runs");
    let told = || format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.success() { Ok(()) } else { Err(told()) }
}
