//! What is wrong with a text that is no expression, and what to do.

use super::parse::PARSER_DEPTH_MAX;

/// What the parser says, in words of this language, and what to do if that is known. It lists every token that could follow; the first
/// words say enough.
pub(super) fn told(message: &str) -> (String, &'static str) {
    if message.contains("ecursion limit") {
        return (format!("it is nested more than {PARSER_DEPTH_MAX} levels deep"), "divide it into rules");
    }
    if message.contains("invalid argument to has()") {
        return ("has() asks whether a field is there".into(), "name the field: has(start.FIELD), or has(steps.NAME)");
    }
    let line = message.lines().next().unwrap_or_default();
    let line = line.strip_prefix("Syntax error: ").unwrap_or(line);
    let line = line.split(" expecting ").next().unwrap_or(line);
    if line.contains("'<EOF>'") {
        return ("it ends too early".into(), "");
    }
    let known = [
        ("Incomplete `ExprContext`", "a choice is not whole", "CONDITION ? VALUE : OTHER"),
        ("Incomplete `IndexContext`", "an index is not whole", "list[0], map['key']"),
        ("unsupported ident kind", "a name is missing behind a point", "start.FIELD, or start.?FIELD where it may be absent"),
        ("reserved identifier", "a word of the language stands where a name should", ""),
        ("argument must be a simple name", "what an item is called comes first", "list.all(x, x.FIELD > 1)"),
        ("invalid int literal", "the number is too large", "a whole number has at most 18 digits; else decimal('...')"),
        ("invalid double literal", "the number is too large", "write decimal('...')"),
    ];
    if let Some((_, told, hint)) = known.iter().find(|(part, ..)| line.contains(part)) {
        return ((*told).to_owned(), hint);
    }
    // Of what the parser had read until then the end is what it could not go on with.
    let parts = ["mismatched input ", "extraneous input ", "no viable alternative at input ", "token recognition error at: "];
    match parts.iter().find_map(|part| line.strip_prefix(part)) {
        Some(input) => (format!("{} cannot stand here", input.replace(" '", "'")), ""),
        None => ("it cannot be read".to_owned(), ""),
    }
}

/// Operators of other languages, the longer ones first, and what is written here.
const OPERATORS: [(&str, &str); 22] = [
    ("===", "equality is written =="),
    ("!==", "inequality is written !="),
    ("<>", "inequality is written !="),
    ("=<", "less or equal is written <="),
    ("=>", "greater or equal is written >=; a loop is list.exists(x, x.FIELD > 1)"),
    ("->", "a loop is list.exists(x, x.FIELD > 1)"),
    ("??", "what stands for something absent is written .orValue(...)"),
    ("?:", "what stands for something absent is written .orValue(...)"),
    ("?.", "what may be absent is written .?FIELD"),
    (":=", "equality is written =="),
    ("~=", "there are startsWith, endsWith, contains"),
    ("**", "there are no powers: write x * x"),
    ("++", "write + 1"),
    ("+=", "an expression changes nothing: write x + y"),
    ("-=", "an expression changes nothing: write x - y"),
    (" is not null", "what is there is x != null, or has(x.FIELD)"),
    (" is null", "what is absent is x == null, or !has(x.FIELD)"),
    (" is ", "equality is written =="),
    (" like ", "there are startsWith, endsWith, contains"),
    (" between ", "write x >= 1 && x <= 9"),
    (" equals ", "equality is written =="),
    (" contains ", "write text.contains('a'), or 'a' in list"),
];

/// By what the text looks like where that is clear; `known` is what the parser's words say.
pub(super) fn hint(text: &str, known: &'static str) -> &'static str {
    match by_signs(text) {
        Some(hint) => hint,
        None if !known.is_empty() => known,
        None => by_look(text),
    }
}

/// Signs and words of other languages.
fn by_signs(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let code = without_texts(text);
    let padded = format!(" {} ", without_texts(&lower));
    let has_word = |word: &str| padded.contains(&format!(" {word} "));
    Some(if text.contains("[*]") {
        "a list is named as it is, without [*]"
    } else if text.contains("${") || text.contains("{{") || code.contains('$') {
        "an expression stands as it is, without ${ }, {{ }} or $"
    } else if text.matches('\'').count() % 2 == 1 && !text.contains('"') {
        "a quote is not closed"
    } else if has_word("not in") {
        "not in is written !(x in [ ... ])"
    } else if padded.starts_with(" in ") {
        "what is looked for stands in front: key in [ 'a', 'b' ]"
    } else if padded.starts_with(" if ") || (has_word("if") && has_word("else")) {
        "a choice is written CONDITION ? VALUE : OTHER"
    } else {
        // A text of words without quotes may hold any of them.
        let is_text = code.chars().all(|letter| letter.is_alphanumeric() || letter == ' ');
        return OPERATORS
            .iter()
            .find(|(sign, _)| padded.contains(sign) && !(is_text && sign.starts_with(' ')))
            .map(|(_, hint)| *hint);
    })
}

/// By what is missing, or stands too much.
fn by_look(text: &str) -> &'static str {
    let code = without_texts(text);
    let padded = format!(" {} ", code.to_lowercase());
    let is_single = |sign: char| code.contains(sign) && !code.contains(&format!("{sign}{sign}"));
    if [" and ", " or ", " not "].iter().any(|word| padded.contains(word)) || is_single('&') || is_single('|') {
        "and, or, not are written &&, ||, !"
    } else if code.contains('=') && !["==", ">=", "<=", "!="].iter().any(|sign| code.contains(sign)) {
        "equality is written =="
    } else if code.matches('(').count() != code.matches(')').count() {
        "the parentheses do not match; in { } an expression with a comma must be quoted"
    } else if code.contains(';') {
        "an expression is one value, without ;"
    } else if code.contains('^') {
        "there are no powers: write x * x"
    } else if text.trim_end().ends_with(|letter: char| "+-*/%<>=!&|?:.,".contains(letter)) {
        "something is missing at its end"
    } else if text.trim_start().starts_with(|letter: char| "+*/%<>=&|?:.,)]}".contains(letter)) {
        "something is missing in front of it"
    } else if numbered(&code) {
        "an item of a list is list[0], the first; a name begins with a letter"
    } else if are_values(&code) {
        "two values stand side by side: an operator between them is missing, for example &&, == or +"
    } else if text.chars().all(|c| c.is_alphanumeric() || " _,.!-".contains(c)) {
        "a text is written \"'in quotes of its own'\""
    } else {
        "write values and operators: start.total > 10 && start.region == 'EU'; a text has quotes of its own"
    }
}

/// An expression without what stands in its quotes.
fn without_texts(text: &str) -> String {
    let mut open = None;
    let keep = |letter: &char| match open {
        None if matches!(letter, '\'' | '"') => {
            open = Some(*letter);
            true
        }
        Some(quote) if quote == *letter => {
            open = None;
            true
        }
        Some(_) => false,
        None => true,
    };
    text.chars().filter(keep).collect()
}

/// `a.1`: a number where a field's name should stand.
fn numbered(code: &str) -> bool {
    let mut before = ['0', '0'];
    code.chars().any(|letter| {
        let found =
            letter.is_ascii_digit() && before[1] == '.' && (before[0].is_alphabetic() || matches!(before[0], '_' | ')' | ']'));
        before = [before[1], letter];
        found
    })
}

/// Words of which one is a value for certain, and nothing between them.
fn are_values(code: &str) -> bool {
    const NAMES: [&str; 10] = ["true", "false", "null", "key", "event", "start", "now", "index", "round", "failure"];
    let is_value = |word: &str| {
        let first = word.split(['.', '[', '(']).next().unwrap_or_default();
        NAMES.contains(&first)
            || word.starts_with(['\'', '"']) && word.len() > 1
            || word.parse::<f64>().is_ok()
            || ["steps.", "rules."].iter().any(|root| word.starts_with(root))
    };
    let words: Vec<&str> = code.split_whitespace().collect();
    let touches = |pair: &[&str]| {
        let is_end = |word: &str| word.ends_with(|letter: char| letter.is_alphanumeric() || "_)]'\"".contains(letter));
        let is_begin = |word: &str| word.starts_with(|letter: char| letter.is_alphanumeric() || "_'\"".contains(letter));
        is_end(pair[0]) && is_begin(pair[1]) && (is_value(pair[0]) || is_value(pair[1])) && pair[0] != "in" && pair[1] != "in"
    };
    words.windows(2).any(touches)
}
