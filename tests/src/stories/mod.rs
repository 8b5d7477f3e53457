//! Business stories: text files that say what happens to one saga, played on the pure core alone.
//!
//! ```text
//! tests/stories/*.txt -> script -> stage (decide, apply, effects in virtual time) -> the same text with what really happened
//! ```
//!
//! Lines at the margin are written by people: the title, what is given, each `when`, and how it must end. Lines behind four spaces
//! are what the core did; `UPDATE_STORIES=1` writes them anew. So a golden line may be regenerated, an ending never is.

mod breaking;
mod events;
mod items;
pub(crate) mod laws;
mod parking;
mod person;
pub(crate) mod print;
mod script;
mod stage;
mod telling;
mod values;

use std::path::{Path, PathBuf};

pub(crate) use script::Said;
pub use script::Script;
pub use stage::Stage;
pub(crate) use stage::{Happened, Known, project};

/// The checkout's top folder.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All story files, in order of their names.
pub fn files() -> Vec<PathBuf> {
    let folder = top().join("tests/stories");
    let entries = std::fs::read_dir(&folder).expect("the folder of stories is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("it can be listed").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

/// A story that was played.
#[derive(Debug)]
pub struct Played {
    /// The text as it should stand in the file.
    pub text: String,
    /// What is wrong beside the text: a broken law, another end than the story wants.
    pub faults: Vec<String>,
}

/// Plays a story. A story that cannot be read is a fault, too.
pub fn play(text: &str) -> Played {
    let script = match Script::read(text) {
        Ok(script) => script,
        Err(fault) => return Played { text: text.to_owned(), faults: vec![fault] },
    };
    let mut stage = match Stage::open(&script) {
        Ok(stage) => stage,
        Err(fault) => return Played { text: text.to_owned(), faults: vec![fault] },
    };
    let mut out = String::new();
    let mut faults = Vec::new();
    for line in &script.lines {
        out.push_str(&line.text);
        out.push('\n');
        let happened = match stage.act(&line.act) {
            Ok(happened) => happened,
            Err(fault) => {
                faults.push(format!("line {}: {fault}", line.number));
                Vec::new()
            }
        };
        for line in happened {
            out.push_str("    ");
            out.push_str(&line);
            out.push('\n');
        }
    }
    faults.extend(laws::broken(&stage));
    faults.extend(telling::wrong(&stage));
    Played { text: out, faults }
}
