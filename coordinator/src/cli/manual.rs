//! `completions` and `man`: the command line as shells and `man` know one.

use std::io::{ErrorKind, Write};
use std::path::Path;

use clap_complete::Shell;

use super::definitions::say;
use super::exit::{Exit, Failure};

pub(super) const COMPLETIONS: &str = "\
Examples:
  ringmaster completions bash > ~/.local/share/bash-completion/completions/ringmaster
  ringmaster completions zsh > ~/.zfunc/_ringmaster        with fpath+=~/.zfunc before compinit
  ringmaster completions fish > ~/.config/fish/completions/ringmaster.fish";

pub(super) const PAGES: &str = "\
Example:
  ringmaster man --out ~/.local/share/man/man1 && man ringmaster-saga-list";

/// `ringmaster completions SHELL`
pub(super) fn completions(mut command: clap::Command, shell: Shell, out: &mut dyn Write) -> Result<(), Failure> {
    // clap_complete panics where it cannot write; memory takes everything.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "ringmaster", &mut script);
    out.write_all(&script).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::new(Exit::Done, ""),
        _ => Failure::new(Exit::Failed, format_args!("output: {error}")),
    })
}

/// `ringmaster man --out FOLDER`
pub(super) fn pages(command: clap::Command, folder: &Path, out: &mut dyn Write) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(|error| Failure::new(Exit::Failed, format_args!("{}: {error}", folder.display())))?;
    say(out, format_args!("pages are in {}: man -l {}/ringmaster.1", folder.display(), folder.display()))
}
