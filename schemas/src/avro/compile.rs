//! From a schema's JSON (named types defined at first use) to its table of nodes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value as Json};

use super::source::{Document, full_name, inline, is_name};
use super::{
    DECIMAL_BYTES_MAX, DECIMAL_DIGITS_MAX, Field, JSON_NAME, NESTING_MAX, NODES_MAX, Node, NodeId, Schema, SchemaError, canonical,
    defaults, shape,
};

/// The text of `ringmaster.Json`.
pub(crate) const JSON_TEXT: &str = include_str!("../../avsc/Json.avsc");

static JSON_IDENTITY: LazyLock<String> = LazyLock::new(|| {
    let document = Document::read(JSON_TEXT).expect("the built-in schema is valid");
    let inlined = inline(&document.root, &|name| document.definitions.get(name)).expect("the built-in schema is complete");
    canonical::identity(&inlined)
});

impl Schema {
    /// Compiles a self-contained schema (every type it names is defined in it).
    pub fn parse(text: &str) -> Result<Arc<Schema>, SchemaError> {
        let document = Document::read(text).map_err(|why| SchemaError::new("schema", why))?;
        let inlined = inline(&document.root, &|name| document.definitions.get(name))
            .map_err(|why| SchemaError::new(place(&document.root), why))?;
        Schema::compile(&inlined).map(Arc::new).map_err(|why| SchemaError::new(place(&document.root), why))
    }

    /// Compiles JSON that [`inline`] gave.
    pub(crate) fn compile(inlined: &Json) -> Result<Schema, String> {
        let mut compiler = Compiler::default();
        let root = compiler.add(inlined, "", 0)?;
        let Compiler { nodes, names, aliases, enum_defaults, field_defaults, .. } = compiler;
        let canonical = canonical::canonical(inlined);
        let least = shape::least(&nodes);
        shape::check_empty_records(&nodes, &least)?;
        let mut schema = Schema {
            name: if names[root.0 as usize].is_empty() { place(inlined).into() } else { names[root.0 as usize].clone() },
            key: canonical::sha64(canonical::identity(inlined).as_bytes()) as i64,
            fingerprint: canonical::crc64(canonical.as_bytes()),
            text: canonical::text(inlined).into(),
            root,
            least: least.into(),
            shapes: Box::default(),
            nodes: nodes.into(),
            names: names.into(),
            aliases: aliases.into(),
            enum_defaults: enum_defaults.into(),
        };
        schema.shapes = shape::shapes(&schema)?.into();
        defaults::fill(&mut schema, &field_defaults)?;
        Ok(schema)
    }

    /// The text of a record, enum or fixed type of it, as a schema of its own; none for other types.
    pub fn text_of(&self, id: NodeId) -> Option<String> {
        let document = Document::read(&self.text).expect("a compiled schema's text is a schema");
        let inlined = inline(&Json::String(self.name_of(id)?.to_owned()), &|name| document.definitions.get(name));
        Some(canonical::text(&inlined.expect("a part of a valid schema is valid")))
    }

    /// The record with only these of its top-level fields, under the same name (its key differs): what a saga's state keeps.
    /// Fields that it does not have are ignored. If one of them holds records of the same type, all fields are kept: those inside
    /// would lose theirs too.
    ///
    /// # Panics
    /// If the schema is not a record.
    pub fn project(&self, fields: &BTreeSet<String>) -> Arc<Schema> {
        assert!(matches!(self.node(self.root), Node::Record(_)), "{self:?} is not a record and cannot be projected");
        let holds_itself = self.holds_itself(fields);
        let document = Document::read(&self.text).expect("a compiled schema's text is a schema");
        let mut root = document.definitions[&*self.name].clone();
        root["fields"]
            .as_array_mut()
            .expect("a record has fields")
            .retain(|field| holds_itself || field["name"].as_str().is_some_and(|name| fields.contains(name)));
        let inlined = inline(&Json::String(self.name.to_string()), &|name| {
            if name == &*self.name { Some(&root) } else { document.definitions.get(name) }
        });
        let projected = inlined.and_then(|inlined| Schema::compile(&inlined));
        Arc::new(projected.expect("a part of a valid schema is valid"))
    }

    /// True if one of these fields of the record leads back to it.
    fn holds_itself(&self, fields: &BTreeSet<String>) -> bool {
        let kept = self.fields(self.root).iter().filter(|field| fields.contains(&*field.name));
        let (mut open, mut seen): (Vec<NodeId>, HashSet<u32>) = (kept.map(|field| field.ty).collect(), HashSet::new());
        while let Some(id) = open.pop() {
            if id == self.root {
                return true;
            }
            if !seen.insert(id.0) {
                continue;
            }
            match self.node(id) {
                Node::Array(inner) | Node::Map(inner) => open.push(*inner),
                Node::Union(branches) => open.extend(branches.iter()),
                Node::Record(fields) => open.extend(fields.iter().map(|field| field.ty)),
                _ => {}
            }
        }
        false
    }
}

fn place(json: &Json) -> &str {
    json.as_str().or_else(|| json["type"].as_str()).unwrap_or("schema")
}

/// A field's declared default, kept until all nodes are known.
pub(super) type FieldDefaults = HashMap<(NodeId, usize), Json>;

#[derive(Default)]
struct Compiler {
    nodes: Vec<Node>,
    names: Vec<Box<str>>,
    aliases: Vec<Box<[Box<str>]>>,
    enum_defaults: Vec<Option<u32>>,
    field_defaults: FieldDefaults,
    known: HashMap<String, NodeId>,
}

impl Compiler {
    /// `nesting` counts lists, maps and unions since the last record.
    fn add(&mut self, json: &Json, namespace: &str, nesting: u32) -> Result<NodeId, String> {
        if nesting > NESTING_MAX {
            return Err(format!(
                "more than {NESTING_MAX} lists, maps and unions directly inside one another: put a record between"
            ));
        }
        match json {
            Json::String(name) => match primitive(name) {
                Some(node) => self.push(node),
                None => self.known.get(name).copied().ok_or_else(|| format!("unknown type `{name}`")),
            },
            Json::Array(branches) => self.union(branches, namespace, nesting),
            Json::Object(object) => self.object(object, namespace, nesting),
            other => Err(format!("{other} is not a schema")),
        }
    }

    fn push(&mut self, node: Node) -> Result<NodeId, String> {
        if self.nodes.len() >= NODES_MAX {
            return Err(format!("it has more than {NODES_MAX} types"));
        }
        self.nodes.push(node);
        self.names.push("".into());
        self.aliases.push(Box::default());
        self.enum_defaults.push(None);
        Ok(NodeId(self.nodes.len() as u32 - 1))
    }

    fn set(&mut self, id: NodeId, node: Node) {
        self.nodes[id.0 as usize] = node;
    }

    fn union(&mut self, branches: &[Json], namespace: &str, nesting: u32) -> Result<NodeId, String> {
        let id = self.push(Node::Null)?;
        let mut ids = Vec::with_capacity(branches.len());
        let mut kinds = HashSet::new();
        for branch in branches {
            let branch = self.add(branch, namespace, nesting + 1)?;
            let node = &self.nodes[branch.0 as usize];
            if matches!(node, Node::Union(_)) {
                return Err("a union directly inside a union".into());
            }
            let name = &self.names[branch.0 as usize];
            let kind = if name.is_empty() { underlying(node).to_owned() } else { name.to_string() };
            if !kinds.insert(kind.clone()) {
                return Err(format!("a union with two branches of type {kind}"));
            }
            ids.push(branch);
        }
        if ids.is_empty() {
            return Err("a union without branches".into());
        }
        self.set(id, Node::Union(ids.into()));
        Ok(id)
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str, nesting: u32) -> Result<NodeId, String> {
        let word = object.get("type").and_then(Json::as_str).unwrap_or_default();
        match word {
            "array" | "map" => {
                let id = self.push(Node::Null)?;
                let item = self.add(&object[if word == "array" { "items" } else { "values" }], namespace, nesting + 1)?;
                self.set(id, if word == "array" { Node::Array(item) } else { Node::Map(item) });
                Ok(id)
            }
            "record" | "error" => self.record(object, namespace),
            "enum" => self.symbols(object, namespace),
            "fixed" => self.fixed(object, namespace),
            word => {
                let node = primitive(word).ok_or_else(|| format!("`{word}` with attributes is not a type"))?;
                let node = logical(node, object)?;
                self.push(node)
            }
        }
    }

    fn name(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<(NodeId, String), String> {
        let name = full_name(object, namespace)?;
        let id = self.push(Node::Null)?;
        self.names[id.0 as usize] = name.as_str().into();
        if self.known.insert(name.clone(), id).is_some() {
            return Err(format!("type {name} is defined twice"));
        }
        // Without dots an alias is one of the type's own namespace.
        let inside = name.rsplit_once('.').map_or("", |(space, _)| space);
        let aliases = aliases(object, &name, |alias| alias.split('.').all(is_name))?;
        self.aliases[id.0 as usize] = aliases.iter().map(|alias| canonical::full(alias, inside).into()).collect();
        Ok((id, name))
    }

    fn record(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<NodeId, String> {
        let (id, name) = self.name(object, namespace)?;
        if name == JSON_NAME {
            if canonical::identity(&Json::Object(object.clone())) != *JSON_IDENTITY
                && canonical::identity(&in_namespace(object)) != *JSON_IDENTITY
            {
                return Err(format!("{JSON_NAME} is built in and cannot be defined otherwise"));
            }
            self.set(id, Node::Dynamic);
            return Ok(id);
        }
        let inside = name.rsplit_once('.').map_or("", |(space, _)| space);
        let json = object.get("fields").and_then(Json::as_array).ok_or_else(|| format!("record {name} without `fields`"))?;
        let mut fields: Vec<Field> = Vec::with_capacity(json.len());
        for field in json {
            let field_name = field["name"].as_str().unwrap_or_default();
            if !is_name(field_name) {
                return Err(format!("{name}: `{field_name}` is not a name of a field"));
            }
            if fields.iter().any(|other| &*other.name == field_name) {
                return Err(format!("{name}: two fields are called {field_name}"));
            }
            let ty = self.add(&field["type"], inside, 0).map_err(|why| format!("{name}.{field_name}: {why}"))?;
            let aliases = match field.as_object() {
                Some(object) => aliases(object, &format!("{name}.{field_name}"), is_name)?,
                None => Box::default(),
            };
            if let Some(default) = field.get("default") {
                self.field_defaults.insert((id, fields.len()), default.clone());
            }
            let secret = field["secret"] == Json::Bool(true);
            fields.push(Field { name: field_name.into(), aliases, ty, default: None, secret });
        }
        check_aliases(&name, &fields)?;
        self.set(id, Node::Record(fields.into()));
        Ok(id)
    }

    fn symbols(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<NodeId, String> {
        let (id, name) = self.name(object, namespace)?;
        let json = object.get("symbols").and_then(Json::as_array).ok_or_else(|| format!("enum {name} without `symbols`"))?;
        let mut symbols: Vec<Box<str>> = Vec::with_capacity(json.len());
        for symbol in json {
            let symbol =
                symbol.as_str().filter(|symbol| is_name(symbol)).ok_or_else(|| format!("{name}: {symbol} is not a symbol"))?;
            if symbols.iter().any(|other| &**other == symbol) {
                return Err(format!("{name}: symbol {symbol} is given twice"));
            }
            symbols.push(symbol.into());
        }
        if let Some(default) = object.get("default") {
            let index = symbols.iter().position(|symbol| default == &**symbol);
            let index = index.ok_or_else(|| format!("{name}: its default {default} is none of its symbols"))?;
            self.enum_defaults[id.0 as usize] = Some(index as u32);
        }
        self.set(id, Node::Enum(symbols.into()));
        Ok(id)
    }

    fn fixed(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<NodeId, String> {
        let (id, name) = self.name(object, namespace)?;
        let size =
            object.get("size").and_then(Json::as_u64).and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= 1 << 20);
        let size = size.ok_or_else(|| format!("fixed {name}: `size` is a number of bytes up to 1 MiB"))?;
        let node = logical(Node::Fixed(size), object).map_err(|why| format!("{name}: {why}"))?;
        self.set(id, node);
        Ok(id)
    }
}

/// The aliases of a type or field.
fn aliases(object: &Map<String, Json>, whose: &str, is_alias: impl Fn(&str) -> bool) -> Result<Box<[Box<str>]>, String> {
    let Some(json) = object.get("aliases") else { return Ok(Box::default()) };
    let wrong = || format!("{whose}: its `aliases` are a list of names, not {json}");
    let list = json.as_array().ok_or_else(wrong)?;
    let alias = |json: &Json| json.as_str().filter(|alias| is_alias(alias)).map(Box::from).ok_or_else(wrong);
    list.iter().map(alias).collect()
}

/// A name that could mean two fields would silently mean one of them.
fn check_aliases(record: &str, fields: &[Field]) -> Result<(), String> {
    let mut owners: HashMap<&str, &str> = fields.iter().map(|field| (&*field.name, &*field.name)).collect();
    for field in fields {
        for alias in field.aliases.iter().filter(|alias| **alias != field.name) {
            if let Some(other) = owners.insert(alias, &field.name).filter(|other| **other != *field.name) {
                return Err(format!("{record}.{}: its alias {alias} means the field {other} too: remove it from one", field.name));
            }
        }
    }
    Ok(())
}

/// A definition under its full name, without namespace: how it looks before it is put together.
fn in_namespace(object: &Map<String, Json>) -> Json {
    let mut object = object.clone();
    object.insert("namespace".into(), Json::String("ringmaster".into()));
    Json::Object(object)
}

fn primitive(name: &str) -> Option<Node> {
    Some(match name {
        "null" => Node::Null,
        "boolean" => Node::Bool,
        "int" => Node::Int,
        "long" => Node::Long,
        "float" => Node::Float,
        "double" => Node::Double,
        "bytes" => Node::Bytes,
        "string" => Node::Str,
        _ => return None,
    })
}

/// An unknown logical type, or one on a type that it does not belong to, is ignored as the Avro specification says, except that a
/// wrong decimal is an error: read as bytes it would lose its meaning silently.
fn logical(node: Node, object: &Map<String, Json>) -> Result<Node, String> {
    let Some(word) = object.get("logicalType").and_then(Json::as_str) else {
        return Ok(node);
    };
    Ok(match (word, &node) {
        ("decimal", Node::Bytes | Node::Fixed(_)) => {
            let number = |name: &str| object.get(name).map(|value| value.as_u64().and_then(|value| u32::try_from(value).ok()));
            let precision = number("precision").flatten().ok_or("a decimal needs `precision`, its number of digits")?;
            let scale = number("scale").unwrap_or(Some(0)).ok_or("a decimal's `scale` is a number of digits")?;
            if precision == 0 || precision > DECIMAL_DIGITS_MAX {
                return Err(format!("decimal({precision},{scale}): from 1 to {DECIMAL_DIGITS_MAX} digits are possible"));
            }
            if scale > precision {
                return Err(format!("decimal({precision},{scale}): the scale is larger than the precision"));
            }
            match node {
                Node::Fixed(size) if size > DECIMAL_BYTES_MAX => {
                    return Err(format!("a decimal in fixed of {size} bytes: at most {DECIMAL_BYTES_MAX} are possible"));
                }
                Node::Fixed(size) => Node::FixedDecimal { size, precision, scale },
                _ => Node::Decimal { precision, scale },
            }
        }
        ("timestamp-millis", Node::Long) => Node::Millis,
        ("timestamp-micros", Node::Long) => Node::Micros,
        ("timestamp-nanos", Node::Long) => Node::Nanos,
        ("date", Node::Int) => Node::Date,
        _ => node,
    })
}

/// The Avro type that a node without a name is on the wire: a union has each once.
pub(super) fn underlying(node: &Node) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Bool => "boolean",
        Node::Int | Node::Date => "int",
        Node::Long | Node::Millis | Node::Micros | Node::Nanos => "long",
        Node::Float => "float",
        Node::Double => "double",
        Node::Bytes | Node::Decimal { .. } => "bytes",
        Node::Str => "string",
        Node::Array(_) => "array",
        Node::Map(_) => "map",
        Node::Union(_) => "union",
        Node::Enum(_) => "enum",
        Node::Fixed(_) | Node::FixedDecimal { .. } => "fixed",
        Node::Record(_) | Node::Dynamic => "record",
    }
}
