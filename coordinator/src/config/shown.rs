//! Settings as people see them: what holds, and where that is said. Secrets are not shown, whoever asks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::layers::Layers;

/// What stands in place of a secret.
const MASK: &str = "***";

/// What a setting's name has in it whose value is nobody's to read: a webhook of `alerts` may say who we are, and so may where traces go
/// and what is said there; settings of Kafka's client may hold a password beside other things, as may the command of a member.
const SECRET: [&str; 11] =
    ["password", "secret", "token", "key", "alert", "jaas", "oauthbearer.config", "kinit", "command", "tracing.endpoint", "header"];

/// A setting, as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Setting {
    /// Its name, with dots.
    pub name: String,
    /// What is said of it, or else its default; `***` where it may be a secret, and null where it has none. More memory than is said is taken
    /// where partitions need it, and no more workers than partitions.
    pub value: Option<String>,
    /// Where that is said: a place in a file, a variable of the environment, a flag, or `default`.
    pub from: String,
}

impl Setting {
    /// A setting that is said somewhere, or by default.
    pub(super) fn new(name: String, value: Option<&str>, from: String) -> Setting {
        let value = value.map(|value| if is_secret(&name) { MASK.to_owned() } else { value.to_owned() });
        Setting { name, value, from }
    }
}

/// Whether what a setting of this name says may be a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|word| name.contains(word))
}

/// A flag for people: without its value, if that may be a secret. Misspelt ones are shown too, so their names decide; a value that is a table
/// has names of its own.
pub(super) fn masked(flag: &str) -> String {
    match flag.split_once('=') {
        Some((name, value)) if is_secret(name) || value.trim_start().starts_with('{') => format!("{name}={MASK}"),
        _ => flag.to_owned(),
    }
}

/// All settings that were asked for, in the order of their names: what is said, and what the printed defaults say of the others.
pub(super) fn shown(said: Vec<Setting>, defaults: &str) -> Vec<Setting> {
    let defaults = Layers::default().file(std::path::Path::new("default"), defaults);
    let with_default = |setting: Setting| match (&setting.value, defaults.text_of(&setting.name)) {
        (None, Some(text)) => Setting::new(setting.name, Some(text), setting.from),
        _ => setting,
    };
    let mut all: Vec<Setting> = said.into_iter().map(with_default).collect();
    // Of what is passed through nobody asks for more than what is said.
    let is_said = |all: &[Setting], name: &str| all.iter().any(|setting| setting.name == name);
    for (name, text) in defaults.texts() {
        if !is_said(&all, &name) {
            all.push(Setting::new(name, Some(text), "default".to_owned()));
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever looks for a secret in the settings is told by which names it is hidden.
    #[test]
    fn the_documents_name_all_that_is_masked() {
        let page = include_str!("../../../docs/OPERATING.md");
        let said =
            page.lines().skip_while(|line| !line.starts_with("`GET /api/v1/settings`")).take(2).collect::<Vec<_>>().join(" ");
        for word in SECRET {
            assert!(said.contains(&format!("`{word}`")), "{word}: {said}");
        }
    }
}
