//! A folder of definitions that is watched: what changes in it, or in the schemas, is deployed by the coordinator itself.
//!
//! Files are read once a second and compared by their content; a change is taken when it has stood for a second, since an editor may be
//! in the middle of writing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringmaster_bus::Bus;
use ringmaster_schemas::Millis;

use super::clock::Now;
use super::deploy::{DeployError, Deploying, Plan, deploy};
use super::knowledge::{KnowledgeError, definition_files};

/// The folder is looked at this often.
const LOOK_EVERY_MS: Millis = 1_000;
/// What failed for no mistake of the files is tried again this often: each time all that is deployed is read.
const AGAIN_EVERY_MS: Millis = 5_000;

/// Contents of files, by path.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// A watched folder.
pub(super) struct Folder {
    definitions: PathBuf,
    schemas: PathBuf,
    /// What was tried last: deployed, or refused.
    tried: Option<Contents>,
    /// When that is tried again; never if it was deployed, or refused for its own mistakes.
    again_at: Millis,
    /// As it was at the last look.
    seen: Option<Contents>,
    look_at: Millis,
    /// What was last said to be wrong, so that it is said once.
    said: String,
}

impl Folder {
    pub(super) fn new(definitions: &Path, schemas: &Path) -> Folder {
        let (definitions, schemas) = (definitions.to_owned(), schemas.to_owned());
        Folder { definitions, schemas, tried: None, again_at: Millis::MAX, seen: None, look_at: Millis::MIN, said: String::new() }
    }

    /// Deploys what has changed, if that is due; true if the bus was used. What is wrong is said with its place, and nothing of the
    /// folder is deployed then.
    pub(super) fn deploy_changes(&mut self, bus: &mut impl Bus, deploying: &Deploying, makes_topics: bool, now: Now) -> bool {
        if now.steady < self.look_at {
            return false;
        }
        self.look_at = now.steady + LOOK_EVERY_MS;
        let contents = match self.contents() {
            Ok(contents) => contents,
            Err(error) => {
                self.say(&format!("the folder of definitions cannot be read: {error}"));
                return false;
            }
        };
        let stands = self.seen.as_ref() == Some(&contents);
        let is_tried = self.tried.as_ref() == Some(&contents) && now.steady < self.again_at;
        self.seen = Some(contents);
        if is_tried || !stands {
            return false;
        }
        (self.tried, self.again_at) = (self.seen.clone(), Millis::MAX);
        match self.deploy(bus, deploying, makes_topics, now) {
            Ok(plan) => self.deployed(&plan),
            Err(error) => {
                self.say(&format!("nothing of the folder of definitions was deployed, what is in force stays:\n{error}"));
                if !error.is_of_files() {
                    self.again_at = now.steady + AGAIN_EVERY_MS;
                }
            }
        }
        true
    }

    fn deploy(&self, bus: &mut impl Bus, deploying: &Deploying, makes_topics: bool, now: Now) -> Result<Plan, DeployError> {
        deploy(bus, deploying, &definition_files(&self.definitions)?, makes_topics, now.wall)
    }

    fn deployed(&mut self, plan: &Plan) {
        self.said.clear();
        let changes: Vec<_> = plan.changes.iter().filter(|change| !change.is_none()).collect();
        for change in &changes {
            tracing::info!(
                saga = change.record.name,
                version = change.after,
                file = change.record.file,
                "deployed from the folder"
            );
        }
        if !changes.is_empty() {
            plan.told().into_iter().for_each(|line| tracing::warn!("{line}"));
        }
    }

    fn say(&mut self, text: &str) {
        if self.said != text {
            tracing::error!("{text}");
            text.clone_into(&mut self.said);
        }
    }

    /// Every definition and every schema.
    fn contents(&self) -> Result<Contents, KnowledgeError> {
        let mut files = definition_files(&self.definitions)?;
        find_schemas(&self.schemas, &mut files);
        // One that vanished meanwhile is a change that the next look finds.
        Ok(files.into_iter().filter_map(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes))).collect())
    }
}

/// Appends the schema files of a folder, at any depth. What cannot be read is told by whoever reads it.
pub fn find_schemas(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_schemas(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "avsc") {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use ringmaster_bus::sim::{Faults, SimBroker};
    use ringmaster_core::definition::Catalog;
    use ringmaster_schemas::names::Topics;

    use super::*;
    use crate::runtime::CompileOptions;
    use crate::topics::{self, Kind, Needed};

    const DEFINITION: &str =
        "saga: trip\nstart: { on: TripBooked, from: trips, key: event.id }\nsteps: [ { step: no, refuse: NO } ]\n";

    /// A watched folder beside a broker, looked at once a second.
    struct World {
        broker: SimBroker,
        folder: Folder,
        deploying: Deploying,
        seconds: Millis,
        _files: tempfile::TempDir,
    }

    impl World {
        fn new(text: &str) -> World {
            let (broker, files) = (SimBroker::new(1, 0, Faults::none()), tempfile::tempdir().expect("a folder"));
            let deploying = Deploying {
                prefix: "ringmaster".to_owned(),
                partitions: 2,
                schemas: files.path().join("schemas"),
                options: CompileOptions::default(),
                typed: Default::default(),
            };
            std::fs::create_dir(&deploying.schemas).expect("made");
            let own = topics::needed_by(&Catalog::default(), &deploying.prefix, deploying.partitions);
            topics::apply(&mut broker.client(), &own, 1).expect("made");
            let folder = Folder::new(files.path(), &deploying.schemas);
            let world = World { broker, folder, deploying, seconds: 0, _files: files };
            world.write(text);
            world
        }

        fn write(&self, text: &str) {
            std::fs::write(self.folder.definitions.join("trip.yaml"), text).expect("written");
        }

        fn make_trips(&self) {
            let trips = Needed { name: "trips".to_owned(), partitions: 2, kind: Kind::Events };
            topics::apply(&mut self.broker.client(), &[trips], 1).expect("made");
        }

        /// In which of the next seconds a deploy is tried.
        fn tried_in(&mut self, seconds: Millis) -> Vec<Millis> {
            let (mut bus, from) = (self.broker.client(), self.seconds);
            self.seconds += seconds;
            let mut is_tried = |second: &Millis| {
                let now = Now { wall: second * 1_000, steady: second * 1_000 };
                self.folder.deploy_changes(&mut bus, &self.deploying, false, now)
            };
            (from..from + seconds).filter(|second| is_tried(second)).map(|second| second - from).collect()
        }

        fn deployed(&self) -> usize {
            self.broker.log(&Topics::new("ringmaster").definitions, 0).len()
        }
    }

    #[test]
    fn a_mistake_of_a_file_waits_for_the_file() {
        let mut world = World::new(&DEFINITION.replace("refuse", "refuze"));
        world.make_trips();
        assert_eq!(world.tried_in(20), [1], "its first look may be in the middle of writing");
        world.write(DEFINITION);
        assert_eq!((world.tried_in(20), world.deployed()), (vec![1], 1));
    }

    #[test]
    fn what_is_mended_elsewhere_is_tried_again_now_and_then() {
        let mut world = World::new(DEFINITION);
        assert_eq!((world.tried_in(13), world.deployed()), (vec![1, 6, 11], 0), "there is no topic trips");
        world.make_trips();
        assert_eq!((world.tried_in(20), world.deployed()), (vec![3], 1));
    }

    /// A record that is damaged may be of a newer version, or a person may mend its topic.
    #[test]
    fn a_damaged_record_is_no_mistake_of_the_files() {
        let mut world = World::new(DEFINITION);
        world.make_trips();
        world.broker.put("ringmaster.definitions", 0, Some(b"trip"), b"{ damaged");
        assert_eq!(world.tried_in(8), [1, 6]);
        world.write(&DEFINITION.replace("NO", "NEVER"));
        assert_eq!(world.tried_in(2), [1], "what changes is tried at once");
    }
}
