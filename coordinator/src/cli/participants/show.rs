//! `participant show`: what one participant was asked, and what has become of all of it.

use std::io::Write;

use ringmaster_schemas::names::percent_encode;

use super::super::asking::{ask_typed, say_missing};
use super::super::definitions::say;
use super::super::exit::Failure;
use super::{printable, table_of};
use crate::api::client::Address;
use crate::api::{OneParticipant, Participant};
use crate::config::Config;

/// `ringmaster participant show NAME`
pub(in crate::cli) fn show(
    config: &Config,
    api: Option<&Address>,
    (name, as_json): (&str, bool),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut path = "/api/v1/participants/".to_owned();
    percent_encode(name, &mut path);
    let of: OneParticipant = ask_typed(config, api, &path)?;
    say_missing(&of.missing);
    if as_json {
        return say(out, format_args!("{}", serde_json::to_string(&of).expect("it is JSON")));
    }
    say(out, format_args!("{}", table_of(std::slice::from_ref(&of.participant))))?;
    say(out, format_args!("{}", sums(&of.participant)))?;
    let (oldest, name) = (of.as_of.iter().map(|of| of.age_ms).max().unwrap_or(0), printable(name.as_bytes()));
    say(out, format_args!("as of {oldest} ms ago; `ringmaster participant scaling {name}` says how much it can answer"))
}

/// What was asked is what became of it, always.
fn sums(of: &Participant) -> String {
    let Participant { asked, repeated, succeeded, refused, failed, timed_out, dropped, unanswered, late, parkings, .. } = of;
    let since = of.counted_since.as_deref().map_or_else(|| "since the beginning".to_owned(), |since| format!("since {since}"));
    format!(
        "{since}: {asked} asked + {repeated} asked again = {succeeded} succeeded + {refused} refused + {failed} failed + {timed_out} timed out \
         + {dropped} dropped + {unanswered} unanswered; late answers: {late}, parkings: {parkings}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_is_what_became_of_it() {
        let of =
            Participant { asked: 9, repeated: 2, succeeded: 5, timed_out: 3, refused: 1, unanswered: 2, ..Participant::default() };
        let said = "since the beginning: 9 asked + 2 asked again = 5 succeeded + 1 refused + 0 failed + 3 timed out + 0 dropped + 2 unanswered";
        assert!(sums(&of).starts_with(said), "{}", sums(&of));
        let since = Participant { counted_since: Some("2026-01-31T00:00:00Z".to_owned()), ..of };
        assert!(sums(&since).starts_with("since 2026-01-31T00:00:00Z: "), "{}", sums(&since));
    }
}
