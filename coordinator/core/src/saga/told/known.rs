//! What a teller knows of a story so far, so that another one goes on with it.

use ringmaster_schemas::journal::{DefinitionHash, Place};
use ringmaster_schemas::names::{hex, unhex};
use serde::{Deserialize, Serialize};

use super::{Teller, Versions};
use crate::definition::ROOT;
use ringmaster_schemas::Millis;

/// Names of entries that are remembered, the newest: an entry that is older is told by its number.
const PLACES_MAX: usize = 500;

/// What was learned of the events that were told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The version, in hexadecimal; none if no start was told.
    version: Option<String>,
    places: Vec<(Place, String)>,
    choices: Vec<(u16, Option<usize>)>,
    skipped: Vec<u16>,
}

impl<'a> Teller<'a> {
    /// What it knows.
    pub fn known(&self) -> Known {
        let places = self.places.iter().rev().take(PLACES_MAX);
        Known {
            version: self.version.as_ref().map(|version| hex(version)),
            places: places.map(|(place, name)| (*place, name.clone())).collect(),
            choices: self.choices.iter().map(|(choice, arm)| (*choice, *arm)).collect(),
            skipped: self.skipped.clone(),
        }
    }

    /// One that goes on with what another knew of the row of this id.
    pub fn knowing(id: &'a str, versions: Versions<'a>, time: &'a dyn Fn(Millis) -> String, known: Known) -> Teller<'a> {
        let version = known.version.and_then(|version| unhex::<16>(&version));
        Teller {
            places: known.places.into_iter().collect(),
            choices: known.choices.into_iter().collect(),
            skipped: known.skipped,
            ..Teller::new(id, versions, time).by_version(version)
        }
    }

    /// The same, of a saga of this version.
    pub(super) fn by_version(self, version: Option<DefinitionHash>) -> Teller<'a> {
        let definition = version.and_then(|version| (self.versions)(&version)).map(|(definition, _)| definition);
        let list = definition.map_or(ROOT, |definition| definition.list_of(self.id));
        Teller { version, definition, list, ..self }
    }
}
