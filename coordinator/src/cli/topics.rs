//! `topics apply` and `topics verify`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use ringmaster_bus::Bus;
use ringmaster_core::definition::Catalog;
use ringmaster_schemas::names::Topics;
use ringmaster_schemas::registry::Schemas;

use super::buses::{self, Access, on_bus};
use super::definitions::{add_files, configured_files, files_in, say};
use super::exit::Failure;
use crate::config::Config;
use crate::runtime::{self, SetupError};
use crate::topics;

/// `ringmaster topics apply`: makes what is missing, then verifies.
pub(super) fn apply(config: &Config, paths: &[PathBuf], replication: i32, out: &mut dyn Write) -> Result<(), Failure> {
    let more = files_in(paths)?;
    let mut any = buses::open(config, Access::Write)?;
    on_bus!(&mut any, bus => {
        for name in apply_on(bus, config, &more, replication)? {
            say(out, format_args!("made {name}"))?;
        }
        verify_on(bus, config, &more, out)
    })
}

/// `ringmaster topics verify`: says what is wrong; changes nothing.
pub(super) fn verify(config: &Config, out: &mut dyn Write) -> Result<(), Failure> {
    let mut any = buses::open(config, Access::Read)?;
    on_bus!(&mut any, bus => verify_on(bus, config, &[], out))
}

/// Makes every topic that deployed definitions, those of the folder, and those of `more` files need; the names of those that were made.
pub(super) fn apply_on(bus: &mut impl Bus, config: &Config, more: &[PathBuf], replication: i32) -> Result<Vec<String>, Failure> {
    let own = topics::needed_by(&Catalog::default(), &config.prefix, config.partitions);
    let mut made = topics::apply(bus, &own, replication)?;
    let needed = topics::needed_by(&known(bus, config, more)?, &config.prefix, config.partitions);
    made.extend(topics::apply(bus, &needed, replication)?);
    Ok(made)
}

/// Deployed definitions with those of the folder and of `more` files, as if those were deployed too.
fn known(bus: &mut impl Bus, config: &Config, more: &[PathBuf]) -> Result<Catalog, Failure> {
    let options = config.compile_options();
    let internal = Topics::new(&config.prefix);
    let are_there = bus.describe(&[&internal.definitions, &internal.schemas])?.iter().all(Option::is_some);
    let (mut catalog, mut schemas, deployed) = if are_there {
        let known = runtime::read_knowledge(bus, &config.prefix, &config.schemas, &options)?;
        (known.catalog, known.schemas, known.deployed)
    } else {
        let schemas = Schemas::load_folder(&config.schemas).map_err(runtime::KnowledgeError::Schemas)?;
        (Catalog::default(), schemas, runtime::SchemasOfSagas::new())
    };
    add_files(&mut catalog, &mut schemas, &configured_files(config)?, &options, &deployed)?;
    add_files(&mut catalog, &mut schemas, more, &options, &deployed)?;
    Ok(catalog)
}

fn verify_on(bus: &mut impl Bus, config: &Config, more: &[PathBuf], out: &mut dyn Write) -> Result<(), Failure> {
    let catalog = known(bus, config, more)?;
    let needed = topics::needed_by(&catalog, &config.prefix, config.partitions);
    let starts: Vec<String> = catalog.input_topics().iter().map(|topic| topic.to_string()).collect();
    let sent: BTreeSet<String> = catalog.newest_versions().flat_map(|version| version.outputs()).collect();
    let older: BTreeSet<String> = catalog.versions().iter().flat_map(|(version, _)| version.outputs()).collect();
    let is_old = |name: &str| older.contains(name) && !sent.contains(name) && starts.iter().all(|start| start != name);
    let internal = Topics::new(&config.prefix);
    let names: Vec<&str> = needed.iter().map(|topic| topic.name.as_str()).collect();
    let (mut wrong, mut right, setup, matched) = (Vec::new(), 0, config.setup(), catalog.matched_topics());
    for (name, found) in names.iter().zip(bus.describe(&names)?) {
        if let Some(found) = found.as_ref().filter(|found| starts.contains(&found.name) && setup.is_routed(found, &matched)) {
            say(out, format_args!("{name}: has {} partitions, and goes through the router", found.partitions))?;
        }
        let faults = match found {
            None => vec![format!("  {name}: does not exist")],
            Some(found) => topics::faults(&found, &internal, &[], config.partitions),
        };
        right += usize::from(faults.is_empty());
        if is_old(name) {
            for fault in faults {
                let fault = fault.trim_start();
                say(out, format_args!("{fault}; needed only by sagas that run by a version that is not in force any more"))?;
            }
        } else {
            wrong.extend(faults);
        }
    }
    if !wrong.is_empty() {
        return Err(SetupError::Topics(wrong).into());
    }
    say(out, format_args!("{right} topics are as they must be"))
}
