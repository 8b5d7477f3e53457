//! What a filter says, and what is said of one that is wrong.

use super::*;

fn parsed(text: &str) -> Filter {
    Filter::parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}

#[test]
fn a_filter_says_what_is_meant() {
    let text = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    let filter = parsed(
        "status:stuck,running  definition:order-fulfilment version:3 waits:reply participant:payment step:charge code:CARD_DECLINED \
         since:>2h key:ord-1*,\"a*\" customer=c-7 note=\"a, b\\\"\\\\\"",
    );
    assert_eq!(filter.statuses, [Standing::Stuck, Standing::Running].into());
    assert_eq!((filter.definitions, filter.versions), (text(&["order-fulfilment"]), [3].into()));
    assert_eq!((filter.leaf.reasons, filter.leaf.participants), (text(&["reply"]), text(&["payment"])));
    assert_eq!((filter.leaf.steps, filter.leaf.codes), (text(&["charge"]), text(&["CARD_DECLINED"])));
    assert_eq!((filter.leaf.since, filter.started), (Some(When::Longer(7_200_000)), None));
    let pattern = |text: &str, is_begin| Pattern { text: text.to_owned(), is_begin };
    assert_eq!(filter.keys, [pattern("ord-1", true), pattern("a*", false)]);
    let by = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(filter.search, [by("customer", "c-7"), by("note", "a, b\"\\")]);
    assert_eq!(parsed(" \t "), Filter::default());
    assert_eq!(parsed("since:<2026-01-31T00:00:00Z").leaf.since, Some(When::Before(1_769_817_600_000)));
    assert_eq!(parsed("started:>2026-01-31T00:00:00Z").started, Some(When::After(1_769_817_600_000)));
    assert_eq!(parsed("definition:o customer=\"\"").search, [by("customer", "")]);
}

#[test]
fn a_mistake_is_told_with_its_place_and_what_to_do() {
    for (text, column, message, hint) in [
        ("stuck", 1, "'stuck' is no term", "status:stuck"),
        ("  stat:stuck", 3, "there is no term 'stat:'", "status, definition"),
        ("status:running,stuk", 16, "'stuk' is no status", "stuck, parked"),
        ("waits:nothing", 7, "'nothing' is no reason to wait", "reply, retry"),
        ("status:", 8, "a value is missing", "\"\""),
        ("status:stuck,", 14, "a value is missing", "\"\""),
        (":x", 1, "':' is no term", "status:stuck"),
        ("version:0", 9, "'0' is no version", "from 1"),
        ("since:2h", 7, "'2h' says neither > nor <", ">2h"),
        ("since:>2x", 7, "'2x' is neither an age nor a time", ">2h"),
        ("since:>2h,<3h", 1, "it says one time", ">2h"),
        ("key:\"a", 5, "these quotes do not end", "another"),
        ("key:\"a\\n\"", 7, "stands before nothing", "\\\\"),
        ("key:\"a\"b", 8, "something follows the quotes", "space"),
        ("status:stuck status:parked", 14, "'status:' is there twice", "status:ONE,OTHER"),
        ("customer=c", 1, "'customer=' says no definition", "definition:NAME"),
        ("definition:\u{1f600} sta\u{fc}s:x", 14, "there is no term 'sta\u{fc}s:'", "status"),
    ] {
        let wrong = Filter::parse(text).expect_err(text);
        assert_eq!(wrong.column, column, "{text}: {wrong:?}");
        assert!(wrong.message.contains(message) && wrong.hint.contains(hint), "{text}: {wrong:?}");
    }
    let many = format!("key:{}", vec!["k"; VALUES_MAX + 1].join(","));
    let searched = format!("definition:o {}", "a=b ".repeat(SEARCH_MAX + 1));
    for text in ["x".repeat(BYTES_MAX + 1), many, searched] {
        assert!(Filter::parse(&text).expect_err("it is bounded").message.contains("at most"));
    }
}

/// Whatever comes is read or refused, and a place lies within what came.
#[test]
fn no_text_is_too_odd() {
    let pieces =
        ["status", ":", "=", "\"", "\\", ",", " ", "stuck", "since", ">", "2h", "key", "*", "\u{1f600}", "%2F", "\0", "\n"];
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let text: String = (0..random.usize(..12)).map(|_| pieces[random.usize(..pieces.len())]).collect();
        if let Err(wrong) = Filter::parse(&text) {
            assert!((1..=text.chars().count() + 1).contains(&wrong.column), "{text:?}: {wrong:?}");
        }
    }
}
