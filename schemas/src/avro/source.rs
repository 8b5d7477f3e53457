//! A schema's text taken apart: every named type by itself, so that files may refer to each other in any order, and put together
//! again: every named type defined where it is first used.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::canonical;

/// The types that Avro has without a definition.
pub(super) const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];
/// Levels of JSON in a schema's text: below what JSON parsers refuse (128).
const LEVELS_MAX: usize = 100;

/// A schema's text, taken apart.
#[derive(Debug)]
pub(crate) struct Document {
    /// The schema itself; named types only by full name.
    pub(crate) root: Json,
    /// Every type defined in it by full name; in each, other named types only by full name.
    pub(crate) definitions: BTreeMap<String, Json>,
}

impl Document {
    /// Reads a schema's text. The error says what is wrong, not where: the caller knows the file.
    pub(crate) fn read(text: &str) -> Result<Document, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
        let mut document = Document { root: Json::Null, definitions: BTreeMap::new() };
        document.root = document.take_apart(&json, "")?;
        Ok(document)
    }

    fn take_apart(&mut self, json: &Json, namespace: &str) -> Result<Json, String> {
        match json {
            Json::String(name) => Ok(Json::String(reference(name, namespace))),
            Json::Array(branches) => {
                Ok(Json::Array(branches.iter().map(|branch| self.take_apart(branch, namespace)).collect::<Result<_, _>>()?))
            }
            Json::Object(object) => self.take_apart_object(object, namespace),
            other => Err(format!("{other} is not a schema: a name, an object or a list is")),
        }
    }

    fn take_apart_object(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<Json, String> {
        let ty = object.get("type").ok_or_else(|| format!("a schema object without `type`: {}", shortened(object)))?;
        let Some(word) = ty.as_str() else {
            return self.take_apart(ty, namespace);
        };
        match word {
            "record" | "error" | "enum" | "fixed" => self.define(object, namespace),
            "array" | "map" => {
                let inner = if word == "array" { "items" } else { "values" };
                let item = object.get(inner).ok_or_else(|| format!("a schema of type {word} without `{inner}`"))?;
                let mut result = object.clone();
                result.insert(inner.into(), self.take_apart(item, namespace)?);
                Ok(Json::Object(result))
            }
            word if PRIMITIVES.contains(&word) && object.len() > 1 => Ok(Json::Object(object.clone())),
            word => Ok(Json::String(reference(word, namespace))),
        }
    }

    fn define(&mut self, object: &Map<String, Json>, namespace: &str) -> Result<Json, String> {
        let name = full_name(object, namespace)?;
        let inside = name.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        let mut definition = object.clone();
        definition.remove("namespace");
        definition.insert("name".into(), Json::String(name.clone()));
        if let Some(fields) = object.get("fields") {
            let fields = fields.as_array().ok_or_else(|| format!("{name}: `fields` is not a list"))?;
            let mut apart = Vec::with_capacity(fields.len());
            for field in fields {
                let mut field = field.as_object().ok_or_else(|| format!("{name}: a field is not an object"))?.clone();
                let field_name = field.get("name").and_then(Json::as_str).unwrap_or_default().to_owned();
                let ty = field.get("type").ok_or_else(|| format!("{name}: field `{field_name}` has no type"))?;
                let ty = self.take_apart(ty, &inside).map_err(|why| format!("{name}: field `{field_name}`: {why}"))?;
                field.insert("type".into(), ty);
                apart.push(Json::Object(field));
            }
            definition.insert("fields".into(), Json::Array(apart));
        }
        let definition = Json::Object(definition);
        if let Some(earlier) = self.definitions.get(&name)
            && canonical::identity(earlier) != canonical::identity(&definition)
        {
            return Err(format!("type {name} is defined twice, differently"));
        }
        self.definitions.insert(name.clone(), definition);
        Ok(Json::String(name))
    }
}

/// Puts a schema together: each named type is defined at its first use, and only named after it.
pub(crate) fn inline<'d>(root: &Json, lookup: &dyn Fn(&str) -> Option<&'d Json>) -> Result<Json, String> {
    Inliner { lookup, seen: BTreeSet::new() }.inline(root, "", 0)
}

struct Inliner<'l, 'd> {
    lookup: &'l dyn Fn(&str) -> Option<&'d Json>,
    seen: BTreeSet<String>,
}

impl Inliner<'_, '_> {
    fn inline(&mut self, json: &Json, namespace: &str, level: usize) -> Result<Json, String> {
        if level > LEVELS_MAX {
            return Err(format!("its types are nested too deeply (more than {LEVELS_MAX} levels of JSON)"));
        }
        match json {
            Json::String(name) if PRIMITIVES.contains(&name.as_str()) => Ok(json.clone()),
            Json::String(name) => self.named(name, namespace, level),
            Json::Array(branches) => {
                Ok(Json::Array(branches.iter().map(|branch| self.inline(branch, namespace, level + 1)).collect::<Result<_, _>>()?))
            }
            Json::Object(object) => {
                let mut result = object.clone();
                for inner in ["items", "values"] {
                    if let Some(item) = object.get(inner) {
                        result.insert(inner.into(), self.inline(item, namespace, level + 1)?);
                    }
                }
                Ok(Json::Object(result))
            }
            other => Err(format!("{other} is not a schema")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str, level: usize) -> Result<Json, String> {
        let (inside, simple) = name.rsplit_once('.').unwrap_or(("", name));
        if self.seen.contains(name) {
            return if inside.is_empty() && !namespace.is_empty() {
                Err(format!("type {name} has no namespace and cannot be named inside namespace {namespace}: give it a namespace"))
            } else {
                Ok(Json::String(name.into()))
            };
        }
        let definition = (self.lookup)(name).and_then(Json::as_object).ok_or_else(|| {
            format!("unknown type `{name}`: it is not one of Avro's and no file defines it (inside a namespace a bare name means that namespace's)")
        })?;
        self.seen.insert(name.into());
        let mut result = definition.clone();
        result.insert("name".into(), Json::String(simple.into()));
        if inside != namespace {
            result.insert("namespace".into(), Json::String(inside.into()));
        }
        if let Some(Json::Array(fields)) = result.get_mut("fields") {
            for field in fields {
                if let Some(ty) = field.get("type") {
                    let ty = self.inline(ty, inside, level + 3)?;
                    field["type"] = ty;
                }
            }
        }
        Ok(Json::Object(result))
    }
}

/// The full name of a definition.
pub(super) fn full_name(object: &Map<String, Json>, namespace: &str) -> Result<String, String> {
    let name =
        object.get("name").and_then(Json::as_str).ok_or_else(|| format!("a definition without `name`: {}", shortened(object)))?;
    let full = match object.get("namespace").and_then(Json::as_str).unwrap_or(namespace) {
        _ if name.contains('.') => name.to_owned(),
        "" => name.to_owned(),
        namespace => format!("{namespace}.{name}"),
    };
    if full.split('.').all(is_name) {
        Ok(full)
    } else {
        Err(format!("`{full}` is not a name: letters, digits and _ are, with dots between, not beginning with a digit"))
    }
}

/// True for what Avro allows as a name without dots.
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn reference(name: &str, namespace: &str) -> String {
    if PRIMITIVES.contains(&name) || name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

fn shortened(object: &Map<String, Json>) -> String {
    let text = Json::Object(object.clone()).to_string();
    text.chars().take(80).collect()
}
