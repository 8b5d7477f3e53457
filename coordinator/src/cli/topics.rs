//! `topics apply` and `topics verify`.

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
use crate::topics::{self, Looked};

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
    let (mut wrong, mut right) = (Vec::new(), 0);
    for Looked { name, found, is_routed, faults, is_old } in topics::look(bus, &catalog, &config.setup())? {
        if let Some(found) = found.filter(|_| is_routed) {
            say(out, format_args!("{name}: has {} partitions, and goes through the router", found.partitions))?;
        }
        right += usize::from(faults.is_empty());
        if is_old {
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
