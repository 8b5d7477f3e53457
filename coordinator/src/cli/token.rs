//! `token create`, `list` and `revoke`: who may ask a coordinator over HTTP.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use ringmaster_bus::clock::wall;
use serde::Serialize;
use serde_json::Value;

use super::definitions::say;
use super::exit::{Exit, Failure};
use super::saga::text;
use super::text::{self, printable};
use crate::api::allowed::Role;
use crate::api::client::Address;
use crate::api::tokens::{Made, TokenFile};
use crate::config::{Config, values};

pub(super) const EXAMPLES: &str = "\
Examples:
  (umask 077; ringmaster token create --name alice --role operator --expires 30d > alice.token)
  ringmaster token create --name prometheus --role metrics --expires 365d --file tokens.toml
  ringmaster token list
  ringmaster token revoke 5f0c1a2b3c4d";

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token and print it: it is told this once, and nobody can tell it again.
    Create {
        /// Whom it is for, as logs name them.
        #[arg(long, value_parser = name)]
        name: String,
        /// What they may: viewer, reader, operator, operator:DEFINITION, approver:ROLE, deployer, admin or metrics. May be given several times.
        #[arg(long = "role", required = true, value_name = "ROLE", value_parser = role)]
        roles: Vec<Role>,
        /// How long it is good, for example 30d.
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Duration,
        /// A JSON object, with what is known of it.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: FileArguments,
    },
    /// List tokens: whom each was made for, what they may, and until when. Secrets are known to nobody.
    List {
        /// One JSON object a token and line.
        #[arg(long)]
        json: bool,
        /// Ask the coordinator at this address instead of the file, as an admin: it knows when each was last used there.
        #[arg(long, value_name = "URL")]
        api: Option<Address>,
        #[command(flatten)]
        file: FileArguments,
    },
    /// Say that a token is good no more. Coordinators that run know it within a second.
    Revoke {
        /// The middle of the token, as `list` prints it.
        id: String,
        #[command(flatten)]
        file: FileArguments,
    },
}

#[derive(Debug, Args)]
pub(super) struct FileArguments {
    /// The file of tokens; api.tokens of the settings without it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl FileArguments {
    fn of(&self, config: &Config) -> Result<TokenFile, Failure> {
        let path = self.file.as_ref().or(config.api.tokens.as_ref());
        let none = || Failure::new(Exit::Usage, "which file of tokens? Name it by --file, or in the settings by api.tokens");
        path.map(TokenFile::new).ok_or_else(none)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    values::duration_within("1m", "3650d")(text)
}

fn role(text: &str) -> Result<Role, String> {
    text.parse()
}

fn name(text: &str) -> Result<String, String> {
    let is_one = (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if is_one { Ok(text.to_owned()) } else { Err("a name has 1 to 100 characters".to_owned()) }
}

fn failed(why: String) -> Failure {
    Failure::new(Exit::Failed, why)
}

/// `ringmaster token`
pub(super) fn token(config: &Config, command: &TokenCommand, out: &mut dyn Write) -> Result<(), Failure> {
    let now = wall();
    match command {
        TokenCommand::Create { name, roles, expires, json, file } => {
            let expires = now.saturating_add(expires.as_millis() as i64);
            let Made { known, token } = file.of(config)?.create(name, roles, now, expires).map_err(failed)?;
            if !*json {
                // Nothing else, so that it can be sent into a file as it is.
                return say(out, format_args!("{token}"));
            }
            let mut shown = json_of(&known.show(now));
            shown["token"] = token.into();
            say(out, format_args!("{shown}"))
        }
        TokenCommand::List { json, api, file } => {
            let all: Vec<Value> = match api {
                Some(_) => {
                    let answer = super::asking::ask(config, api.as_ref(), "/api/v1/tokens")?;
                    answer["tokens"].as_array().cloned().unwrap_or_default()
                }
                None => file.of(config)?.read().map_err(failed)?.iter().map(|known| json_of(&known.show(now))).collect(),
            };
            list(&all, *json, api.is_some(), out)
        }
        TokenCommand::Revoke { id, file } => {
            let file = file.of(config)?;
            match file.revoke(id, now).map_err(failed)? {
                true => say(out, format_args!("revoked {id}")),
                false => {
                    let why = format_args!(
                        "{}: there is no token of the ID '{id}'; `ringmaster token list` shows all",
                        file.path().display()
                    );
                    Err(Failure::new(Exit::NotFound, why))
                }
            }
        }
    }
}

fn json_of(shown: &impl Serialize) -> Value {
    serde_json::to_value(shown).expect("it is JSON")
}

fn list(all: &[Value], as_json: bool, with_use: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if as_json {
        return all.iter().try_for_each(|known| say(out, format_args!("{known}")));
    }
    if all.is_empty() {
        return say(out, format_args!("there is no token"));
    }
    let last = if with_use { &["LAST USED"][..] } else { &[] };
    let mut table = text::table([&["ID", "NAME", "ROLES", "STATE", "EXPIRES"], last].concat());
    for known in all {
        let roles = known["roles"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(" ");
        let shown = |name: &str| known[name].as_str().map_or_else(|| "-".to_owned(), |text| printable(text.as_bytes()));
        let mut row = vec![shown("id"), shown("name"), roles, shown("state"), shown("expires")];
        if with_use {
            row.push(shown("last_used"));
        }
        table.add_row(row);
    }
    say(out, format_args!("{table}"))
}
