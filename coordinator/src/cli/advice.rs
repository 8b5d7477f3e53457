//! What is said of a wrong command line beside what is missing: the ways to say it.

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Missing arguments, as errors name them, and what is said of each.
const MISSING: [(&str, &str); 2] = [
    ("--by ", "say who acts by --by NAME, or by the variable USER"),
    ("<SCRIPT>", "'participant' takes a script, or a command: pause, resume, list, show or scaling"),
];

/// The same error, with advice where there is any.
pub(super) fn advised(mut error: Error) -> Error {
    let advice = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) if error.kind() == ErrorKind::MissingRequiredArgument => {
            let is_missing = |what: &str| missing.iter().any(|argument| argument.starts_with(what));
            MISSING.iter().filter(|(what, _)| is_missing(what)).map(|(_, advice)| (*advice).into()).collect()
        }
        _ => Vec::new(),
    };
    if !advice.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(advice));
    }
    error
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn what_is_missing_is_said_with_the_ways_to_say_it() {
        let required = |name: &'static str| Arg::new(name).long(name).value_name("NAME").required(true);
        let command = Command::new("act").args([required("by"), required("why")]);
        let told = |arguments: &[&str]| {
            let error = command.clone().try_get_matches_from(arguments).expect_err("something is missing");
            advised(error).to_string()
        };
        let both = "tip: say who acts by --by NAME, or by the variable USER";
        assert!(told(&["act", "--why", "x"]).contains(both), "{}", told(&["act", "--why", "x"]));
        assert!(!told(&["act", "--by", "ann"]).contains("tip: "), "{}", told(&["act", "--by", "ann"]));
        assert!(!told(&["act", "--buy", "ann"]).contains("say who acts"));
    }
}
