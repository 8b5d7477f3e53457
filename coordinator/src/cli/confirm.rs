//! Asking a person before something is done that cannot be taken back, or that stops what others began.

use std::io::{BufRead, IsTerminal as _, Write};

use clap::Args;

use super::exit::{Exit, Failure};
use super::text::printable;

/// What stands on the command line.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Confirming {
    /// Do it without being asked: needed where nobody can be, as in scripts.
    #[arg(long, short)]
    yes: bool,
}

impl Confirming {
    /// Asks on the terminal whether this is to be done; an error unless somebody says so.
    pub(super) fn ask(self, what: &str) -> Result<(), Failure> {
        let (input, is_terminal) = (std::io::stdin(), std::io::stdin().is_terminal() && std::io::stderr().is_terminal());
        self.ask_by(what, is_terminal.then(|| (input.lock(), std::io::stderr())))
    }

    /// The same, by what is read and written; none where nobody can be asked.
    fn ask_by(self, what: &str, terminal: Option<(impl BufRead, impl Write)>) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let what = printable(what.as_bytes());
        let Some((mut input, mut output)) = terminal else {
            let why = format!("{what}: nobody can be asked here whether that is meant, and nothing was done. Say --yes if it is");
            return Err(Failure::new(Exit::Usage, why));
        };
        let mut answer = String::new();
        let asked = write!(output, "{what}? [y/N] ").and_then(|()| output.flush()).and_then(|()| input.read_line(&mut answer));
        match (asked, answer.trim().to_ascii_lowercase().as_str()) {
            (Ok(_), "y" | "yes") => Ok(()),
            _ => Err(Failure::new(Exit::Failed, "nothing was done")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(yes: bool, answer: Option<&str>) -> (Result<(), (Exit, String)>, String) {
        let mut asked = Vec::new();
        let terminal = answer.map(|answer| (answer.as_bytes(), &mut asked));
        let told = Confirming { yes }.ask_by("cancel \u{1b}o/1", terminal).map_err(|failure| (failure.exit, failure.message));
        (told, String::from_utf8(asked).expect("text"))
    }

    #[test]
    fn only_who_says_yes_does_it() {
        for answer in ["y\n", "Y", " yes \n"] {
            assert_eq!(ask(false, Some(answer)), (Ok(()), "cancel \\u{1b}o/1? [y/N] ".to_owned()), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "yep\n", "no"] {
            let (told, _) = ask(false, Some(answer));
            assert_eq!(told, Err((Exit::Failed, "nothing was done".to_owned())), "{answer:?}");
        }
    }

    #[test]
    fn nobody_is_asked_who_has_said_so_and_nothing_is_done_where_nobody_can_be() {
        assert_eq!(ask(true, Some("n\n")), (Ok(()), String::new()));
        assert_eq!(ask(true, None).0, Ok(()));
        let (told, _) = ask(false, None);
        let (exit, why) = told.expect_err("nobody said so");
        assert!(exit == Exit::Usage && why.contains("nothing was done. Say --yes"), "{why}");
    }
}
