//! What to do about a text that is no YAML.

/// Nobody writes so deep a definition.
pub(super) const DEEP: &str = "what is so deep is divided: into rules, or into a saga of its own that is run";

/// By what the parser says, and by what stands where it does.
pub(super) fn hint(info: &str, text: &str, at: usize) -> String {
    let line = text[..at].rsplit('\n').next().unwrap_or_default();
    let next = text[at..].chars().next();
    let before = text[..at].trim_end().rsplit('\n').next().unwrap_or_default();
    if info.contains("recursion limit") {
        DEEP.into()
    } else if line.ends_with("${") || line.ends_with('$') {
        "an expression stands as it is, without ${ }".into()
    } else if info.contains("expected '-' indicator") {
        "what belongs to a step begins below its name: indent it as far as 'step'".into()
    } else if info.contains("simple key expect ':'") && before.contains(':') {
        format!("a space follows a key's colon: {}", before.trim().replacen(':', ": ", 1))
    } else if info.contains("quoted scalar") {
        "a quote is not closed".into()
    } else if line.contains('\t') || next == Some('\t') {
        "YAML is indented by spaces, not by tabs".into()
    } else if info.contains("flow mapping") && next != Some('\'') {
        "in { } a comma stands between fields, and an expression with `, : { } [ ] # & * !` must be quoted".into()
    } else if next.is_some_and(|c| "`@%*&!:".contains(c)) || line.matches(": ").count() > 1 {
        "an expression with `, : { } [ ] # & * !` must be quoted".into()
    } else {
        String::new()
    }
}
