//! All schemas that are known: by name, by fingerprint, by key.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use crate::avro::{self, Document, JSON_NAME, JSON_TEXT, Node, NodeId, Schema, SchemaError};

const COMMAND_META_TEXT: &str = include_str!("../avsc/CommandMeta.avsc");
const REPLY_META_TEXT: &str = include_str!("../avsc/ReplyMeta.avsc");
const APPROVAL_TEXT: &str = include_str!("../avsc/Approval.avsc");
const COMMAND_META: &str = "ringmaster.CommandMeta";
const REPLY_META: &str = "ringmaster.ReplyMeta";

/// Known schemas. What is shared between clones is immutable.
///
/// Avro's fingerprint leaves out logical types, precision and scale, so that versions of one schema may share it. They may if one holds
/// all values of the other: bytes are then read by the widest, and a resolver makes of them what its reader knows.
#[derive(Debug, Clone)]
pub struct Schemas {
    /// Every named type, by full name.
    definitions: BTreeMap<String, Definition>,
    named: BTreeMap<String, Arc<Schema>>,
    by_key: BTreeMap<i64, Arc<Schema>>,
    by_fingerprint: HashMap<u64, Known, BuildHasherDefault<Fingerprints>>,
    /// Keys of those that are only kept in state, never on the wire: no fingerprint leads to them.
    parts: BTreeSet<i64>,
    json: Arc<Schema>,
    command_meta: Arc<Schema>,
    reply_meta: Arc<Schema>,
    approval: Arc<Schema>,
}

#[derive(Debug, Clone)]
struct Definition {
    json: Arc<Json>,
    /// The file, or what it came from.
    place: Arc<str>,
}

/// What a fingerprint means.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The widest schema of this fingerprint.
    pub(crate) schema: Arc<Schema>,
    pub(crate) role: Role,
    /// All of them.
    versions: Vec<Arc<Schema>>,
}

/// What a schema is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `{meta: CommandMeta, body}`.
    Command { body: NodeId },
    /// `{meta: ReplyMeta, body: [null, type]}`, with the index of null.
    Reply { body: NodeId },
    /// A body, an event, or a part of one.
    Plain,
}

impl Schemas {
    /// Only what this project defines itself: `ringmaster.Json`, `ringmaster.CommandMeta`, `ringmaster.ReplyMeta`,
    /// `ringmaster.Approval`.
    pub fn builtin() -> Schemas {
        let built_in = |text| Schema::parse(text).expect("a built-in schema is valid");
        let mut schemas = Schemas {
            definitions: BTreeMap::new(),
            named: BTreeMap::new(),
            by_key: BTreeMap::new(),
            by_fingerprint: HashMap::default(),
            parts: BTreeSet::new(),
            json: built_in(JSON_TEXT),
            command_meta: built_in(COMMAND_META_TEXT),
            reply_meta: built_in(REPLY_META_TEXT),
            approval: built_in(APPROVAL_TEXT),
        };
        for text in [JSON_TEXT, COMMAND_META_TEXT, REPLY_META_TEXT, APPROVAL_TEXT] {
            schemas.add(text).expect("built-in schemas do not contradict each other");
        }
        schemas
    }

    /// The built-in ones and all `.avsc` files of a folder (sub-folders included), which may refer to each other by name in any
    /// order. Every mistake is reported, with its file.
    pub fn load_folder(path: &Path) -> Result<Schemas, Vec<SchemaError>> {
        let mut schemas = Schemas::builtin();
        schemas.add_folder(path)?;
        Ok(schemas)
    }

    /// Adds a folder's to what is known of earlier versions. What contradicts one of those is the file's mistake.
    pub fn add_folder(&mut self, path: &Path) -> Result<(), Vec<SchemaError>> {
        let files = schema_files(path).map_err(|error| vec![error])?;
        let read = |file: &PathBuf| (file.display().to_string(), fs::read_to_string(file).map_err(|error| error.to_string()));
        self.add_files(files.iter().map(read))
    }

    /// Adds schemas by the texts of their files, each with what it is called; they may use each other's types, and no name may mean two
    /// things. All errors are returned.
    pub fn add_texts<'t>(&mut self, files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<(), Vec<SchemaError>> {
        self.add_files(files.into_iter().map(|(place, text)| (place.to_owned(), Ok(text.to_owned()))))
    }

    fn add_files(&mut self, files: impl Iterator<Item = (String, Result<String, String>)>) -> Result<(), Vec<SchemaError>> {
        let schemas = self;
        let mut errors = Vec::new();
        let mut names = Vec::new();
        for (place, text) in files {
            let document = text.and_then(|text| Document::read(&text)).and_then(|document| schemas.define(document, &place));
            match document {
                Ok((_, defined)) => names.extend(defined),
                Err(why) => errors.push(SchemaError { place, why }),
            }
        }
        // A type that another file's mistake left undefined would only be reported twice.
        if errors.is_empty() {
            errors.extend(names.iter().filter_map(|name| schemas.compile(name).err()));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Adds a schema under its name, with the types that it defines inside. Adding what is known gives the known one.
    pub fn add(&mut self, text: &str) -> Result<Arc<Schema>, SchemaError> {
        let document = Document::read(text).map_err(|why| SchemaError { place: "schema".into(), why })?;
        // All or nothing.
        let mut next = self.clone();
        let place = document.root.as_str().unwrap_or("schema").to_owned();
        let (root, names) = next.define(document, &place).map_err(|why| SchemaError { place: place.clone(), why })?;
        for name in &names {
            next.compile(name)?;
        }
        let schema = next.named.get(&root).cloned();
        let schema = schema.ok_or_else(|| SchemaError { place, why: "only records, enums and fixed types have names".into() })?;
        *self = next;
        Ok(schema)
    }

    /// Adds a self-contained schema that is only known by fingerprint and key: an earlier version of a name, or what
    /// `ringmaster.schemas` holds.
    pub fn add_version(&mut self, text: &str) -> Result<Arc<Schema>, SchemaError> {
        let schema = Schema::parse(text)?;
        self.register(schema)
    }

    /// Adds a self-contained schema that is only known by key: a part of another one, in which state keeps what it keeps.
    pub fn add_part(&mut self, text: &str) -> Result<Arc<Schema>, SchemaError> {
        let schema = Schema::parse(text)?;
        if let Some(known) = self.by_key.get(&schema.key()) {
            return Ok(known.clone());
        }
        self.parts.insert(schema.key());
        self.by_key.insert(schema.key(), schema.clone());
        Ok(schema)
    }

    /// True if the schema is only known by its key.
    pub fn is_part(&self, schema: &Schema) -> bool {
        self.parts.contains(&schema.key())
    }

    /// The current schema of a name.
    pub fn named(&self, name: &str) -> Option<&Arc<Schema>> {
        self.named.get(name)
    }

    /// The schema of a single-object header.
    pub fn by_fingerprint(&self, fingerprint: u64) -> Option<&Arc<Schema>> {
        self.known(fingerprint).map(|known| &known.schema)
    }

    #[inline]
    pub(crate) fn known(&self, fingerprint: u64) -> Option<&Known> {
        self.by_fingerprint.get(&fingerprint)
    }

    /// The schema of stored bytes.
    pub fn by_key(&self, key: i64) -> Option<&Arc<Schema>> {
        self.by_key.get(&key)
    }

    /// Every schema, by key: the current ones (types inside others too), versions, and parts.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Schema>> {
        self.by_key.values()
    }

    /// The schema `ringmaster.Json`.
    pub fn json(&self) -> &Arc<Schema> {
        &self.json
    }

    /// The schema `ringmaster.Approval`: what an approval gives.
    pub fn approval(&self) -> &Arc<Schema> {
        &self.approval
    }

    /// `payment.ChargeCommand {meta: ringmaster.CommandMeta, body: payment.Charge}`, made and registered if it is not known yet.
    /// A command without a schema gets the body `ringmaster.Json`.
    pub fn command_envelope(&mut self, command: &str) -> Result<Arc<Schema>, SchemaError> {
        let body = if self.named.contains_key(command) { command } else { JSON_NAME };
        self.envelope(command, "Command", COMMAND_META, json!(body))
    }

    /// `payment.ChargeReply {meta: ringmaster.ReplyMeta, body: [null, payment.ChargeResult]}`, made and registered if it is not
    /// known yet. A command without a result schema gets the body `[null, ringmaster.Json]`.
    pub fn reply_envelope(&mut self, command: &str) -> Result<Arc<Schema>, SchemaError> {
        let result = format!("{command}Result");
        let body = if self.named.contains_key(&result) { &result } else { JSON_NAME };
        self.envelope(command, "Reply", REPLY_META, json!(["null", body]))
    }

    fn envelope(&mut self, command: &str, suffix: &str, meta: &str, body: Json) -> Result<Arc<Schema>, SchemaError> {
        let name = format!("{command}{suffix}");
        let mut body_field = json!({"name": "body", "type": body});
        if body.is_array() {
            body_field["default"] = Json::Null;
        }
        let envelope = json!({"type": "record", "name": name, "fields": [{"name": "meta", "type": meta}, body_field]});
        self.add(&envelope.to_string()).map_err(|error| {
            let why = format!("{}. The name {name} is kept for what {command} looks like on the wire", error.why);
            SchemaError { place: error.place, why }
        })
    }

    /// Takes a document's named types in, without compiling them: they may need others that come later. Gives the name of the
    /// whole and those of all its types.
    fn define(&mut self, document: Document, place: &str) -> Result<(String, Vec<String>), String> {
        let root = document.root.as_str().unwrap_or_default().to_owned();
        if !document.definitions.contains_key(&root) {
            return Err("a schema file defines a record, an enum or a fixed type".into());
        }
        let mut names = Vec::with_capacity(document.definitions.len());
        for (name, json) in document.definitions {
            if let Some(known) = self.definitions.get(&name) {
                if avro::identity(&known.json) != avro::identity(&json) {
                    return Err(format!("type {name} is defined differently in {}: give one of the two another name", known.place));
                }
            } else {
                self.definitions.insert(name.clone(), Definition { json: Arc::new(json), place: place.into() });
            }
            names.push(name);
        }
        Ok((root, names))
    }

    fn compile(&mut self, name: &str) -> Result<(), SchemaError> {
        if self.named.contains_key(name) {
            return Ok(());
        }
        let place = self.definitions.get(name).map_or_else(String::new, |definition| definition.place.to_string());
        let lookup = |name: &str| self.definitions.get(name).map(|definition| &*definition.json);
        let compiled = avro::inline(&Json::String(name.into()), &lookup).and_then(|inlined| Schema::compile(&inlined));
        let schema = compiled.map_err(|why| SchemaError { place: place.clone(), why })?;
        let schema = self.register(Arc::new(schema)).map_err(|error| SchemaError { place, ..error })?;
        self.named.insert(name.into(), schema);
        Ok(())
    }

    /// By key and fingerprint; two schemas that share a fingerprint can both be read only if one holds all values of the other.
    fn register(&mut self, schema: Arc<Schema>) -> Result<Arc<Schema>, SchemaError> {
        if let Some(known) = self.by_key.get(&schema.key()).filter(|known| !self.is_part(known)) {
            return Ok(known.clone());
        }
        let role = self.role(&schema);
        let known = self.by_fingerprint.entry(schema.fingerprint());
        let known = known.or_insert_with(|| Known { schema: schema.clone(), role, versions: Vec::new() });
        if let Some(other) = known.versions.iter().find(|other| !other.covers(&schema) && !schema.covers(other)) {
            let why = format!(
                "it means something else than the version of {} that is deployed (key {:016x}), and Avro's fingerprint ({:016x}) tells \
                 them not apart, since it leaves out logical types, precision and scale: their bytes would be confused. Give it a field more, \
                 or another name",
                other.name(),
                other.key(),
                schema.fingerprint(),
            );
            return Err(SchemaError { place: schema.name().into(), why });
        }
        if schema.covers(&known.schema) {
            known.schema = schema.clone();
        }
        known.versions.push(schema.clone());
        self.parts.remove(&schema.key());
        self.by_key.insert(schema.key(), schema.clone());
        Ok(schema)
    }

    fn role(&self, schema: &Schema) -> Role {
        let [meta, body] = schema.fields(schema.root()) else {
            return Role::Plain;
        };
        if &*meta.name != "meta" || &*body.name != "body" {
            return Role::Plain;
        }
        let is = |other: &Schema| schema.same_shape(meta.ty, other, other.root());
        let nullable = matches!(schema.node(body.ty), Node::Union(branches) if branches.len() == 2) && schema.is_optional(body.ty);
        if is(&self.command_meta) {
            Role::Command { body: body.ty }
        } else if is(&self.reply_meta) && nullable {
            Role::Reply { body: body.ty }
        } else {
            Role::Plain
        }
    }
}

/// All `.avsc` files of a folder, sub-folders included, in order.
pub fn schema_files(folder: &Path) -> Result<Vec<PathBuf>, SchemaError> {
    let mut files = Vec::new();
    find_files(folder, &mut files)?;
    files.sort();
    Ok(files)
}

fn find_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), SchemaError> {
    let wrong = |error: std::io::Error| SchemaError {
        place: folder.display().to_string(),
        why: format!("cannot read the folder: {error}"),
    };
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.is_dir() {
            find_files(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "avsc") {
            files.push(path);
        }
    }
    Ok(())
}

/// A fingerprint is a hash already.
#[derive(Debug, Default)]
pub(crate) struct Fingerprints(u64);

impl Hasher for Fingerprints {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        // The table looks at both ends of a hash.
        self.0 = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A record of the topic `ringmaster.schemas` (JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRecord {
    /// [`Schema::key`] as 16 hexadecimal digits.
    pub key: String,
    /// Its full name.
    pub name: String,
    /// Its self-contained text.
    pub text: String,
    /// It is a part of another one: never on the wire.
    #[serde(default)]
    pub part: bool,
}

impl SchemaRecord {
    /// Of a schema; `part` if it is only kept in state.
    pub fn new(schema: &Schema, part: bool) -> Self {
        SchemaRecord { key: format!("{:016x}", schema.key()), name: schema.name().into(), text: schema.text().into(), part }
    }

    /// The record's value.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts are JSON")
    }

    /// Reads a record's value and checks that the text has the key.
    pub fn decode(bytes: &[u8]) -> Result<Self, SchemaError> {
        let wrong = |why: String| SchemaError { place: "record of the schemas topic".into(), why };
        let record: SchemaRecord = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        let schema = Schema::parse(&record.text)?;
        if format!("{:016x}", schema.key()) == record.key && schema.name() == record.name {
            Ok(record)
        } else {
            Err(wrong(format!(
                "{} claims the key {}, its text is {} with {:016x}",
                record.name,
                record.key,
                schema.name(),
                schema.key()
            )))
        }
    }
}
