//! Errors with their place: file, line, column, the line itself, a caret, a hint.

use std::fmt;
use std::ops::Range;

/// Errors, and warnings, that are shown of one file; what is behind them is rarely worth reading. All are counted.
pub(super) const SHOWN_MAX: usize = 100;

/// Columns of a line that are shown: of a longer one the part around the place.
pub(super) const COLUMNS_MAX: usize = 120;

/// An error (or warning) in a definition file. Shown as the place, the line with a caret, and the hint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CompileError {
    /// The file as it was named.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// How many characters are meant.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
    /// The line itself.
    pub source: String,
    /// True for what is allowed and probably not meant.
    pub warning: bool,
    /// The schema that is missing, if that is all that it says: there may be many of these, and one line may tell of all.
    pub missing_schema: Option<String>,
    /// It is wrong because what it runs is: whoever is told what is wrong there need not be told this.
    pub follows: bool,
    /// A warning that is a slip of the pen in all likelihood: it is worth reading beside errors, too.
    pub slip: bool,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.warning { "warning" } else { "error" };
        writeln!(f, "{}:{}:{}: {kind}: {}", self.file, self.line, self.column, self.message)?;
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let (line, before, length) = self.window();
        writeln!(f, " {number} | {line}")?;
        write!(f, " {margin} | {}{}", " ".repeat(before), "^".repeat(length))?;
        if !self.hint.is_empty() {
            write!(f, " {}", self.hint)?;
        }
        Ok(())
    }
}

impl CompileError {
    /// The line as it is shown, how many columns stand before what is meant, and how many are meant: of a long line the part around
    /// it.
    fn window(&self) -> (String, usize, usize) {
        let (before, length) = (self.column - 1, self.length.max(1));
        let count = self.source.chars().count();
        if count <= COLUMNS_MAX {
            return (self.source.clone(), before, length);
        }
        let begin = before.saturating_sub(COLUMNS_MAX / 3).min(count - COLUMNS_MAX);
        let part: String = self.source.chars().skip(begin).take(COLUMNS_MAX).collect();
        let (left, right) = (if begin > 0 { "..." } else { "" }, if begin + COLUMNS_MAX < count { "..." } else { "" });
        (format!("{left}{part}{right}"), left.len() + before - begin, length.min(begin + COLUMNS_MAX - before))
    }
}

impl std::error::Error for CompileError {}

/// The text of a file and what was found in it: of a definition, or of whatever else is written beside one.
pub struct Report<'a> {
    file: &'a str,
    text: &'a str,
    /// The line that the text begins at, from 1.
    first_line: usize,
    line_starts: Vec<usize>,
    errors: Vec<CompileError>,
    warnings: Vec<CompileError>,
    /// Errors so far, also those that are not shown.
    error_count: usize,
}

impl<'a> Report<'a> {
    /// Nothing was found yet. `first_line` is the line that the text begins at.
    pub fn new(file: &'a str, text: &'a str, first_line: usize) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Report { file, text, first_line, line_starts, errors: Vec::new(), warnings: Vec::new(), error_count: 0 }
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Line and column of a byte, both from 1, the column in characters.
    fn position(&self, byte: usize) -> (usize, usize) {
        let row = self.line_starts.partition_point(|start| *start <= byte) - 1;
        let begin = self.line_starts[row];
        (row + self.first_line, self.text.get(begin..byte).map_or(0, |before| before.chars().count()) + 1)
    }

    /// The line of a byte, from 1.
    pub fn line(&self, byte: usize) -> usize {
        self.position(byte).0
    }

    /// `sagas/order-fulfilment.yaml:12:9`.
    pub(crate) fn place(&self, span: &Range<usize>) -> Box<str> {
        let (line, column) = self.position(span.start);
        format!("{}:{line}:{column}", self.file).into()
    }

    /// Something is wrong there; the hint says what to do.
    pub fn error(&mut self, span: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.error_count += 1;
        let error = self.placed(span, message.into(), hint.into(), false);
        add(&mut self.errors, error);
    }

    /// Something is wrong there because what it runs is wrong.
    pub(super) fn error_that_follows(&mut self, span: &Range<usize>, message: String, hint: String) {
        self.error_count += 1;
        let error = CompileError { follows: true, ..self.placed(span, message, hint, false) };
        add(&mut self.errors, error);
    }

    pub(crate) fn warning(&mut self, span: &Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        let warning = self.placed(span, message.into(), hint.into(), true);
        add(&mut self.warnings, warning);
    }

    /// A warning that this schema is missing. With a hint, which names another, it is probably a slip of the pen.
    pub(crate) fn missing_schema(&mut self, span: &Range<usize>, name: &str, message: impl Into<String>, hint: Option<String>) {
        let slip = hint.is_some();
        let hint = hint.unwrap_or_else(|| "add its record to the schemas".to_owned());
        let warning = self.placed(span, message.into(), hint, true);
        add(&mut self.warnings, CompileError { missing_schema: Some(name.to_owned()), slip, ..warning });
    }

    fn placed(&self, span: &Range<usize>, message: String, hint: String, warning: bool) -> CompileError {
        let (line, column) = self.position(span.start);
        let source = self.text[self.line_starts[line - self.first_line]..].lines().next().unwrap_or_default().to_owned();
        // A span of several lines is marked to the end of its first.
        let meant = self.text.get(span.clone()).and_then(|text| text.lines().next()).unwrap_or_default();
        let length = meant.trim_end().chars().count().max(1);
        let (file, missing_schema, follows, slip) = (self.file.to_owned(), None, false, false);
        CompileError { file, line, column, length, message, hint, source, warning, missing_schema, follows, slip }
    }

    /// How many errors there are so far.
    pub fn error_count(&self) -> usize {
        self.error_count
    }

    /// What was built. Nothing without an error since there were `errors_before` is an error of its own: nothing may be lost
    /// without a word.
    pub(crate) fn or_reason<T>(&mut self, built: Option<T>, errors_before: usize, span: &Range<usize>) -> Option<T> {
        if built.is_none() && self.error_count == errors_before {
            self.error(span, "this cannot be compiled, and no check says why", "a fault of ringmaster: report it with this file");
        }
        built
    }

    /// All that is to be told where something is wrong: the errors, and what else is a slip of the pen, in order of place.
    pub(super) fn finish_with_slips(mut self) -> Vec<CompileError> {
        self.errors.extend(self.warnings.iter().filter(|warning| warning.slip).cloned());
        without_what_follows(&mut self.errors);
        self.finish().0
    }

    /// Errors, then warnings, each in order of place.
    pub fn finish(mut self) -> (Vec<CompileError>, Vec<CompileError>) {
        for found in [&mut self.errors, &mut self.warnings] {
            found.sort_by_key(|error| (error.line, error.column));
        }
        (self.errors, self.warnings)
    }
}

/// Takes out what follows from the other errors, where there are others.
pub fn without_what_follows(errors: &mut Vec<CompileError>) {
    if errors.iter().any(|error| !error.follows && !error.warning) {
        errors.retain(|error| !error.follows);
    }
}

/// The same rule may be checked at several places: what is wrong with it is said once.
fn add(found: &mut Vec<CompileError>, error: CompileError) {
    if found.len() < SHOWN_MAX && !found.contains(&error) {
        found.push(error);
    }
}

/// The candidate that was probably meant.
pub(crate) fn suggest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let far = (word.chars().count() / 3).clamp(1, 3);
    // A letter that was held too long is one slip, however often it stands there.
    let held = (once_each(word) != word).then(|| once_each(word));
    let slips = |candidate: &str| {
        let as_held = held.as_deref().filter(|held| *held == once_each(candidate)).map(|_| 1);
        as_held.into_iter().chain([distance(word, candidate)]).min().unwrap_or(usize::MAX)
    };
    let near = candidates.into_iter().map(|candidate| (slips(candidate), candidate)).min()?;
    (near.0 <= far).then_some(near.1)
}

/// A word without letters that are the same as the one before them.
fn once_each(word: &str) -> String {
    let mut letters: Vec<char> = word.to_lowercase().chars().collect();
    letters.dedup();
    letters.into_iter().collect()
}

/// "did you mean 'total'?", or what there is.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str> + Clone) -> String {
    if let Some(candidate) = suggest(word, candidates.clone()) {
        return format!("did you mean '{candidate}'?");
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    match &all[..] {
        [] => String::new(),
        few if few.len() <= 12 => format!("there are: {}", few.join(", ")),
        many => format!("there are: {}, ...", many[..12].join(", ")),
    }
}

/// The same, or this where there are none.
pub(crate) fn did_you_mean_or<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str> + Clone, none: &str) -> String {
    let hint = did_you_mean(word, candidates);
    if hint.is_empty() { none.to_owned() } else { hint }
}

/// Letters to change, add, remove or swap with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.to_lowercase().chars().collect(), b.to_lowercase().chars().collect());
    if a.len().abs_diff(b.len()) > 3 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut least = (rows[i - 1][j - 1] + change).min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let words = ["total", "timeout", "region"];
        assert_eq!(suggest("totl", words), Some("total"));
        assert_eq!(suggest("tiemout", words), Some("timeout"));
        assert_eq!(suggest("TOTAL", words), Some("total"));
        assert_eq!(suggest("zzz", words), None);
        assert_eq!(suggest("dooo", ["do", "to", "undo"]), Some("do"));
        assert_eq!(suggest("emmmmit", ["emit", "wait"]), Some("emit"));
    }

    #[test]
    fn letters_that_changed_places_are_one_change() {
        for (a, b, changes) in
            [("ab", "ba", 1), ("total", "toatl", 1), ("xab", "yba", 2), ("abcd", "badc", 2), ("ab", "ab", 0), ("abc", "ca", 3)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (changes, changes), "{a} {b}");
        }
    }

    #[test]
    fn an_error_behind_many_warnings_or_errors_counts() {
        let mut report = Report::new("f.yaml", "a: 1\n", 1);
        (0..SHOWN_MAX).for_each(|n| report.warning(&(0..1), format!("odd {n}"), ""));
        assert_eq!(report.error_count(), 0);
        report.error(&(0..1), "wrong", "");
        assert_eq!(report.error_count(), 1);
        (0..SHOWN_MAX).for_each(|n| report.error(&(0..1), format!("wrong {n}"), ""));
        assert_eq!(report.error_count(), SHOWN_MAX + 1);
        let (errors, warnings) = report.finish();
        assert_eq!((errors.len(), warnings.len()), (SHOWN_MAX, SHOWN_MAX));
    }

    #[test]
    fn nothing_is_lost_without_a_reason() {
        let mut report = Report::new("f.yaml", "a: 1\n", 1);
        assert_eq!((report.or_reason(Some(1), 0, &(0..1)), report.error_count()), (Some(1), 0));
        assert_eq!((report.or_reason(None::<i32>, 0, &(0..1)), report.error_count()), (None, 1));
        assert_eq!((report.or_reason(None::<i32>, 0, &(0..1)), report.error_count()), (None, 1), "there is a reason already");
    }

    /// Of a line of any length a part is shown that holds the place, and the caret stands under it.
    #[test]
    fn long_lines_are_shown_around_the_place() {
        for (before, behind) in [(0, 300), (20, 300), (150, 150), (300, 20), (300, 0), (60, 59), (1000, 1000)] {
            for meant in ["ö", "meant", &"m".repeat(200)] {
                let text = format!("{}{meant}{}", "ä".repeat(before), "b".repeat(behind));
                let mut report = Report::new("f.yaml", &text, 1);
                let at = "ä".len() * before;
                report.error(&(at..at + meant.len()), "wrong", "");
                let shown = report.finish().0[0].to_string();
                let [_, line, caret] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
                let (line, caret): (Vec<char>, Vec<char>) = (line.chars().collect(), caret.chars().collect());
                assert!(line.len() <= 5 + COLUMNS_MAX + 6, "{shown}");
                let marked: String =
                    line.iter().zip(&caret).filter(|(_, caret)| **caret == '^').map(|(letter, _)| *letter).collect();
                assert!(caret.len() <= line.len() && meant.starts_with(&marked) && !marked.is_empty(), "{shown}");
                assert!(marked.len() == meant.len() || meant.len() > 20, "{shown}");
            }
        }
    }

    #[test]
    fn the_caret_stands_under_the_character_meant() {
        let text = "a: ü\nb: äö x > 1\n";
        let mut report = Report::new("f.yaml", text, 1);
        let at = text.find("x >").unwrap();
        report.error(&(at..at + 1), "wrong", "do this");
        assert_eq!(report.finish().0[0].to_string(), "f.yaml:2:7: error: wrong\n 2 | b: äö x > 1\n   |       ^ do this");
    }
}
