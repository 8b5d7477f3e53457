//! `scale`: as many processes of each participant as it should have members; or what would be done, and why.

use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use super::asking::{Asked, ask_again, ask_typed, say_missing};
use super::definitions::say;
use super::exit::{Exit, Failure};
use super::text::printable;
use crate::api::AllScaling;
use crate::config::Config;
use crate::members::{self, Bounds, Crew, Told, Voice, is_there, told};

/// What `--help` ends with.
const EXAMPLES: &str = r#"Examples:
  ringmaster scale                 until SIGTERM, with these settings:
                                     [scale.fraud]
                                     command = ["fraud", "--bootstrap", "localhost:9092", "--stateless"]
                                     max = 8
  ringmaster scale --dry-run       what would be done now, and why
  ringmaster scale --dry-run --json | jq .would_run"#;

/// What tells how many members are wanted.
const PATH: &str = "/api/v1/scaling";
/// An answer that takes longer than this is none: it is asked again a second later.
const PATIENCE: Duration = Duration::from_secs(5);
/// Behind its members' end it waits so long for what is not written yet.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Run as many processes of a participant on this machine as it should have members, by what the coordinators say.
///
/// The settings say what is started: [scale.NAME] with command, min and max. The coordinators are asked once a second; while none answers,
/// what runs goes on. A member that falls is started again, at once and then ever later. SIGTERM and SIGINT end all of them in order.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ScaleArguments {
    /// Start nothing: say of each participant how many members would run now, and why.
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a participant and line.
    #[arg(long, requires = "dry_run")]
    json: bool,
    #[command(flatten)]
    asked: Asked,
}

/// What would be done with a participant.
#[derive(Debug, Serialize)]
struct Would<'a> {
    participant: &'a str,
    /// So many processes.
    would_run: u32,
    min: u32,
    max: u32,
    /// Members of its consumer group now, wherever they run; null if that is not known.
    members: Option<u32>,
    /// Null if that cannot be told: then what runs goes on.
    wanted_members: Option<u32>,
    reason: String,
}

/// `ringmaster scale`
pub(super) fn scale(config: &Config, arguments: &ScaleArguments, out: &mut dyn Write) -> Result<(), Failure> {
    if config.scale.is_empty() {
        let why =
            r#"the settings name no participant whose members could run here: [scale.NAME] with command = ["..."], min and max"#;
        return Err(Failure::new(Exit::Refused, why));
    }
    for (name, scale) in &config.scale {
        let program = &scale.command[0];
        if !is_there(program) {
            let program = printable(program.as_bytes());
            return Err(Failure::new(Exit::Refused, format_args!("scale.{name}.command: there is no program '{program}'")));
        }
    }
    let api = arguments.asked.api.as_ref();
    if arguments.dry_run {
        return explain(config, ask_typed(config, api, PATH)?, arguments.json, out);
    }
    let ask = ask_again::<AllScaling>(config, api, PATH, PATIENCE)?;
    let failed = |error| Failure::new(Exit::Failed, error);
    let (voice, spoken) = Voice::new(std::io::stderr()).map_err(failed)?;
    let tell = |line: &str| voice.say(format!("{}\n", printable(line.as_bytes())).into_bytes());
    let done = members::run(&config.scale, ask, &voice, &tell);
    drop(voice);
    // What members said last. Who has left their group may keep their pipes open, and nobody need listen.
    spoken.wait(LAST_WORDS);
    done.map_err(failed)
}

/// What would be done now.
fn explain(config: &Config, answer: AllScaling, as_json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    say_missing(&answer.missing);
    let answer = Ok(answer);
    for (name, scale) in &config.scale {
        let (min, max) = (scale.min, scale.max);
        let mut crew = Crew::new(Bounds { min, max });
        let said = told(name, &answer);
        let (wanted_members, reason) = match &said {
            Told::Wants(members, reason) | Told::AtLeast(members, reason) => (Some(*members), reason.clone()),
            Told::Unknown(why) | Told::Silent(why) => (None, why.clone()),
        };
        crew.take(said);
        let all = answer.iter().flat_map(|all| &all.participants);
        let members = all.clone().find(|of| of.participant == *name).and_then(|of| of.members);
        let would = Would { participant: name, would_run: crew.goal(), min, max, members, wanted_members, reason };
        match as_json {
            true => say(out, format_args!("{}", serde_json::to_string(&would).expect("it is JSON")))?,
            false => say(out, format_args!("{}", would.text()))?,
        }
    }
    Ok(())
}

impl Would<'_> {
    fn text(&self) -> String {
        let count = |count: Option<u32>| count.map_or("an unknown number of".to_owned(), |count| count.to_string());
        let Would { participant, would_run, min, max, members, wanted_members, reason } = self;
        let wanted = count(*wanted_members);
        let text = format!(
            "{participant}: {would_run} would run; {wanted} wanted, {min} to {max} may be, {} in its group: {reason}",
            count(*members)
        );
        printable(text.as_bytes())
    }
}
