//! What a definition's sub-sagas promise: found among the files that are compiled together, then among what is deployed; of a version
//! from history it is what it was compiled against. In a record a contract is kept as schemas, which all are known by their keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringmaster_schemas::avro::{Node as Avro, Schema};
use ringmaster_schemas::registry::Schemas;

use super::form::{SagaForm, VerbForm};
use super::report::{Report, did_you_mean};
use super::{CompileError, Settings, compile_documents, defined_in};
use crate::definition::{Contract, Definition, ROWS_DEEP_MAX, yaml};

/// What a record calls the parts of the contract that its own saga keeps.
pub(super) const OWN: &str = "contract";
/// An enum has a symbol; those of codes begin with a letter that this one does not begin with.
const NO_CODE: &str = "none";

/// By saga, what those promise that a definition runs.
pub(super) type Contracts = BTreeMap<String, Arc<Contract>>;

/// Sagas that may be run by what is compiled with these settings, beside those that are deployed.
#[derive(Debug, Default)]
pub struct Sagas {
    documents: BTreeMap<String, Document>,
    /// What was looked for once: what is wrong with one is not found again by each that runs it.
    known: BTreeMap<String, Result<Arc<Contract>, Unusable>>,
    /// With how many above them those were looked for at least that lie too deep then.
    deep: BTreeMap<String, usize>,
    /// Those that are being compiled: whoever comes upon itself runs itself.
    open: Vec<String>,
    /// Why the last that was compiled cannot be run, if that is not its own fault.
    below: Option<Unusable>,
}

/// Why a saga cannot be run.
#[derive(Debug, Clone)]
enum Unusable {
    /// It is nowhere; what may have been meant.
    Unknown { saga: String, hint: String },
    /// It is started by an event.
    NotRun(String),
    /// It does not compile; file and line.
    Wrong { saga: String, place: String },
    /// A way from a saga to itself.
    RunsItself(String),
    /// More sagas run one another than rows may stand below one another.
    TooDeep,
    /// A version from history that does not hold what it counts on.
    Unsaid,
}

impl Unusable {
    /// What is wrong, and what to do.
    fn told(self) -> (String, String) {
        match self {
            Unusable::Unknown { saga, hint } => (format!("no saga '{saga}' is in these files, or deployed"), hint),
            Unusable::NotRun(saga) => (
                format!("saga '{saga}' has no input: it cannot be run"),
                "give it input: { FIELD: TYPE, ... } in place of its start".into(),
            ),
            Unusable::Wrong { saga, place } => (format!("saga '{saga}' has errors itself"), format!("it is in {place}")),
            Unusable::RunsItself(way) => (
                format!("a saga that runs itself has no end: {way}"),
                "what comes again is one saga each, started by the last one's event".into(),
            ),
            Unusable::TooDeep => (
                format!("more than {ROWS_DEEP_MAX} sagas run one another here; the limit is {ROWS_DEEP_MAX}"),
                "take one of them out of another".into(),
            ),
            Unusable::Unsaid => ("the record does not say what it counts on".into(), "deploy it anew".into()),
        }
    }
}

#[derive(Debug, Clone)]
struct Document {
    file: String,
    text: String,
    line: usize,
}

impl Settings<'_> {
    /// The sagas of a file may be run by those of others. Files that are compiled together are announced first, all of them.
    pub fn announce(&mut self, file: &str, text: &str) {
        let read = yaml::read(text);
        let named = |document: yaml::Document| Some((document.root.named("saga")?.scalar()?.to_owned(), document.span));
        // What cannot be read has a name, too: that it is nowhere would be said of it otherwise.
        let unread = read.unread.into_iter().filter_map(|span| Some((name_in_text(&text[span.clone()])?, span)));
        let report = Report::new(file, text, 1);
        for (name, span) in read.documents.into_iter().filter_map(named).chain(unread) {
            let (line, text) = (report.line(span.start), text[span].to_owned());
            self.sagas.documents.insert(name, Document { file: file.to_owned(), text, line });
        }
    }

    /// Where a new version breaks what a saga that is deployed counts on, and that is not deployed anew with it.
    pub fn broken_contracts(&self, records: &[crate::definition::DefinitionRecord]) -> Vec<CompileError> {
        let mut errors = Vec::new();
        let is_new = |name: &str| records.iter().any(|record| record.name == *name);
        for record in records {
            let Some(own) = Contract::of_record(OWN, &record.name, &record.schemas, self.schemas) else {
                let runs = |schemas: &BTreeMap<String, String>| schemas.contains_key(&part(&of(&record.name), "says"));
                let parent = self.deployed.iter().find(|(name, schemas)| !is_new(name) && runs(schemas));
                errors.extend(parent.map(|(parent, _)| {
                    let message = format!("this breaks '{parent}', which is deployed and runs it: it has no input any more");
                    defined_in(record, message, format!("give it input, or deploy a '{parent}' that does not run it"))
                }));
                continue;
            };
            for (parent, schemas) in self.deployed.iter().filter(|(name, _)| !is_new(name)) {
                let promised = Contract::of_record(&of(&record.name), &record.name, schemas, self.schemas);
                if let Some(why) = promised.and_then(|promised| own.breaks(&promised).or_else(|| own.forgets(&promised))) {
                    let message = format!("this breaks '{parent}', which is deployed and runs it: {why}");
                    errors.push(defined_in(
                        record,
                        message,
                        format!("deploy a '{parent}' that fits with it, or keep what it counts on"),
                    ));
                }
            }
        }
        errors
    }
}

/// The name of a definition that is no YAML.
fn name_in_text(text: &str) -> Option<String> {
    let name = text.lines().find_map(|line| line.strip_prefix("saga:"))?;
    let name = name.split('#').next().unwrap_or_default().trim().trim_matches(['\'', '"']);
    Some(name.to_owned())
}

/// What a record calls the parts of a contract that its saga counts on.
pub(super) fn of(saga: &str) -> String {
    format!("contract of {saga}")
}

/// What a definition counts on of each saga that it runs, all its steps together: the names by which its record knows the parts of that,
/// with their schemas.
pub(super) fn counted_on(definition: &Definition) -> Vec<(String, Arc<Schema>)> {
    let mut counted: BTreeMap<&str, Contract> = BTreeMap::new();
    for (_, run) in definition.runs() {
        let all = counted.entry(&run.saga).or_insert_with(|| (*run.contract).clone());
        if let (Some(all), Some(named)) = (&mut all.codes, &run.contract.codes) {
            all.extend(named.iter().cloned());
        }
    }
    counted.iter().flat_map(|(saga, contract)| contract.parts(&of(saga))).collect()
}

/// The saga of whose contract this is the first part, by what a record calls it.
pub(in crate::definition) fn run_in(part: &str) -> Option<&str> {
    part.strip_prefix("contract of ")?.strip_suffix("/says")
}

fn part(whose: &str, what: &str) -> String {
    format!("{whose}/{what}")
}

/// What all that it runs promises, and the names of those that are not known. Such a one is reported, and promises anything
/// meanwhile, so that the other mistakes of the definition are found in the same run.
pub(super) fn resolve(
    form: &SagaForm,
    pinned: Option<&BTreeMap<String, String>>,
    settings: &mut Settings<'_>,
    report: &mut Report<'_>,
) -> (Contracts, BTreeSet<String>) {
    let mut runs = Vec::new();
    form.steps.iter().for_each(|step| {
        step.each(&mut |node| {
            if let VerbForm::Run(run) = &node.verb {
                runs.push(&run.saga);
            }
        })
    });
    let mut all = Contracts::new();
    let mut below = None;
    let mut unknown = BTreeSet::new();
    settings.sagas.open.push(form.name.text.clone());
    for word in runs {
        if word.text.is_empty() {
            // It cannot be read, which is told.
            all.insert(String::new(), Arc::new(anything("", settings.schemas)));
            unknown.insert(String::new());
            continue;
        }
        let found = match pinned {
            Some(schemas) => {
                Contract::of_record(&of(&word.text), &word.text, schemas, settings.schemas).map(Arc::new).ok_or(Unusable::Unsaid)
            }
            None => contract_of(&word.text, settings),
        };
        match found {
            Ok(contract) => {
                all.insert(word.text.clone(), contract);
            }
            Err(why) => {
                if matches!(why, Unusable::RunsItself(_) | Unusable::TooDeep) {
                    below = Some(why.clone());
                }
                let follows = matches!(why, Unusable::Wrong { .. });
                let (message, hint) = why.told();
                if follows {
                    report.error_that_follows(&word.span, message, hint);
                } else {
                    report.error(&word.span, message, hint);
                }
                all.insert(word.text.clone(), Arc::new(anything(&word.text, settings.schemas)));
                unknown.insert(word.text.clone());
            }
        }
    }
    settings.sagas.open.pop();
    settings.sagas.below = below;
    (all, unknown)
}

fn anything(saga: &str, schemas: &Schemas) -> Contract {
    let json = schemas.json().clone();
    Contract { saga: saga.into(), input: json.clone(), result: Some(json), codes: None, has_pivot: false, rows_deep: 1 }
}

fn contract_of(name: &str, settings: &mut Settings<'_>) -> Result<Arc<Contract>, Unusable> {
    if let Some(at) = settings.sagas.open.iter().position(|open| open == name) {
        let way = settings.sagas.open[at..].join(" -> ");
        return Err(Unusable::RunsItself(format!("{way} -> {name}")));
    }
    if let Some(known) = settings.sagas.known.get(name) {
        return known.clone();
    }
    let above = settings.sagas.open.len();
    if above > ROWS_DEEP_MAX || settings.sagas.deep.get(name).is_some_and(|deep| *deep <= above) {
        return Err(Unusable::TooDeep);
    }
    let found = match settings.sagas.documents.get(name).cloned() {
        Some(document) => compiled(name, &document, settings),
        None => match settings.deployed.get(name) {
            Some(schemas) => {
                let contract = Contract::of_record(OWN, name, schemas, settings.schemas);
                contract.map(Arc::new).ok_or_else(|| Unusable::NotRun(name.to_owned()))
            }
            None => Err(unknown(name, settings)),
        },
    };
    match found {
        // With fewer above it may be right.
        Err(Unusable::TooDeep) => drop(settings.sagas.deep.insert(name.to_owned(), above)),
        _ => drop(settings.sagas.known.insert(name.to_owned(), found.clone())),
    }
    found
}

fn unknown(name: &str, settings: &Settings<'_>) -> Unusable {
    let known = settings.sagas.documents.keys().chain(settings.deployed.keys()).map(String::as_str);
    let known: Vec<&str> = known.filter(|known| settings.sagas.open.iter().all(|open| open != known)).collect();
    let hint = did_you_mean(name, known);
    let hint = if hint.is_empty() { "name its file too, or deploy it before".to_owned() } else { hint };
    Unusable::Unknown { saga: name.to_owned(), hint }
}

/// What a saga of these files promises. What is wrong in it is told where it is compiled itself.
fn compiled(name: &str, document: &Document, settings: &mut Settings<'_>) -> Result<Arc<Contract>, Unusable> {
    let warnings = settings.warnings.len();
    settings.sagas.below = None;
    let versions = compile_documents(&document.file, &document.text, document.line, None, settings);
    settings.warnings.truncate(warnings);
    let below = settings.sagas.below.take();
    match versions {
        Ok(versions) => {
            let version = versions.into_iter().find(|version| *version.definition.name == *name);
            version.and_then(|version| version.definition.contract).ok_or_else(|| Unusable::NotRun(name.to_owned()))
        }
        Err(_) => Err(below.unwrap_or_else(|| {
            let place = format!("{}:{}", document.file, document.line);
            Unusable::Wrong { saga: name.to_owned(), place }
        })),
    }
}

impl Contract {
    /// The names by which a record knows the parts of it, with their schemas.
    pub(super) fn parts(&self, whose: &str) -> Vec<(String, Arc<Schema>)> {
        let pivot = if self.has_pivot { "pivot" } else { "none" };
        let all = if self.codes.is_some() { "codes" } else { "any" };
        let codes = self.codes.iter().flatten().map(|code| format!("\"C{code}\""));
        let symbols: Vec<String> = codes.chain([format!("\"{NO_CODE}\"")]).collect();
        let name = format!("contract_{pivot}_{}_{all}", self.rows_deep);
        let says = format!(r#"{{"type":"enum","name":"{name}","symbols":[{}]}}"#, symbols.join(","));
        let says = Schema::parse(&says).expect("codes are symbols behind a letter");
        let mut parts = vec![(part(whose, "says"), says), (part(whose, "input"), self.input.clone())];
        parts.extend(self.result.iter().map(|result| (part(whose, "result"), result.clone())));
        parts
    }

    /// The same, read again; none if the record does not say it.
    fn of_record(whose: &str, saga: &str, record: &BTreeMap<String, String>, schemas: &Schemas) -> Option<Contract> {
        let schema = |what| {
            let key = u64::from_str_radix(record.get(&part(whose, what))?, 16).ok()?;
            schemas.by_key(key as i64).cloned()
        };
        let says = schema("says")?;
        let (Avro::Enum(symbols), name) = (says.node(says.root()), says.name()) else { return None };
        let mut words = name.split('_').skip(1);
        let (pivot, rows, all) = (words.next()?, words.next()?, words.next()?);
        let codes: BTreeSet<Arc<str>> = symbols.iter().filter_map(|symbol| symbol.strip_prefix('C')).map(Arc::from).collect();
        Some(Contract {
            saga: saga.into(),
            input: schema("input")?,
            result: schema("result"),
            codes: (all == "codes").then_some(codes),
            has_pivot: pivot == "pivot",
            rows_deep: rows.parse().ok()?,
        })
    }

    /// The contract that a version from history keeps.
    pub(super) fn own(saga: &str, record: &BTreeMap<String, String>, schemas: &Schemas) -> Option<Contract> {
        Contract::of_record(OWN, saga, record, schemas)
    }

    /// What another version's runner counts on beside what is given and what comes back, and does not find here: a code that it looks
    /// for, or how deep rows stand. (So a saga that runs one that is deployed cannot be run by that one: both would grow without an end.)
    pub(super) fn forgets(&self, promised: &Contract) -> Option<String> {
        if self.rows_deep > promised.rows_deep {
            let (now, before) = (self.rows_deep, promised.rows_deep);
            return Some(format!(
                "its rows stand {now} deep below one another, and {before} before: what it runs has to fit there"
            ));
        }
        let (known, named) = (self.codes.as_ref()?, promised.codes.as_ref()?);
        named.difference(known).next().map(|code| format!("it is never refused with {code} any more"))
    }
}
