//! Parsing canonical form (the Avro specification's) and its fingerprint, and what that form forgets: logical types, defaults and aliases.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use super::source::PRIMITIVES;

/// CRC-64-AVRO.
pub fn crc64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(EMPTY, |sum, byte| (sum >> 8) ^ TABLE[((sum ^ u64::from(*byte)) & 0xff) as usize])
}

const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
const TABLE: [u64; 256] = {
    let mut table = [0u64; 256];
    let mut i = 0;
    while i < 256 {
        let (mut sum, mut bit) = (i as u64, 0);
        while bit < 8 {
            sum = (sum >> 1) ^ (EMPTY & (sum & 1).wrapping_neg());
            bit += 1;
        }
        table[i] = sum;
        i += 1;
    }
    table
};

/// The first 8 bytes of SHA-256.
pub(super) fn sha64(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(Sha256::digest(bytes)[..8].try_into().expect("eight bytes"))
}

/// Parsing canonical form.
pub(super) fn canonical(schema: &Json) -> String {
    let mut form = Form { all: false, out: String::new() };
    form.put(schema, "");
    form.out
}

/// Canonical form plus logical types, defaults and aliases: two schemas mean the same if and only if this is the same.
pub(crate) fn identity(schema: &Json) -> String {
    let mut form = Form { all: true, out: String::new() };
    form.put(schema, "");
    form.out
}

struct Form {
    /// Logical types, defaults and aliases too.
    all: bool,
    out: String,
}

impl Form {
    fn put(&mut self, schema: &Json, namespace: &str) {
        match schema {
            Json::String(name) if PRIMITIVES.contains(&name.as_str()) => self.quoted(name),
            Json::String(name) => self.quoted(&full(name, namespace)),
            Json::Array(branches) => self.list(branches, |form, branch| form.put(branch, namespace)),
            Json::Object(object) => {
                self.object(object, namespace);
                if self.all {
                    self.logical(object);
                }
            }
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn object(&mut self, object: &Map<String, Json>, namespace: &str) {
        let Some(word) = object.get("type").and_then(Json::as_str) else {
            return self.put(object.get("type").unwrap_or(&Json::Null), namespace);
        };
        match word {
            "array" | "map" => {
                let inner = if word == "array" { "items" } else { "values" };
                let _ = write!(self.out, "{{\"type\":\"{word}\",\"{inner}\":");
                self.put(&object[inner], namespace);
                self.out.push('}');
            }
            "record" | "error" | "enum" | "fixed" => self.named(object, word, namespace),
            _ => self.put(&object["type"], namespace),
        }
    }

    fn named(&mut self, object: &Map<String, Json>, word: &str, namespace: &str) {
        let own = object.get("namespace").and_then(Json::as_str).unwrap_or(namespace);
        let name = full(object.get("name").and_then(Json::as_str).unwrap_or_default(), own);
        let inside = name.rsplit_once('.').map_or("", |(space, _)| space);
        self.out.push_str("{\"name\":");
        self.quoted(&name);
        let _ = write!(self.out, ",\"type\":\"{word}\"");
        self.aliases(object, inside);
        match word {
            "enum" => {
                self.out.push_str(",\"symbols\":");
                self.list(items(object, "symbols"), |form, symbol| form.quoted(symbol.as_str().unwrap_or_default()));
                self.default(object);
            }
            "fixed" => {
                let _ = write!(self.out, ",\"size\":{}", object.get("size").unwrap_or(&Json::Null));
            }
            _ => {
                self.out.push_str(",\"fields\":");
                self.list(items(object, "fields"), |form, field| {
                    form.out.push_str("{\"name\":");
                    form.quoted(field["name"].as_str().unwrap_or_default());
                    form.out.push_str(",\"type\":");
                    form.put(&field["type"], inside);
                    if let Some(field) = field.as_object() {
                        form.aliases(field, "");
                        form.default(field);
                    }
                    form.out.push('}');
                });
            }
        }
        self.out.push('}');
    }

    fn aliases(&mut self, object: &Map<String, Json>, namespace: &str) {
        let aliases = items(object, "aliases");
        if self.all && !aliases.is_empty() {
            self.out.push_str(",\"aliases\":");
            self.list(aliases, |form, alias| form.quoted(&full(alias.as_str().unwrap_or_default(), namespace)));
        }
    }

    fn default(&mut self, object: &Map<String, Json>) {
        if let Some(default) = object.get("default").filter(|_| self.all) {
            let _ = write!(self.out, ",\"default\":{default}");
        }
    }

    fn logical(&mut self, object: &Map<String, Json>) {
        if let Some(logical) = object.get("logicalType") {
            let number = |name| object.get(name).and_then(Json::as_u64).unwrap_or(0);
            let _ = write!(self.out, "<{logical},{},{}>", number("precision"), number("scale"));
        }
    }

    fn list(&mut self, list: &[Json], mut put: impl FnMut(&mut Self, &Json)) {
        self.out.push('[');
        for (i, item) in list.iter().enumerate() {
            if i > 0 {
                self.out.push(',');
            }
            put(self, item);
        }
        self.out.push(']');
    }

    /// Names need no escapes.
    fn quoted(&mut self, text: &str) {
        let _ = write!(self.out, "\"{text}\"");
    }
}

pub(super) fn full(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn items<'j>(object: &'j Map<String, Json>, key: &str) -> &'j [Json] {
    object.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// The schema's text: the parts that people look for first come first.
pub(super) fn text(schema: &Json) -> String {
    let mut out = String::new();
    put_text(schema, &mut out);
    out
}

fn put_text(json: &Json, out: &mut String) {
    const FIRST: [&str; 11] =
        ["type", "name", "namespace", "doc", "fields", "symbols", "items", "values", "logicalType", "precision", "scale"];
    match json {
        Json::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                out.push(if i == 0 { '[' } else { ',' });
                put_text(item, out);
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        // A field, too, begins with its name; a default is written as it is, its keys are no schema's.
        Json::Object(object) => {
            let rank = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| (rank(key), key.as_str()));
            for (i, (key, value)) in entries.into_iter().enumerate() {
                let _ = write!(out, "{}{}:", if i == 0 { '{' } else { ',' }, Json::String(key.clone()));
                put_text(value, out);
            }
            out.push_str(if object.is_empty() { "{}" } else { "}" });
        }
        scalar => {
            let _ = write!(out, "{scalar}");
        }
    }
}
