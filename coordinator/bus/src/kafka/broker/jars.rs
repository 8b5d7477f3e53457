//! Where the broker's jars are.

use std::path::PathBuf;

/// The environment variable that names the folder of the broker's jars (`scripts/kafka/fetch` fills it); without it they are looked
/// for in the project's cache.
pub const LIBS: &str = "RINGMASTER_KAFKA_LIBS";

/// The folder of the jars, if it has any.
pub(super) fn libs() -> Option<PathBuf> {
    let folder = std::env::var_os(LIBS).map(PathBuf::from).or_else(default_libs)?;
    let entries = std::fs::read_dir(&folder).ok()?;
    let found = entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("kafka_"));
    found.then_some(folder)
}

/// Where `scripts/kafka/fetch` puts them.
fn default_libs() -> Option<PathBuf> {
    let cache = std::env::var_os("RINGMASTER_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/ringmaster")))?;
    Some(cache.join("kafka-4.3.1/libs"))
}
