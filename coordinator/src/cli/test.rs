//! `test`: scenarios, played against the definitions of the configured folder.

use std::io::Write;
use std::path::{Path, PathBuf};

use comfy_table::Table;
use ringmaster_core::definition::{Catalog, CompileError};

use super::definitions::{add_files, configured_files, load_schemas, say};
use super::exit::{Exit, Failure};
use super::text;
use crate::config::Config;
use crate::runtime::{self, KnowledgeError, SchemasOfSagas};
use crate::scenarios::{self, Coverage, Known, Scenario, Tally, TestReport, Verdict};

/// What `--help` ends with.
pub(super) const EXAMPLES: &str = "\
A scenario, in a file of the folder `scenarios` beside the definitions (docs/TESTING.md has all that it may say):

  scenario: card declined, stock goes back
  saga: order-fulfilment
  start: { order_id: ord-1, region: EU, total: \"120.00\", currency: EUR, items: [ { sku: a, qty: 1 } ] }
  answers: { inventory.ReserveStock: succeeded, payment.Charge: [ timeout, { refused: CARD_DECLINED } ] }
  then: [ payment.Charge: { amount: \"120.00\" }, inventory.ReleaseStock, emit OrderCancelled ]
  ends: compensated

Examples:
  ringmaster test                                 all of them
  ringmaster test my/scenarios --only declined    those with a word in their names
  ringmaster test --coverage-min 100 --junit report.xml";

/// Where scenarios are if nobody says: beside the definitions.
const FOLDER: &str = "scenarios";

/// What to play, and what to tell of it.
#[derive(Default)]
pub(super) struct Options<'a> {
    /// Files, and folders with all that is in them.
    pub(super) paths: &'a [PathBuf],
    /// Where the report as JUnit XML goes.
    pub(super) junit: Option<&'a Path>,
    /// Only scenarios whose name has this text.
    pub(super) only: Option<&'a str>,
    pub(super) json: bool,
    /// Tell what happened in each, not only where one fails.
    pub(super) story: bool,
    pub(super) coverage: bool,
    /// Of what there is in each definition, so much must be passed, in per cent.
    pub(super) coverage_min: Option<u8>,
}

/// `ringmaster test [FOLDER|FILE...]`
pub(super) fn test(config: &Config, options: &Options<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let (mut catalog, mut schemas) = (Catalog::default(), load_schemas(&config.schemas)?);
    add_files(&mut catalog, &mut schemas, &configured_files(config)?, &config.compile_options(), &SchemasOfSagas::new())?;
    let known = Known { catalog: &catalog, schemas: &schemas };
    let scenarios = read(config, options, known)?;
    let mut coverage = Coverage::default();
    if options.paths.is_empty() && options.only.is_none() {
        // All scenarios are played: what has none is not covered.
        catalog.versions().into_iter().for_each(|(definition, _)| coverage.add(definition));
    }
    let played: Vec<(Scenario, Verdict)> = scenarios
        .into_iter()
        .map(|scenario| {
            let verdict = scenarios::play(&scenario, known, &mut coverage);
            (scenario, verdict)
        })
        .collect();
    let tallies = coverage.tallies();
    if let Some(path) = options.junit {
        let written = std::fs::write(path, scenarios::junit(&played));
        written.map_err(|error| Failure::new(Exit::Failed, format_args!("{}: {error}", path.display())))?;
    }
    match options.json {
        true => {
            let report = serde_json::to_string(&TestReport::of(&played, &tallies)).expect("it is JSON");
            say(out, format_args!("{report}"))?;
        }
        false => tell(&played, &tallies, options, out)?,
    }
    end(&played, &tallies, options.coverage_min)
}

/// All scenarios, in order of their files and lines. All errors of all files are returned.
fn read(config: &Config, options: &Options<'_>, known: Known<'_>) -> Result<Vec<Scenario>, Failure> {
    let beside = [config.definitions.join(FOLDER)];
    let paths = if options.paths.is_empty() { &beside[..] } else { options.paths };
    let mut files = Vec::new();
    for path in paths {
        find(path, &mut files)?;
    }
    files.dedup();
    let (mut scenarios, mut errors): (Vec<Scenario>, Vec<CompileError>) = (Vec::new(), Vec::new());
    for file in &files {
        let read = match runtime::read_text(file) {
            Ok(text) => scenarios::read(&file.display().to_string(), &text, known),
            Err(KnowledgeError::Definitions(found)) => Err(found),
            Err(error) => return Err(error.into()),
        };
        match read {
            Ok(found) => scenarios.extend(found),
            Err(found) => errors.extend(found),
        }
    }
    if !errors.is_empty() {
        return Err(KnowledgeError::Definitions(errors).into());
    }
    scenarios.retain(|scenario| options.only.is_none_or(|part| scenario.name.contains(part)));
    if scenarios.is_empty() {
        let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        let what = options.only.map_or_else(String::new, |part| format!(" with '{part}' in its name"));
        return Err(Failure::new(Exit::NotFound, format_args!("there is no scenario{what} in {}", paths.join(", "))));
    }
    Ok(scenarios)
}

/// A file, or the YAML files of a folder and of the folders in it, in the order of their names.
fn find(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    if !path.is_dir() {
        if !path.exists() {
            let hint = "scenarios are looked for in the folder `scenarios` beside the definitions, or in what is named";
            return Err(Failure::new(Exit::NotFound, format_args!("there is no {}; {hint}", path.display())));
        }
        files.push(path.to_owned());
        return Ok(());
    }
    let wrong = |error| KnowledgeError::File { path: path.to_owned(), error };
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(wrong)? {
        entries.push(entry.map_err(wrong)?.path());
    }
    entries.sort();
    for entry in entries {
        let is_yaml = entry.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if entry.is_dir() || is_yaml {
            find(&entry, files)?;
        }
    }
    Ok(())
}

fn tell(played: &[(Scenario, Verdict)], tallies: &[Tally], options: &Options<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    for (scenario, verdict) in played {
        let how = if verdict.passed() { "ok    " } else { "FAILED" };
        say(out, format_args!("{how} {}:{} {}", scenario.file, scenario.line, scenario.name))?;
        for miss in &verdict.misses {
            say(out, format_args!("       {}:{}: {}", scenario.file, miss.line, miss.message))?;
        }
        if !verdict.passed() {
            say(out, format_args!("       expected (-), happened instead (+), and what else happened:"))?;
        }
        let story = verdict.story.iter().map(String::as_str).filter(|_| options.story && verdict.passed());
        for line in verdict.diff.lines().chain(story) {
            say(out, format_args!("       {line}"))?;
        }
    }
    let passed = played.iter().filter(|(_, verdict)| verdict.passed()).count();
    say(out, format_args!("{passed} of {} scenarios passed", played.len()))?;
    if options.coverage {
        say(out, format_args!("{}", table(tallies)))?;
        for (tally, missed) in tallies.iter().flat_map(|tally| tally.missed.iter().map(move |missed| (tally, missed))) {
            say(out, format_args!("{}: {}", tally.saga, missed.what))?;
        }
    }
    Ok(())
}

fn table(tallies: &[Tally]) -> Table {
    let kinds = tallies.first().map_or(&[][..], |tally| &tally.kinds);
    let mut table = text::table(["SAGA".to_owned()].into_iter().chain(kinds.iter().map(|(kind, ..)| kind.to_uppercase())));
    for tally in tallies {
        let cells =
            tally.kinds.iter().map(|(_, passed, all)| if *all == 0 { "-".to_owned() } else { format!("{passed} of {all}") });
        table.add_row([tally.saga.to_string()].into_iter().chain(cells));
    }
    table
}

/// What fails the command.
fn end(played: &[(Scenario, Verdict)], tallies: &[Tally], coverage_min: Option<u8>) -> Result<(), Failure> {
    let failed = played.iter().filter(|(_, verdict)| !verdict.passed()).count();
    if failed > 0 {
        return Err(Failure::new(Exit::Failed, format_args!("{failed} of {} scenarios went otherwise than written", played.len())));
    }
    let Some(min) = coverage_min else { return Ok(()) };
    for tally in tallies {
        let (passed, all) = tally.total();
        if passed * 100 < all * usize::from(min) {
            let per_cent = passed * 100 / all;
            let what = "--coverage says what is missing";
            return Err(Failure::new(
                Exit::Failed,
                format_args!("{}: scenarios pass {passed} of {all} places, {per_cent} % and not {min} %; {what}", tally.saga),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::json;

    use super::*;

    const DEFINITION: &str = "saga: trip
start: { on: TripBooked, from: trips, key: event.trip_id }
steps:
  - { step: reserve, do: hotel.Reserve, undo: hotel.Release, with: { trip_id: key } }
";
    const SCENARIOS: &str = "scenario: booked
saga: trip
start: { trip_id: t-1 }
answers: { hotel.Reserve: succeeded }
then: [ hotel.Reserve: { trip_id: t-1 } ]
ends: completed
";

    /// A folder with a definition and scenarios.
    struct World {
        folder: tempfile::TempDir,
        config: Config,
    }

    impl World {
        fn new() -> World {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::create_dir_all(folder.path().join("scenarios/more")).expect("a folder in it");
            let text = format!(
                "definitions = {path:?}\nschemas = \"{path}/schemas\"\n[participants.hotel]\nencoding = \"json\"",
                path = folder.path().to_str().expect("a path that is text")
            );
            let world = World { config: Config::parse("test", &text).expect("these settings are right"), folder };
            world.write("trip.yaml", DEFINITION);
            world
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).expect("it is written");
        }

        /// How the command ends, and what it says, without the folder's name.
        fn test(&self, options: Options<'_>) -> (Exit, String) {
            let mut out = Vec::new();
            let ended = test(&self.config, &options, &mut out);
            let (exit, message) =
                ended.map_or_else(|failure| (failure.exit, failure.message + "\n"), |()| (Exit::Done, String::new()));
            let told = String::from_utf8(out).expect("it is text") + &message;
            (exit, told.replace(&format!("{}/", self.folder.path().display()), ""))
        }
    }

    #[test]
    fn what_passes_is_listed_and_what_is_missing_is_named() {
        let world = World::new();
        world.write("scenarios/trip.yaml", SCENARIOS);
        world.write("scenarios/readme.txt", "no scenario");
        let (exit, told) = world.test(Options { coverage: true, story: true, ..Options::default() });
        assert_eq!(exit, Exit::Done);
        expect![[r#"
            ok     scenarios/trip.yaml:1 booked
                   +0s hotel.Reserve {"trip_id":"t-1"}
                   ends: completed
            1 of 1 scenarios passed
             SAGA  STEPS   ARMS  CONDITIONS  REFUSALS  REACTIONS  UNDOS  
             trip  1 of 1  -     -           0 of 1    -          0 of 1 
            trip: reserve is never refused
            trip: reserve is never undone
        "#]]
        .assert_eq(&told);
        let (exit, told) = world.test(Options { coverage_min: Some(34), ..Options::default() });
        assert_eq!(exit, Exit::Failed);
        expect![[r#"
            ok     scenarios/trip.yaml:1 booked
            1 of 1 scenarios passed
            trip: scenarios pass 1 of 3 places, 33 % and not 34 %; --coverage says what is missing
        "#]]
        .assert_eq(&told);
        assert_eq!(world.test(Options { coverage_min: Some(33), ..Options::default() }).0, Exit::Done);
    }

    #[test]
    fn what_fails_is_told_with_its_place_and_in_all_forms() {
        let world = World::new();
        world.write("scenarios/a.yaml", SCENARIOS);
        world.write("scenarios/more/b.yaml", &SCENARIOS.replace("t-1 } ]", "t-2 } ]").replace("booked", "<other>"));
        let junit = world.folder.path().join("junit.xml");
        let (exit, told) = world.test(Options { junit: Some(&junit), ..Options::default() });
        assert_eq!(exit, Exit::Failed);
        expect![[r#"
            ok     scenarios/a.yaml:1 booked
            FAILED scenarios/more/b.yaml:1 <other>
                   scenarios/more/b.yaml:5: hotel.Reserve {"trip_id":"t-2"} is expected: it did not happen
                   expected (-), happened instead (+), and what else happened:
                   -             hotel.Reserve {"trip_id":"t-2"}
                   +        +0s  hotel.Reserve {"trip_id":"t-1"}
                                 ends: completed
            1 of 2 scenarios passed
            1 of 2 scenarios went otherwise than written
        "#]]
        .assert_eq(&told);
        let written = std::fs::read_to_string(&junit).expect("it was written");
        expect![[r#"
            <?xml version="1.0" encoding="UTF-8"?>
            <testsuites name="ringmaster test" tests="2" failures="1">
              <testsuite name="scenarios/a.yaml" tests="1" failures="0">
                <testcase name="booked" classname="trip" file="scenarios/a.yaml" line="1"/>
              </testsuite>
              <testsuite name="scenarios/more/b.yaml" tests="1" failures="1">
                <testcase name="&lt;other&gt;" classname="trip" file="scenarios/more/b.yaml" line="1">
                  <failure message="hotel.Reserve {&quot;trip_id&quot;:&quot;t-2&quot;} is expected: it did not happen">scenarios/more/b.yaml:5: hotel.Reserve {&quot;trip_id&quot;:&quot;t-2&quot;} is expected: it did not happen

            -             hotel.Reserve {&quot;trip_id&quot;:&quot;t-2&quot;}
            +        +0s  hotel.Reserve {&quot;trip_id&quot;:&quot;t-1&quot;}
                          ends: completed
            </failure>
                </testcase>
              </testsuite>
            </testsuites>
        "#]].assert_eq(&written.replace(&format!("{}/", world.folder.path().display()), ""));
        let (exit, told) = world.test(Options { json: true, ..Options::default() });
        assert_eq!(exit, Exit::Failed);
        let json: serde_json::Value = serde_json::from_str(told.lines().next().expect("a line")).expect("it is JSON");
        assert_eq!(json["scenarios"][0]["passed"], true);
        assert_eq!(json["scenarios"][1]["misses"][0]["line"], 5);
        assert_eq!(json["coverage"][0]["kinds"]["steps"], json!({ "passed": 1, "all": 1 }));
        assert_eq!(world.test(Options { only: Some("booked"), ..Options::default() }).0, Exit::Done);
    }

    #[test]
    fn files_with_slips_and_files_that_are_not_there_have_codes_of_their_own() {
        let world = World::new();
        let (exit, told) = world.test(Options::default());
        assert_eq!((exit, told.as_str()), (Exit::NotFound, "there is no scenario in scenarios\n"));
        world.write("scenarios/trip.yaml", &SCENARIOS.replace("saga: trip", "saga: trap"));
        let (exit, told) = world.test(Options::default());
        assert!(exit == Exit::Definition && told.contains("scenarios/trip.yaml:2:7: error: there is no saga 'trap'"), "{told}");
        let missing = [world.folder.path().join("nowhere")];
        let (exit, told) = world.test(Options { paths: &missing, ..Options::default() });
        assert!(exit == Exit::NotFound && told.starts_with("there is no nowhere; "), "{told}");
        let definition = [world.folder.path().join("trip.yaml")];
        let (exit, told) = world.test(Options { paths: &definition, ..Options::default() });
        assert_eq!((exit, told.as_str()), (Exit::NotFound, "there is no scenario in trip.yaml\n"));
    }
}
