//! `graph` and `schema`: a definition as a picture, and the language for editors.

use std::io::Write;
use std::path::Path;

use clap::ValueEnum;
use ringmaster_core::definition::compile::outline::outline;
use ringmaster_core::definition::language;

use super::definitions::say;
use super::exit::{Exit, Failure};
use crate::graph::{mermaid, svg};
use crate::runtime;

/// What a picture is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Text that GitHub and many editors draw.
    Mermaid,
    /// A picture in one file, for browsers and documents.
    Svg,
}

/// What is asked for.
pub(super) struct Wish<'a> {
    pub(super) file: &'a Path,
    /// Which definition of the file; none if it has one only.
    pub(super) saga: Option<&'a str>,
    /// None: what the name of `out` says, else Mermaid.
    pub(super) format: Option<Format>,
    /// Where it is written; none for standard output.
    pub(super) out: Option<&'a Path>,
}

/// `ringmaster graph FILE`
pub(super) fn graph(wish: &Wish<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let file = wish.file.display();
    let text = runtime::read_text(wish.file)?;
    let outlines = outline(&file.to_string(), &text).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Definition, errors.join("\n"))
    })?;
    let names = outlines.iter().map(|outline| outline.saga.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match (wish.saga, &outlines[..]) {
        (Some(name), all) => all
            .iter()
            .find(|outline| outline.saga == name)
            .ok_or_else(|| Failure::new(Exit::NotFound, format_args!("{file} has no saga '{name}'; it has: {names}")))?,
        (None, [only]) => only,
        (None, _) => {
            return Err(Failure::new(Exit::Usage, format_args!("{file} has several sagas; say which by --saga NAME: {names}")));
        }
    };
    let picture = match wish.format.map_or_else(|| by_name(wish.out), Ok)? {
        Format::Mermaid => mermaid::draw(chosen),
        Format::Svg => svg::draw(chosen),
    };
    let Some(path) = wish.out else { return say(out, format_args!("{}", picture.trim_end())) };
    std::fs::write(path, picture).map_err(|error| Failure::new(Exit::Failed, format_args!("{}: {error}", path.display())))?;
    say(out, format_args!("{} is drawn in {}", chosen.saga, path.display()))
}

/// What a file's name says that is to be in it.
fn by_name(out: Option<&Path>) -> Result<Format, Failure> {
    let Some(extension) = out.and_then(Path::extension) else { return Ok(Format::Mermaid) };
    match extension.to_str().unwrap_or_default() {
        "svg" => Ok(Format::Svg),
        "mmd" | "mermaid" | "md" | "txt" => Ok(Format::Mermaid),
        other => {
            let why = format_args!("nothing is drawn as .{other}: name a file .svg or .mmd, or say --format");
            Err(Failure::new(Exit::Usage, why))
        }
    }
}

/// `ringmaster schema`
pub(super) fn schema(out: &mut dyn Write) -> Result<(), Failure> {
    say(out, format_args!("{:#}", language::json_schema()))
}
