//! How sources look, and what may be used where. An exception stands in a table, with its reason.

use crate::{File, files, has_word, none, rust};

const LINES_MAX: usize = 400;
const FUNCTION_LINES_MAX: usize = 70;

/// Files above the limit: at most so long, and why. A ratchet: an entry may shrink or go, a new one needs a reason as good.
const LONG_FILES: [(&str, usize, &str); 3] = [
    ("coordinator/bus/src/sim/client.rs", 442, "every question to a bus, and what a hostile broker makes of it"),
    ("coordinator/bus/tests/embedded.rs", 421, "a list of attacks on segment files"),
    ("participants/src/outbox.rs", 410, "replies on their way, and the commits behind them"),
];

/// These files look for what they forbid.
const TIDY: &str = "tests/tests/tidy/";

/// Each word, and the only places it may stand in.
const PLACES: [(&str, &[&str], &str); 5] = [
    (
        "rdkafka",
        &["coordinator/bus/src/kafka", "coordinator/bus/tests/", "tests/src/live"],
        "only the Kafka bus knows the client; tests stand on the other side of the broker",
    ),
    ("rdkafka_sys", &["coordinator/bus/src/kafka/native"], "the safe half of the bus does not see C"),
    (
        "rocksdb",
        &[
            "coordinator/store/src/rocks",
            "coordinator/store/tests/rocks.rs",
            "coordinator/store/tests/large.rs",
            "participants/src/ledger/rocks.rs",
        ],
        "the store and the ledger are behind traits",
    ),
    (
        "unsafe",
        &["bench/src/counts/allocator.rs", "coordinator/bus/src/kafka/native", "mutants/src/find"],
        "small modules, with what they rely on at their heads",
    ),
    ("tokio", &["coordinator/src/api.rs", "coordinator/src/api/"], "HTTP alone is asynchronous; no task touches a saga"),
];

/// What headers for browsers say has nothing to do with that.
const POLICY: &str = "'unsafe-inline'";

/// Where lines may be printed: programs whose output it is, and what only developers run.
const PRINTING: [&str; 12] = [
    "bench/src/bin/",
    "bench/src/main.rs",
    "coordinator/bus/examples/",
    "coordinator/bus/link.rs",
    "coordinator/examples/",
    "coordinator/store/examples/",
    "participants/examples/",
    "schemas/examples/",
    "coordinator/bus/tests/",
    "mutants/src/",
    "tests/tests/",
    "tests/src/bin/",
];

/// Ignored tests that are not tests of their own.
const IGNORED: [(&str, &str); 1] =
    [("coordinator/store/tests/rocks.rs", "the child process of a_killed_process_leaves_an_older_prefix")];

/// Hosts that committed files may name: public documentation and sources, and this machine.
const HOSTS: [&str; 12] = [
    "127.0.0.1",
    "localhost",
    "github.com",
    "index",
    "json-schema.org",
    "kafka.apache.org",
    "maven.apache.org",
    "repo1.maven.org",
    "rustup.rs",
    "sh.rustup.rs",
    "www.apache.org",
    "www.w3.org",
];

#[test]
fn every_source_says_first_what_it_is() {
    let silent = rust().filter(|file| !file.text.starts_with("//! ")).map(|file| file.path).collect();
    none("a source begins with `//!` and its subject", silent);
}

#[test]
fn files_have_one_subject() {
    let mut found = Vec::new();
    for file in rust() {
        let lines = file.text.lines().count();
        match LONG_FILES.iter().find(|(path, ..)| *path == file.path) {
            Some((_, max, _)) if lines > *max => found.push(format!("{}: {lines} lines, listed with {max}", file.path)),
            Some(_) if lines <= LINES_MAX => found.push(format!("{}: {lines} lines: take it off the list", file.path)),
            None if lines > LINES_MAX => found.push(format!("{}: {lines} lines", file.path)),
            _ => {}
        }
    }
    none(&format!("a file has at most {LINES_MAX} lines, or a reason"), found);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut found = Vec::new();
    for file in rust() {
        for (line, name, length) in functions(&file) {
            if length > FUNCTION_LINES_MAX {
                found.push(format!("{}:{line}: {name} has {length} lines", file.path));
            }
        }
    }
    none(&format!("a function has at most {FUNCTION_LINES_MAX} lines"), found);
}

#[test]
fn listed_exceptions_exist_and_have_reasons() {
    let sources: Vec<File> = rust().collect();
    let is_there = |path: &str| sources.iter().any(|file| file.is_in(&[path]));
    let mut found = Vec::new();
    found.extend(LONG_FILES.iter().filter(|(path, _, why)| !is_there(path) || why.is_empty()).map(|row| format!("{row:?}")));
    found.extend(IGNORED.iter().filter(|(path, why)| !is_there(path) || why.is_empty()).map(|row| format!("{row:?}")));
    found.extend(PRINTING.iter().filter(|path| !is_there(path)).map(|path| format!("{path} prints")));
    found.extend(
        PLACES.iter().flat_map(|(word, places, _)| {
            places.iter().filter(|path| !is_there(path)).map(move |path| format!("{word} in {path}"))
        }),
    );
    none("an exception names something that is there, and why", found);
}

#[test]
fn each_thing_stays_in_its_place() {
    let mut found = Vec::new();
    for file in rust().filter(|file| !file.is_in(&[TIDY])) {
        for (word, _, why) in PLACES.iter().filter(|(_, places, _)| !file.is_in(places)) {
            for (line, code) in code(&file) {
                if has_word(&code.replace(POLICY, ""), word) {
                    found.push(format!("{}:{line}: {word}: {why}", file.path));
                }
            }
        }
    }
    none("some things stand only in their places", found);
}

#[test]
fn nothing_is_left_over() {
    let words = ["dbg!", "todo!", "unimplemented!", "FIXME", "XXX", "TODO"];
    let mut found = Vec::new();
    for file in files().into_iter().filter(|file| !file.is_in(&[TIDY, "LICENSE"])) {
        let is_rust = file.path.ends_with(".rs");
        for (line, text) in file.lines() {
            if words.iter().any(|word| text.contains(word) && (is_rust || !word.ends_with('!'))) && !text.contains("mktemp") {
                found.push(format!("{}:{line}: {}", file.path, text.trim()));
            }
            if text.trim_start().starts_with("#[ignore")
                && !IGNORED.iter().any(|(path, why)| *path == file.path && text.contains(why))
            {
                found.push(format!("{}:{line}: an ignored test", file.path));
            }
        }
    }
    none("nothing half done is committed", found);
}

#[test]
fn only_programs_print() {
    let mut found = Vec::new();
    for file in rust().filter(|file| !file.is_in(&PRINTING)) {
        for (line, code) in code(&file) {
            if ["println", "print", "eprintln", "eprint"]
                .iter()
                .any(|word| has_word(code, word) && code.contains(&format!("{word}!(")))
            {
                found.push(format!("{}:{line}", file.path));
            }
        }
    }
    none("what runs unseen logs by tracing; commands write to what they are given", found);
}

#[test]
fn no_file_names_a_machine() {
    let homes = ["/root/", "/home/", "/work/", "/tmp/"];
    let mut found = Vec::new();
    for file in files().into_iter().filter(|file| !file.is_in(&[TIDY, "LICENSE", "Cargo.lock"])) {
        for (line, text) in file.lines() {
            // Of a path in a container's or checkout's own folder only the tail looks like one.
            let is_path = |home: &str| {
                text.match_indices(home).any(|(at, _)| !text[..at].ends_with(|c: char| crate::is_word(c) || c == '.' || c == '-'))
            };
            if let Some(home) = homes.into_iter().find(|home| is_path(home)) {
                found.push(format!("{}:{line}: {home}", file.path));
            }
            found.extend(hosts(text).filter(|host| !HOSTS.contains(host)).map(|host| format!("{}:{line}: {host}", file.path)));
        }
    }
    none("committed files name no machine, no folder of one, and no private host", found);
}

/// Hosts of web addresses that are written out.
fn hosts(text: &str) -> impl Iterator<Item = &str> {
    let addresses = ["http://", "https://"].into_iter().flat_map(|scheme| text.split(scheme).skip(1));
    addresses
        .filter_map(|rest| rest.split(|letter: char| !(letter.is_ascii_alphanumeric() || ".-".contains(letter))).next())
        .filter(|host| !host.is_empty())
}

/// Lines of code, without those that are only a comment.
fn code(file: &File) -> impl Iterator<Item = (usize, &str)> {
    file.lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Line, name and length of every function, as rustfmt lays them out: a function ends where its indentation comes back.
fn functions(file: &File) -> impl Iterator<Item = (usize, &str, usize)> {
    let lines: Vec<&str> = file.text.lines().collect();
    (0..lines.len()).filter_map(move |first| {
        let line = lines[first];
        let indent = &line[..line.len() - line.trim_start().len()];
        let (before, rest) = line.trim_start().split_once("fn ")?;
        let qualifiers = ["pub", "const", "async", "unsafe", "extern", "\"C\"", "(crate)", "(super)"];
        let is_declaration = before.split_whitespace().all(|word| qualifiers.iter().any(|known| word.starts_with(known)));
        let name = rest.split(|letter: char| !crate::is_word(letter)).next().filter(|name| !name.is_empty())?;
        if !is_declaration {
            return None;
        }
        if line.ends_with(['}', ';']) {
            return Some((first + 1, name, 1));
        }
        let is_last = |line: &&str| {
            line.strip_prefix(indent).is_some_and(|rest| rest.starts_with('}') || rest.starts_with(')') && rest.ends_with(';'))
        };
        let length = lines[first + 1..].iter().position(is_last).map_or(1, |more| more + 2);
        Some((first + 1, name, length))
    })
}

#[test]
fn functions_are_measured() {
    let text = "pub(crate) fn one() {\n    fn inner(\n        a: u8,\n    ) -> u8 {\n        a\n    }\n}\ntrait T {\n    fn two(&self);\n    fn three(\n        &self,\n    );\n}\nlet f: fn (u8);\n";
    let file = File { path: String::new(), text: text.to_owned() };
    let found: Vec<_> = functions(&file).collect();
    assert_eq!(found, [(1, "one", 7), (2, "inner", 5), (9, "two", 1), (10, "three", 3)]);
}

#[test]
fn hosts_and_words_are_found() {
    assert_eq!(hosts("see https://a.example/x, http://b:80 and inside://c").collect::<Vec<_>>(), ["b", "a.example"]);
    assert!(has_word("use rdkafka::x", "rdkafka") && !has_word("use rdkafka_sys::x", "rdkafka"));
}
