//! The report of a run as JUnit XML, which CI systems show.

use std::fmt::Write as _;

use super::{Scenario, Verdict};

/// The report: a suite for each file, a case for each scenario.
pub fn junit(played: &[(Scenario, Verdict)]) -> String {
    let failed = |(_, verdict): &&(Scenario, Verdict)| !verdict.passed();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let (tests, failures) = (played.len(), played.iter().filter(failed).count());
    put(&mut out, format_args!("<testsuites name=\"ringmaster test\" tests=\"{tests}\" failures=\"{failures}\">\n"));
    for file in played.chunk_by(|(one, _), (other, _)| one.file == other.file) {
        let name = escaped(&file[0].0.file);
        let (tests, failures) = (file.len(), file.iter().filter(failed).count());
        put(&mut out, format_args!("  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\">\n"));
        file.iter().for_each(|(scenario, verdict)| case(scenario, verdict, &mut out));
        out.push_str("  </testsuite>\n");
    }
    out + "</testsuites>\n"
}

fn case(scenario: &Scenario, verdict: &Verdict, out: &mut String) {
    let (name, saga, file) = (escaped(&scenario.name), escaped(&scenario.definition.name), escaped(&scenario.file));
    let begin = format!("    <testcase name=\"{name}\" classname=\"{saga}\" file=\"{file}\" line=\"{}\"", scenario.line);
    let Some(first) = verdict.misses.first() else {
        return put(out, format_args!("{begin}/>\n"));
    };
    let all: String = verdict.misses.iter().map(|miss| format!("{}:{}: {}\n", scenario.file, miss.line, miss.message)).collect();
    let (message, text) = (escaped(&first.message), escaped(&format!("{all}\n{}", verdict.diff)));
    put(out, format_args!("{begin}>\n      <failure message=\"{message}\">{text}</failure>\n    </testcase>\n"));
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory");
}

/// Text in XML. What XML has no place for becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(letter),
            letter if letter.is_control() || ('\u{fffe}'..='\u{ffff}').contains(&letter) => out.push('?'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_breaks_the_xml() {
        assert_eq!(escaped("<a b=\"c\">&\u{1b}\n\u{ffff}ä"), "&lt;a b=&quot;c&quot;&gt;&amp;?\n?ä");
    }
}
