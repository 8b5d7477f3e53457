//! A folder of definitions that is watched: what changes in it, or in the schemas, is deployed by the coordinator itself.
//!
//! Files are read once a second and compared by their content; a change is taken when it has stood for a second, since an editor may be
//! in the middle of writing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ringmaster_bus::Bus;
use ringmaster_schemas::Millis;

use super::clock::Now;
use super::deploy::{DeployError, Deploying, Plan, summary};
use super::knowledge::{KnowledgeError, definition_files};
use crate::topics;

/// The folder is looked at this often.
const LOOK_EVERY_MS: Millis = 1_000;

/// Contents of files, by path.
type Contents = BTreeMap<PathBuf, Vec<u8>>;

/// A watched folder.
pub(super) struct Folder {
    definitions: PathBuf,
    schemas: PathBuf,
    /// What was deployed, or refused for its own mistakes: it is not looked at again.
    done: Option<Contents>,
    /// As it was at the last look.
    seen: Option<Contents>,
    look_at: Millis,
    /// What was last said to be wrong, so that it is said once.
    said: String,
}

impl Folder {
    pub(super) fn new(definitions: &Path, schemas: &Path) -> Folder {
        let (definitions, schemas) = (definitions.to_owned(), schemas.to_owned());
        Folder { definitions, schemas, done: None, seen: None, look_at: Millis::MIN, said: String::new() }
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
        let is_done = self.done.as_ref() == Some(&contents);
        self.seen = Some(contents);
        if is_done || !stands {
            return false;
        }
        match self.deploy(bus, deploying, makes_topics, now) {
            Ok(plan) => self.deployed(&plan),
            Err(error) => {
                self.say(&format!("nothing of the folder of definitions was deployed, what is in force stays:\n{error}"));
                // A mistake of the files is mended there; topics are made and brokers come back elsewhere.
                let is_of_files = !matches!(error, DeployError::Topics(_) | DeployError::Knowledge(KnowledgeError::Bus(_)));
                self.done = if is_of_files { self.seen.clone() } else { None };
            }
        }
        true
    }

    fn deploy(&self, bus: &mut impl Bus, deploying: &Deploying, makes_topics: bool, now: Now) -> Result<Plan, DeployError> {
        let files = definition_files(&self.definitions)?;
        let mut plan = Plan::make(bus, deploying, &files, now.wall)?;
        if makes_topics {
            let needed = topics::needed_by(&plan.knowledge.catalog, &deploying.prefix, deploying.partitions);
            topics::apply(bus, &needed, 1).map_err(KnowledgeError::from)?;
        }
        plan.check_topics(bus, deploying)?;
        plan.publish(bus, deploying)?;
        Ok(plan)
    }

    fn deployed(&mut self, plan: &Plan) {
        (self.done, self.said) = (self.seen.clone(), String::new());
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
            summary(&plan.warnings).into_iter().for_each(|line| tracing::warn!("{line}"));
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

/// What cannot be read is told by the deploy.
fn find_schemas(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_schemas(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "avsc") {
            files.push(path);
        }
    }
}
