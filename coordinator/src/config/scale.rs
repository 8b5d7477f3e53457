//! Participants whose members are processes of this machine: what is started, and how many there may be.

use super::layers::Layers;
use super::values;

/// Members unless something is said.
const MEMBERS_MAX: usize = 8;
/// More processes of one participant than any machine is to have.
const MAX: usize = 1_000;

/// How `ringmaster scale` runs the members of one participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// The program and its arguments; no shell reads them.
    pub command: Vec<String>,
    /// So many run whatever is wanted.
    pub min: u32,
    /// More never run.
    pub max: u32,
}

pub(super) fn read(layers: &mut Layers, name: &str) -> Scale {
    let (min_key, max_key) = (["scale", name, "min"], ["scale", name, "max"]);
    let min = layers.read(&min_key, 1, values::count(0, MAX));
    let max = layers.read(&max_key, MEMBERS_MAX.max(min), values::count(1, MAX));
    if min > max {
        layers.problem(format!("{} is more than {}", min_key.join("."), max_key.join(".")));
    }
    let command = layers.read_list(&["scale", name, "command"], |command| match command.first() {
        Some(program) if !program.is_empty() => Ok(command),
        _ => Err("it names no program".to_owned()),
    });
    Scale { command, min: min as u32, max: max as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn read(text: &str) -> Result<Scale, String> {
        let config = Config::parse("r.toml", &format!("[scale.fraud]\n{text}")).map_err(|error| error.to_string())?;
        Ok(config.scale["fraud"].clone())
    }

    #[test]
    fn a_participant_has_a_command_and_bounds() {
        let command = || vec!["fraud".to_owned(), "--data".to_owned(), "a b".to_owned()];
        assert_eq!(read("command = ['fraud', '--data', 'a b']"), Ok(Scale { command: command(), min: 1, max: 8 }));
        assert_eq!(
            read("command = ['fraud', '--data', 'a b']\nmin = 0\nmax = 3"),
            Ok(Scale { command: command(), min: 0, max: 3 })
        );
        assert_eq!(read("command = ['fraud']\nmin = 9").expect("right").max, 9);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, says) in [
            ("min = 1", "scale.fraud.command is missing: a list such as [\"fraud\""),
            ("command = []", "r.toml:2:1: scale.fraud.command: it names no program"),
            ("command = ['', 'x']", "scale.fraud.command: it names no program"),
            ("command = 'fraud'", "scale.fraud.command: it is not a list such as [\"fraud\""),
            ("command = ['fraud', 1]", "scale.fraud.command: it is not a list such as [\"fraud\""),
            ("command = ['fraud']\nmin = [1]", "scale.fraud.min: a list is not a value here"),
            ("command = ['fraud']\nmax = 0", "scale.fraud.max: '0' is not a number from 1 to 1000"),
            ("command = ['fraud']\nmin = 3\nmax = 2", "scale.fraud.min is more than scale.fraud.max"),
            ("command = ['fraud']\nmaximum = 2", "unknown setting 'scale.fraud.maximum'"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
