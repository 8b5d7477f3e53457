//! Whole files, hostile ones, and where things stand in them.

use super::*;

fn first(text: &str) -> String {
    match load(text) {
        Ok(documents) => format!("{} documents", documents.len()),
        Err(errors) => format!("{}: {} ({})", errors[0].span.start, errors[0].message, errors[0].hint),
    }
}

#[test]
fn hostile_files_are_errors_and_cost_little() {
    let deep = |found: &str| found.contains("nested deeper than 64 levels (what is so deep is divided");
    ["- ".repeat(20_000), "[".repeat(20_000), "{a: [".repeat(20_000)]
        .iter()
        .for_each(|text| assert!(deep(&first(text)), "{}", first(text)));
    assert!(first("a: &x [1]\nb: *x").contains("anchors"));
    assert!(first("a: !!str x").contains("tags"));
    assert!(first("a: 1\nb: {c: 1, c: 2}\na: 3").contains("'c' is defined twice (it is first on line 2)"));
    assert!(first("a: 1\né: 2\né: 3").contains("'é' is defined twice (it is first on line 2)"));
    assert!(first("? [a]\n: b").contains("a key must be a word"));
    assert!(first("a:\n\t- b").contains("tabs"));
    assert!(first(&"x".repeat(FILE_BYTES_MAX + 1)).contains("split it"));
    assert!(first(&"- a\n".repeat(NODES_MAX)).contains("more than 50000 nodes"));
}

#[test]
fn nothing_of_a_file_is_passed_over() {
    for wrong in ['\0', '\u{1}', '\u{7f}', '\u{9f}', '\u{ffff}'] {
        let text = format!("a: 1\n{wrong}---\nb: 2\n");
        assert!(first(&text).starts_with("5: the character U+"), "{wrong:?}: {}", first(&text));
        assert_eq!(load(&text).expect_err("it is wrong")[0].span.end, 5 + wrong.len_utf8());
    }
    for (text, count) in [
        ("a: 1\n---\nb: 2\n", 2),
        ("a: 1\r\n---\r\nb: 2\r\n", 2),
        ("a: 1\n...\n---\nb: 2\n", 2),
        ("%YAML 1.2\n---\na: 1\n", 1),
        ("a: 1\n--- # behind\nb: 2", 2),
        ("--- {a: 1}\n--- {b: 2}\n", 2),
        ("a: 1\n---\n~\n---\n", 1),
        ("\u{feff}a: 1\n---\nb: 2\n", 2),
    ] {
        assert_eq!(first(text), format!("{count} documents"), "{text:?}");
    }
    assert!(!first("a: 1\n...\nb: 2\n").starts_with("1 documents"), "{}", first("a: 1\n...\nb: 2\n"));
}

#[test]
fn expressions_keep_their_place_whatever_way_they_are_written() {
    let text = "ü: start.a > 1\nb: 'x == 1'\nc: \"y == \\\"q\\\"\"\nd: |\n  size(z) > 0\ne: >-\n  one\n  two\nf: a &&\n  b\n";
    let documents = load(text).unwrap();
    let Kind::Map(entries) = &documents[0].root.kind else { panic!() };
    let places: Vec<_> = entries.iter().map(|(_, value)| value.expression(text)).collect();
    for (source, at) in &places {
        if let Some(at) = at {
            assert_eq!(&text[*at..*at + source.len()], *source);
        }
    }
    assert_eq!(
        places.iter().map(|(source, _)| *source).collect::<Vec<_>>(),
        ["start.a > 1", "x == 1", "y == \"q\"", "size(z) > 0", "one two", "a &&\n  b"]
    );
    assert_eq!(places.iter().filter(|(_, at)| at.is_none()).count(), 2, "escaped and folded ones have no place");
}

#[test]
fn documents_are_their_part_of_the_file() {
    let text = "# first\na: 1\n---\nb: 2\n---\n";
    let documents = load(text).unwrap();
    let parts: Vec<_> = documents.iter().map(|document| &text[document.span.clone()]).collect();
    assert_eq!(parts, ["# first\na: 1\n", "---\nb: 2\n"]);
    for part in parts {
        assert_eq!(load(part).unwrap().len(), 1);
    }
}

/// What is wrong with one document hides nothing of the others, wherever it stands; what is beyond a limit is so as a whole.
#[test]
fn documents_are_read_beside_one_that_is_none() {
    for (text, good, wrong) in [
        ("a: 1\n---\nb: [\n---\nc: 1\n", 2, 1),
        ("a: [\n---\nb: [\n---\nc: 1\n", 1, 2),
        ("# first\n%YAML 1.2\n---\na: 1\n---\nb: '\n", 1, 1),
        ("--- { a: 1 }\n--- [ }\n", 1, 1),
        ("a: 1\n...\n---\nb: }\n", 1, 1),
        ("ü: 1\n---\nb: [ ü\n---\nc: ü\n", 2, 1),
        ("a: 1\n---\nb: \u{1}\n", 1, 1),
        ("a: |\n  ---\nb: [\n", 0, 1),
        ("a: !x\n---\nb: &y 1\n", 2, 2),
        ("saga: a\nsaga: b\n---\nsaga: c\nb: 1\nb: 2\n", 3, 2),
        (&"---\n- a\n".repeat(NODES_MAX / 2), 0, 1),
    ] {
        let reading = read(text);
        let shown = &text[..text.len().min(60)];
        assert_eq!((reading.documents.len(), reading.errors.len()), (good, wrong), "{shown:?}: {:?}", reading.errors);
        for document in &reading.documents {
            let (span, root) = (&document.span, &document.root.span);
            assert!(
                span.start <= root.start && text[span.clone()].contains(text[root.clone()].trim_end()),
                "{shown:?}: {document:?}"
            );
        }
        let is_unread = |error: &YamlError| reading.unread.iter().any(|part| part.contains(&error.span.start.min(part.end - 1)));
        assert!(reading.unread.is_empty() || reading.errors.iter().any(is_unread), "{shown:?}: {:?}", reading.unread);
    }
}

/// Nothing that the parser says is told as it says it.
#[test]
fn what_is_no_yaml_is_told_in_plain_words() {
    for text in [
        "a: [ 1, }",
        "a: { b: 1",
        "a: ]",
        "a: @b",
        "a: `b`",
        "a: %b",
        "a: \"b",
        "a: 'b",
        "a: \"\\d\"",
        "a: 'b' c",
        "a: b: c",
        "a: 1\n b: 2",
        "a:\n  - b\n  c: 1",
        "a: - b",
        "- a\nb: 1",
        "a: | b",
        "a\nb: 1",
        "a: &",
        "a: *",
        "a: !<",
        "{ a: 1 }}",
        "a: {b:{c: 1}}",
        "-a\nb: 1",
        "%X\na: 1",
        "a: 1\n%YAML 1.2\n---\nb: 1",
        "a: [1,,2]",
        "? a : b : c",
        "a: {\n}\n}",
        "a: >5x\n b",
        "a:\n\tb: 1",
        "[a, b",
        "'a'b: 1",
    ] {
        let reading = read(text);
        for error in &reading.errors {
            for raw in
                ["while ", "did not find", "expected", "not allowed in this context", "disallowed", "scalar", "mapping", "sequence"]
            {
                assert!(!error.message.contains(raw), "{text:?}: {error:?}");
            }
            assert!(!error.hint.is_empty(), "{text:?}: {error:?}");
        }
        assert!(!reading.errors.is_empty() || ["-a\nb: 1", "a: {b:{c: 1}}"].contains(&text), "{text:?} is YAML");
    }
}
