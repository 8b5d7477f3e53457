//! Folders that a test makes and copies.

use std::path::Path;

use tempfile::TempDir;

use super::repository;

/// A folder with the example definitions; it goes when this value does.
pub(super) fn new_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("ringmaster-live-").tempdir().expect("a folder can be made");
    copy(&repository().join("sagas"), &folder.path().join("sagas"));
    folder
}

/// Copies a folder with everything in it; files that vanish meanwhile are left out.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).into_iter().flatten().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else if let Err(error) = std::fs::copy(entry.path(), target) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{}: {error}", entry.path().display());
        }
    }
}

/// Copies what processes said.
pub(super) fn copy_logs(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "log") {
            std::fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
