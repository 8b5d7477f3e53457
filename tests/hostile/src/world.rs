//! What bytes are read against: the schemas and definitions of `sagas/`, compiled as the product compiles them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use ringmaster_core::definition::{Definition, DefinitionRecord, Settings};
use ringmaster_schemas::registry::Schemas;

/// Some schemas, and what was compiled against them.
pub(crate) struct World {
    /// Those of the folder, and what definitions add.
    pub(crate) schemas: Schemas,
    /// In the order of their files.
    pub(crate) definitions: Vec<Arc<Definition>>,
    /// The definitions as they would be deployed.
    pub(crate) records: Vec<DefinitionRecord>,
    by_name: BTreeMap<Arc<str>, usize>,
}

impl World {
    fn of(folder: &Path) -> World {
        let mut schemas = Schemas::load_folder(&folder.join("schemas")).expect("the schemas of sagas/ are valid");
        let mut files: Vec<_> = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
        files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
        files.sort();
        let (mut records, mut definitions) = (Vec::new(), Vec::new());
        for file in files {
            let text = fs::read_to_string(&file).expect("a definition");
            let mut settings = Settings::new(&mut schemas);
            let name = file.file_name().and_then(|name| name.to_str()).expect("a name");
            let of_file = DefinitionRecord::of_file(name, &text, 0, &mut settings).expect("the definitions of sagas/ compile");
            for record in of_file {
                definitions.push(Arc::new(record.compile(&mut settings).expect("a record compiles again")));
                records.push(record);
            }
        }
        let by_name = definitions.iter().zip(0..).map(|(definition, at)| (definition.name.clone(), at)).collect();
        World { schemas, definitions, records, by_name }
    }

    /// Any definition, by a number.
    pub(crate) fn any(&self, number: u8) -> &Arc<Definition> {
        &self.definitions[usize::from(number) % self.definitions.len()]
    }

    /// The definition of a name, if there is one, else any.
    pub(crate) fn named(&self, name: &str, number: u8) -> &Arc<Definition> {
        self.by_name.get(name).map_or_else(|| self.any(number), |at| &self.definitions[*at])
    }
}

/// One of the two: the order that `make demo` plays, or the library of examples.
pub(crate) fn world(library: bool) -> &'static World {
    static WORLDS: [OnceLock<World>; 2] = [OnceLock::new(), OnceLock::new()];
    let folder = crate::root().join(if library { "sagas/library" } else { "sagas" });
    WORLDS[usize::from(library)].get_or_init(|| World::of(&folder))
}

/// Makes both.
pub(crate) fn prepare() {
    for library in [false, true] {
        world(library);
    }
}
