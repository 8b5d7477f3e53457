//! Writes real inputs for the fuzzer to begin from, a folder a target: `seeds FOLDER`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| std::io::Error::other("which folder?"))?;
    for seed in ringmaster_hostile::seeds() {
        let folder = Path::new(&folder).join(seed.target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("seed-{}", seed.name)), seed.bytes)?;
    }
    Ok(())
}
