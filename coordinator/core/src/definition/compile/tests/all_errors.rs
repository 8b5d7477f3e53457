//! All errors of a file are told at once: what cannot be read hides nothing of what is wrong elsewhere in its definition.

use expect_test::expect_file;

use super::errors::errors;
use super::newcomer::told;

#[test]
fn what_cannot_be_read_hides_nothing() {
    told(&expect_file!["all_errors.txt"]);
}

/// Breaks one place after the other of a definition that has three mistakes of kinds that are found last: they are told in any case.
#[test]
fn each_broken_place_leaves_the_mistakes_elsewhere() {
    const WRONG: [&str; 3] =
        ["a string has no fields", "'lost' does not say how it is undone", "level: 'MIDDLE' is none of LOW, HIGH"];
    let whole = include_str!("all_errors.yaml");
    assert!(WRONG.iter().all(|wrong| errors(whole).contains(wrong)), "{}", errors(whole));
    assert_eq!(errors(whole).matches("error: ").count(), WRONG.len(), "{}", errors(whole));
    let lines: Vec<&str> = whole.lines().collect();
    let mut broken_count = 0;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.contains(": ") && !line.contains("mistake")) {
        let (key, value) = line.split_once(": ").unwrap();
        let odd = [format!("{key}: has(start)"), format!("{key}: [ 1 ]"), format!("{key}x: {value}"), format!("{key}:")];
        for odd in odd {
            // A block scalar's or a map's head has lines below that would be none of it then.
            let text: Vec<&str> = lines.iter().enumerate().map(|(other, line)| if other == at { &*odd } else { *line }).collect();
            let found = errors(&(text.join("\n") + "\n"));
            if found.contains("is not YAML") || found.is_empty() {
                continue;
            }
            broken_count += 1;
            for wrong in WRONG {
                assert!(found.contains(wrong), "line {}: {odd}\nhides: {wrong}\nand tells:\n{found}", at + 1);
            }
        }
    }
    assert!(broken_count > 60, "{broken_count}");
}
