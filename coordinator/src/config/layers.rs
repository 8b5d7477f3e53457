//! Where settings come from: file, environment, flags; the last that says something wins, and each value knows its place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::shown::{Setting, masked};

/// What the environment's names begin with.
const ENVIRONMENT_PREFIX: &str = "RINGMASTER_";
/// Names that are no settings: those of other programs of the project (the services, the build and its caches, tests), and how a command
/// asks a coordinator.
const ENVIRONMENT_OF_OTHERS: [&str; 10] = [
    "RINGMASTER_URL",
    "RINGMASTER_TOKEN_FILE",
    "RINGMASTER_CA_FILE",
    "RINGMASTER_BOOTSTRAP",
    "RINGMASTER_CONFIG",
    "RINGMASTER_MEMBER",
    "RINGMASTER_CACHE",
    "RINGMASTER_KAFKA_LIBS",
    "RINGMASTER_TEST_",
    "RINGMASTER_STORE_TEST_",
];
/// A misspelt name may differ in so many letters from the one that is suggested.
const TYPING_ERRORS_MAX: usize = 3;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// In the settings file; line and column from 1.
    File { path: PathBuf, line: usize, column: usize },
    /// In this environment variable.
    Environment(String),
    /// In this flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::Flag(text) => write!(f, "--set {}", masked(text)),
        }
    }
}

/// A setting as text, whatever its form was.
#[derive(Debug, Clone)]
struct Entry {
    text: String,
    /// The text is a list, as TOML writes it.
    is_list: bool,
    origin: Origin,
}

impl Entry {
    /// What stands in an environment variable.
    fn of_environment(name: String, text: String) -> Entry {
        Entry { text, is_list: false, origin: Origin::Environment(name) }
    }

    /// Its text, where a list is none.
    fn single(&self) -> Result<&str, String> {
        if self.is_list { Err("a list is not a value here".to_owned()) } else { Ok(&self.text) }
    }
}

/// What a list looks like, for people.
const LIST_EXAMPLE: &str = r#"a list such as ["fraud", "--log", "json"]"#;

type Key = Vec<String>;

/// All settings that were given, and which of them were asked for.
#[derive(Debug, Default)]
pub(super) struct Layers {
    file: BTreeMap<Key, Entry>,
    environment: BTreeMap<String, String>,
    flags: BTreeMap<Key, Entry>,
    /// Keys that exist, as they were asked for: what is left over is unknown.
    known: Vec<Key>,
    /// What each says.
    said: Vec<Setting>,
    problems: Vec<String>,
}

impl Layers {
    /// Adds a settings file.
    pub(super) fn file(mut self, path: &Path, text: &str) -> Self {
        match DeTable::parse(text) {
            Ok(table) => {
                let place = |offset: usize| {
                    let (line, column) = line_and_column(text, offset);
                    Origin::File { path: path.to_owned(), line, column }
                };
                flatten(table.get_ref(), &mut Vec::new(), &place, &mut self.file);
            }
            Err(error) => {
                let (line, column) = error.span().map_or((1, 1), |span| line_and_column(text, span.start));
                self.problems.push(format!("{}:{line}:{column}: {}", path.display(), error.message()));
            }
        }
        self
    }

    /// Adds environment variables; only those that begin like ours count.
    pub(super) fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let is_ours =
            |name: &str| name.starts_with(ENVIRONMENT_PREFIX) && !ENVIRONMENT_OF_OTHERS.iter().any(|other| name.starts_with(other));
        self.environment.extend(variables.into_iter().filter(|(name, _)| is_ours(name)));
        self
    }

    /// Adds `key=value` flags. The value may be TOML, or bare text.
    pub(super) fn flags<'a>(mut self, flags: impl IntoIterator<Item = &'a str>) -> Self {
        for flag in flags {
            let Some((key, value)) = flag.split_once('=') else {
                self.problems.push(format!("--set {flag}: expected KEY=VALUE, for example --set api.listen=127.0.0.1:9090"));
                continue;
            };
            let as_toml = format!("{key} = {value}");
            let as_text = format!("{key} = {}", toml::Value::String(value.to_owned()));
            let Ok(table) = DeTable::parse(&as_toml).or_else(|_| DeTable::parse(&as_text)) else {
                self.problems.push(format!("--set {}: the key is not one", masked(flag)));
                continue;
            };
            let place = |_| Origin::Flag(flag.to_owned());
            flatten(table.get_ref(), &mut Vec::new(), &place, &mut self.flags);
        }
        self
    }

    /// Reads one setting; what is not given has its default, what is given wrong is noted as a problem.
    pub(super) fn read<T>(&mut self, key: &[&str], default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        self.read_entry(key, default, |entry| parse(entry.single()?))
    }

    /// Reads a list of texts that must be given, in the environment as TOML writes it: `["a", "b"]`.
    pub(super) fn read_list(
        &mut self,
        key: &[&str],
        parse: impl FnOnce(Vec<String>) -> Result<Vec<String>, String>,
    ) -> Vec<String> {
        let before = self.problems.len();
        let list = self.read_entry(key, None, |entry| parse(list(&entry.text)?).map(Some));
        if list.is_none() && self.problems.len() == before {
            self.problem(format!("{} is missing: {LIST_EXAMPLE}", key.join(".")));
        }
        list.unwrap_or_default()
    }

    fn read_entry<T>(&mut self, key: &[&str], default: T, parse: impl FnOnce(&Entry) -> Result<T, String>) -> T {
        let key: Key = key.iter().map(|&part| part.to_owned()).collect();
        let from_environment =
            self.environment.remove(&environment_name(&key)).map(|text| Entry::of_environment(environment_name(&key), text));
        let (from_file, from_flag) = (self.file.remove(&key), self.flags.remove(&key));
        let found = from_flag.or(from_environment).or(from_file);
        let said = found.as_ref().map_or_else(|| "default".to_owned(), |entry| entry.origin.to_string());
        self.said.push(Setting::new(key.join("."), found.as_ref().map(|entry| entry.text.as_str()), said));
        let value = match found {
            None => default,
            Some(entry) => parse(&entry).unwrap_or_else(|why| {
                self.problems.push(format!("{}: {}: {why}", entry.origin, key.join(".")));
                default
            }),
        };
        self.known.push(key);
        value
    }

    /// Takes a table that was given as a value for its setting of this name: `breaker = "off"` says `breaker.enabled`.
    pub(super) fn value_of_table(&mut self, table: &str, name: &str) {
        let (short, long): (Key, Key) = (vec![table.to_owned()], vec![table.to_owned(), name.to_owned()]);
        for layer in [&mut self.file, &mut self.flags] {
            if let Some(entry) = layer.remove(&short) {
                layer.insert(long.clone(), entry);
            }
        }
        if let Some(text) = self.environment.remove(&environment_name(&short)) {
            self.environment.insert(environment_name(&long), text);
        }
    }

    /// Names of the tables under `table`, for example the topics that have settings.
    pub(super) fn names_under(&self, table: &str) -> Vec<String> {
        let keys = self.file.keys().chain(self.flags.keys());
        let mut names: Vec<String> = keys.filter(|key| key.len() > 2 && key[0] == table).map(|key| key[1].clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Takes everything under a table whose keys are somebody else's; their dots are part of the names.
    pub(super) fn read_all_under(&mut self, table: &str, check: impl Fn(&str) -> Result<(), String>) -> BTreeMap<String, String> {
        let prefix = format!("{ENVIRONMENT_PREFIX}{}_", table.to_uppercase());
        let mut found = BTreeMap::new();
        // In this order, so that flags win over the environment, and that over the file.
        take(&mut self.file, |key| key.len() > 1 && key[0] == table, |key, entry| found.insert(key[1..].join("."), entry));
        take(
            &mut self.environment,
            |name| name.starts_with(&prefix),
            |name, text| {
                let key = name[prefix.len()..].to_lowercase().replace('_', ".");
                found.insert(key, Entry::of_environment(name, text))
            },
        );
        take(&mut self.flags, |key| key.len() > 1 && key[0] == table, |key, entry| found.insert(key[1..].join("."), entry));
        found.retain(|key, entry| {
            let checked = check(key).and_then(|()| entry.single().map(|_| ()));
            if let Err(why) = &checked {
                self.problems.push(format!("{}: {table}.{key}: {why}", entry.origin));
            }
            checked.is_ok()
        });
        let said =
            |(key, entry): (&String, &Entry)| Setting::new(format!("{table}.{key}"), Some(&entry.text), entry.origin.to_string());
        self.said.extend(found.iter().map(said));
        found.into_iter().map(|(key, entry)| (key, entry.text)).collect()
    }

    /// Every setting that was asked for, and what it says.
    pub(super) fn take_said(&mut self) -> Vec<Setting> {
        std::mem::take(&mut self.said)
    }

    /// All that files say, by name.
    pub(super) fn texts(&self) -> impl Iterator<Item = (String, &str)> {
        self.file.iter().map(|(key, entry)| (key.join("."), entry.text.as_str()))
    }

    /// What a file says of a setting.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        let is_it = |(key, _): &(&Key, &Entry)| key.join(".") == name;
        self.file.iter().find(is_it).map(|(_, entry)| entry.text.as_str())
    }

    /// A problem that no single value has.
    pub(super) fn problem(&mut self, text: String) {
        self.problems.push(text);
    }

    /// All problems: what was noted, and what nobody asked for.
    pub(super) fn finish(mut self) -> Vec<String> {
        for (key, entry) in self.file.iter().chain(&self.flags) {
            self.problems.push(format!(
                "{}: unknown setting '{}'{}",
                entry.origin,
                key.join("."),
                hint(&key.join("."), &self.known)
            ));
        }
        for name in self.environment.keys() {
            let nearest = nearest(name, self.known.iter().map(|key| environment_name(key)));
            let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
            self.problems.push(format!("environment {name}: unknown setting{hint}"));
        }
        self.problems
    }

    /// Every key that was asked for, with dots.
    #[cfg(test)]
    pub(super) fn known(&self) -> Vec<String> {
        self.known.iter().map(|key| key.join(".")).collect()
    }
}

/// Moves the entries whose keys are wanted out of a map.
fn take<K: Ord + Clone, V, T>(from: &mut BTreeMap<K, V>, wanted: impl Fn(&K) -> bool, mut into: impl FnMut(K, V) -> T) {
    let keys: Vec<K> = from.keys().filter(|key| wanted(key)).cloned().collect();
    for key in keys {
        let value = from.remove(&key).expect("it was just seen");
        into(key, value);
    }
}

fn environment_name(key: &[String]) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", key.join("_").replace(['.', '-'], "_").to_uppercase())
}

fn flatten(table: &DeTable<'_>, path: &mut Key, place: &dyn Fn(usize) -> Origin, into: &mut BTreeMap<Key, Entry>) {
    for (key, value) in table {
        path.push(key.get_ref().to_string());
        let origin = place(key.span().start);
        let text = match value.get_ref() {
            DeValue::Table(inner) => {
                flatten(inner, path, place, into);
                None
            }
            DeValue::Array(items) => {
                let texts = items.iter().map(|item| item.get_ref().as_str().map(|text| toml::Value::String(text.to_owned())));
                // No setting takes a list of anything else; that is said where it is read.
                Some(texts.collect::<Option<Vec<_>>>().map_or("[...]".to_owned(), |texts| toml::Value::Array(texts).to_string()))
            }
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Float(number) => Some(number.to_string()),
            DeValue::Boolean(truth) => Some(truth.to_string()),
            DeValue::Datetime(time) => Some(time.to_string()),
        };
        if let Some(text) = text {
            let is_list = value.get_ref().is_array();
            into.insert(path.clone(), Entry { text, is_list, origin });
        }
        path.pop();
    }
}

/// A list as TOML writes it.
fn list(text: &str) -> Result<Vec<String>, String> {
    // What it is may be a secret: it is the command of a member.
    let no_list = || format!("it is not {LIST_EXAMPLE}");
    let mut table: BTreeMap<String, Vec<String>> = toml::from_str(&format!("list = {text}")).map_err(|_| no_list())?;
    table.remove("list").filter(|_| table.is_empty()).ok_or_else(no_list)
}

/// Line and column, from 1, of a place in a text; columns count characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..offset.min(text.len())];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

fn hint(key: &str, known: &[Key]) -> String {
    if let Some(nearest) = nearest(key, known.iter().map(|key| key.join("."))) {
        return format!("; did you mean '{nearest}'?");
    }
    // The right name in the wrong table, or a table that was taken for a value.
    let last = key.rsplit('.').next().unwrap_or(key);
    let related = known.iter().find(|known| known.last().is_some_and(|name| name == last) || (known.len() > 1 && known[0] == key));
    related.map_or_else(
        || "; `ringmaster config` prints all settings".to_owned(),
        |known| format!("; did you mean '{}'?", known.join(".")),
    )
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let distances = known.map(|known| (strsim::damerau_levenshtein(name, &known), known));
    distances.filter(|(distance, _)| *distance <= TYPING_ERRORS_MAX).min().map(|(_, known)| known)
}
