//! `participant scaling`: which participant is the bottleneck, or is about to be, and how many members each should have.

use std::io::Write;

use comfy_table::Table;

use super::asking::{ask_typed, say_missing};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::{self, printable};
use crate::api::client::Address;
use crate::api::{AllScaling, ParticipantScaling, scaling_not_found};
use crate::config::Config;

/// What `--help` ends with.
pub(super) const EXAMPLES: &str = "\
Examples:
  ringmaster participant scaling                 all of them, and which is the bottleneck
  ringmaster participant scaling payment         and why it should have so many members
  ringmaster participant scaling payment --json | jq .wanted_members";

/// `ringmaster participant scaling [NAME]`
pub(super) fn scaling(
    config: &Config,
    api: Option<&Address>,
    (name, as_json): (Option<&str>, bool),
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut all: AllScaling = ask_typed(config, api, "/api/v1/scaling")?;
    say_missing(&all.missing);
    if let Some(name) = name {
        let why = scaling_not_found(name, &all.participants);
        all.participants.retain(|of| of.participant == name);
        if all.participants.is_empty() {
            return Err(Failure::new(Exit::NotFound, why));
        }
    }
    if as_json {
        let line = |of: &ParticipantScaling| serde_json::to_string(of).expect("it is JSON");
        return all.participants.iter().try_for_each(|of| say(out, format_args!("{}", line(of))));
    }
    if all.participants.is_empty() {
        return say(out, format_args!("no saga asks anybody"));
    }
    say(out, format_args!("{}", table_of(&all.participants)))?;
    match name {
        Some(_) => {
            let mut all = all.participants.iter().flat_map(|of| of.stopped.iter().chain([&of.reason]));
            all.try_for_each(|why| say(out, format_args!("{}", printable(why.as_bytes()))))
        }
        None => say(out, format_args!("{}", conclusion(&all))),
    }
}

/// A line for each.
fn table_of(participants: &[ParticipantScaling]) -> Table {
    let mut table = text::table([
        "PARTICIPANT",
        "ARRIVE/S",
        "ANSWER/S",
        "UNANSWERED",
        "OLDEST",
        "RESPONSE",
        "CAPACITY/S",
        "USED",
        "SHARE",
        "SLO",
        "LATE IN",
        "MEMBERS",
        "WANTED",
    ]);
    for of in participants {
        let capacity = of.capacity_per_s.map(|capacity| {
            let mark = if of.basis.as_deref() == Some("measured") { "" } else { " (estimate)" };
            format!("{capacity:.1}{mark}")
        });
        let members = of.members.map_or("-".to_owned(), |members| members.to_string());
        table.add_row([
            printable(of.participant.as_bytes()),
            format!("{:.1}", of.arrive_per_s),
            format!("{:.1}", of.answer_per_s),
            of.unanswered.to_string(),
            or_unknown(of.oldest_s.map(seconds)),
            or_unknown(of.response_s.map(seconds)),
            or_unknown(capacity),
            or_unknown(of.utilisation.map(|used| format!("{:.0} %", used * 100.0))),
            or_unknown(of.share.map(|share| format!("{:.0} %", share.max(0.0) * 100.0))),
            seconds(of.slo_s),
            late_in(of),
            format!("{members}/{}", of.max_members),
            or_unknown(of.wanted_members.map(|wanted| wanted.to_string())),
        ]);
    }
    table
}

fn or_unknown(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// So many seconds, as anybody reads them.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        short if short < 1.0 => format!("{:.0} ms", short * 1_000.0),
        some if some < 10.0 => format!("{some:.1} s"),
        more if more < 600.0 => format!("{more:.0} s"),
        many => format!("{:.0} min", many / 60.0),
    }
}

/// When its answers will take longer than they should.
fn late_in(of: &ParticipantScaling) -> String {
    match of.breach_in_s {
        Some(now) if now <= 0.0 => "now".to_owned(),
        Some(soon) => seconds(soon),
        None if of.capacity_per_s.is_some() => "not in sight".to_owned(),
        None => "-".to_owned(),
    }
}

/// What follows from all of it.
pub(super) fn conclusion(all: &AllScaling) -> String {
    let Some(bottleneck) = all.bottleneck() else {
        return "what they can answer is not known yet: there was never a queue, and no setting says `concurrency`".to_owned();
    };
    let name = printable(bottleneck.participant.as_bytes());
    if let Some(why) = &bottleneck.stopped {
        return format!("the bottleneck is {name}: {}", printable(why.as_bytes()));
    }
    let used = bottleneck.utilisation.unwrap_or(0.0) * 100.0;
    let wants = match bottleneck.wanted_members {
        Some(wanted) if Some(wanted) != bottleneck.members => {
            format!("; it should have {wanted} members: `ringmaster participant scaling {name}` says why")
        }
        _ => String::new(),
    };
    let all_known = all.participants.iter().all(|of| of.capacity_per_s.is_some());
    let of_known = if all_known { "" } else { " of those that are known" };
    format!("the bottleneck{of_known} is {name}, used by {used:.0} %{wants}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment() -> ParticipantScaling {
        ParticipantScaling {
            participant: "payment".to_owned(),
            arrive_per_s: 1_150.04,
            answer_per_s: 930.0,
            unanswered: 38_900,
            oldest_s: Some(41.2),
            response_s: Some(41.8),
            capacity_per_s: Some(930.0),
            basis: Some("measured".to_owned()),
            utilisation: Some(1.236),
            share: Some(0.62),
            slo_s: 5.0,
            breach_in_s: Some(0.0),
            members: Some(4),
            max_members: 8,
            wanted_members: Some(8),
            reason: "so it is".to_owned(),
            ..ParticipantScaling::default()
        }
    }

    #[test]
    fn the_table_says_what_is_known_and_what_is_not() {
        let mail =
            ParticipantScaling { participant: "mail".to_owned(), slo_s: 0.25, max_members: 1, ..ParticipantScaling::default() };
        let all = AllScaling { participants: vec![mail.clone(), payment()], ..AllScaling::default() };
        let text = table_of(&all.participants).to_string();
        let words = |name: &str| {
            let line = text.lines().find(|line| line.contains(name)).expect("its line");
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(words("payment"), "payment 1150.0 930.0 38900 41 s 42 s 930.0 124 % 62 % 5.0 s now 4/8 8", "{text}");
        assert_eq!(words("mail"), "mail 0.0 0.0 0 - - - - - 250 ms - -/1 -", "{text}");
        let said = conclusion(&all);
        assert!(said.starts_with("the bottleneck of those that are known is payment, used by 124 %; it should have 8"), "{said}");
        assert!(
            conclusion(&AllScaling { participants: vec![mail], ..AllScaling::default() })
                .starts_with("what they can answer is not known yet")
        );
        let right = ParticipantScaling { wanted_members: Some(4), ..payment() };
        assert_eq!(
            conclusion(&AllScaling { participants: vec![right], ..AllScaling::default() }),
            "the bottleneck is payment, used by 124 %"
        );
        let down = ParticipantScaling {
            participant: "mail".to_owned(),
            stopped: Some("nothing was answered for 4 min; 9 unanswered".to_owned()),
            ..ParticipantScaling::default()
        };
        assert_eq!(
            conclusion(&AllScaling { participants: vec![down, payment()], ..AllScaling::default() }),
            "the bottleneck is mail: nothing was answered for 4 min; 9 unanswered"
        );
    }

    #[test]
    fn when_it_is_late_is_said_as_far_as_it_is_known() {
        let soon = |breach_in_s| late_in(&ParticipantScaling { breach_in_s, ..payment() });
        let said = [soon(Some(0.0)), soon(Some(42.4)), soon(Some(1_200.0)), soon(None)];
        assert_eq!(said, ["now", "42 s", "20 min", "not in sight"]);
        assert_eq!(late_in(&ParticipantScaling::default()), "-");
    }
}
