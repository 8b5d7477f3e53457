//! What the machine lets a run do: small disks of its own, and clocks that step.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Class, Halt};
use crate::live::copy;

/// What moves a program's clock.
const SOURCE: &str = include_str!("clock.c");
/// Builds it.
const COMPILER: &str = "cc";
/// Set where this process has a mount namespace of its own. (A name with RINGMASTER_ would be a setting of the coordinators.)
const APART: &str = "CHAOS_APART";

/// Goes on as another program where disks can be mounted that nobody else sees, and that end with it; returns where that may not be,
/// or is so already.
pub fn go_apart() {
    if std::env::var_os(APART).is_some() {
        return;
    }
    let unshare = |program: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--map-root-user", "--", program]);
        command
    };
    let may = unshare("true").stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success());
    if let (true, Ok(this)) = (may, std::env::current_exe()) {
        let _cannot = unshare(&this.display().to_string()).args(std::env::args_os().skip(1)).env(APART, "1").exec();
    }
}

/// Why a class is not possible with so many brokers here.
pub(super) fn hindrance(class: Class, brokers: usize) -> Option<&'static str> {
    match class {
        Class::KillController | Class::LeadersMoved if brokers == 1 => Some("it needs three brokers"),
        Class::TailLost if brokers > 1 => Some("others have a copy of what one loses"),
        Class::DiskFull if std::env::var_os(APART).is_none() => {
            Some("nothing may be mounted here (unshare --mount --map-root-user)")
        }
        Class::ClockStep if Command::new(COMPILER).arg("--version").output().is_err() => Some("there is no C compiler, cc"),
        _ => None,
    }
}

/// A library that moves the wall clock of a program (`clock.c`).
pub(super) struct Clock {
    library: PathBuf,
}

impl Clock {
    /// Builds it in a folder.
    pub(super) fn build(folder: &Path) -> Result<Clock, Halt> {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        std::fs::write(&source, SOURCE)?;
        run(Command::new(COMPILER).args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl"))?;
        Ok(Clock { library })
    }

    /// What a program must find in its environment so that its clock goes as this file says.
    pub(super) fn environment(&self, file: &Path) -> [(&'static str, String); 2] {
        [("LD_PRELOAD", self.library.display().to_string()), ("CHAOS_CLOCK", file.display().to_string())]
    }

    /// Lets a clock be so many seconds away from the machine's, from now on. The file stays the same one: programs look into it.
    pub(super) fn set(file: &Path, away_s: i64) -> io::Result<()> {
        let mut file = File::options().create(true).truncate(false).write(true).open(file)?;
        file.write_all(&(away_s * 1_000_000_000).to_ne_bytes())
    }
}

/// A small disk that holds a folder.
pub(super) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Moves a folder to a disk of its own with so many bytes more than it has.
    pub(super) fn mount(folder: &Path, free: u64) -> Result<Disk, Halt> {
        let before = folder.with_extension("before");
        std::fs::rename(folder, &before)?;
        std::fs::create_dir(folder)?;
        let size = format!("size={}", size(&before)? + free);
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder))?;
        copy(&before, folder);
        std::fs::remove_dir_all(before)?;
        Ok(Disk { folder: folder.to_owned() })
    }

    /// Moves it back.
    pub(super) fn unmount(self) -> Result<(), Halt> {
        let behind = self.folder.with_extension("behind");
        copy(&self.folder, &behind);
        run(Command::new("umount").arg(&self.folder))?;
        std::fs::remove_dir(&self.folder)?;
        std::fs::rename(behind, &self.folder)?;
        Ok(())
    }
}

/// Bytes of all files.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)?.flatten() {
        let found = entry.metadata()?;
        bytes += if found.is_dir() { size(&entry.path())? } else { found.len() };
    }
    Ok(bytes)
}

fn run(command: &mut Command) -> Result<(), Halt> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(Halt::Failed(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_goes_as_its_file_says_while_its_program_runs() {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, file) = (Clock::build(folder.path()).expect("there is a compiler"), folder.path().join("clock"));
        let (hour, long) = (3_600, 60);
        let away = |program: &[&str]| {
            let output = Command::new(program[0]).args(&program[1..]).envs(clock.environment(&file)).output().expect("it runs");
            String::from_utf8_lossy(&output.stdout).trim().parse::<i64>().expect("a number")
        };
        for away_s in [hour, -hour, 0] {
            Clock::set(&file, away_s).expect("set");
            let told = away(&["date", "+%s"]);
            let now = std::time::UNIX_EPOCH.elapsed().expect("later").as_secs() as i64;
            assert!((told - away_s - now).abs() < long, "told {told}, is {now}, away {away_s}");
        }
    }
}
