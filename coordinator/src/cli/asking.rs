//! Asking a coordinator: it answers for all instances.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::exit::{Exit, Failure};
use super::text::printable;
use crate::api::client::{self, Address, Answer, Caller, Means};
use crate::api::{ActAnswer, ActBody, FileMistake, Missing};
use crate::config::Config;

/// Which coordinator is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// The coordinator's address, such as https://localhost:8080; api.listen by default. RINGMASTER_TOKEN_FILE names a file with a token.
    #[arg(long, value_name = "URL", env = "RINGMASTER_URL", hide_env_values = true)]
    pub(super) api: Option<Address>,
}

/// Asks an instance, which answers for all of them; its answer as what the API says it is.
pub(super) fn ask_typed<T: DeserializeOwned>(config: &Config, api: Option<&Address>, path: &str) -> Result<T, Failure> {
    let address = address(config, api)?;
    typed(&address, &get(&address, path)?)
}

/// Asks the same again and again, and waits no longer than this for each answer; errors say why there is none. A token that was changed
/// meanwhile is read again.
pub(super) fn ask_again<T: DeserializeOwned>(
    config: &Config,
    api: Option<&Address>,
    path: &'static str,
    patience: Duration,
) -> Result<impl FnMut() -> Result<T, String> + use<T>, Failure> {
    let address = address(config, api)?;
    let mut caller = None;
    Ok(move || {
        let asks = match caller.take() {
            Some(caller) => caller,
            None => client::caller_within(&address, &Means::from_environment(), patience)?,
        };
        let told = typed(&address, &asks.get(path)?).map_err(|failure| failure.message)?;
        // One by which nothing was told is made anew.
        caller = Some(asks);
        Ok(told)
    })
}

/// The same, as it comes.
pub(super) fn ask(config: &Config, api: Option<&Address>, path: &str) -> Result<Value, Failure> {
    let address = address(config, api)?;
    let answer = get(&address, path)?;
    read(&address, &answer)
}

/// Asks for an act; the answer, which may be that it is open.
pub(super) fn post(config: &Config, api: Option<&Address>, body: &ActBody) -> Result<ActAnswer, Failure> {
    let by = body.by.clone();
    post_typed(config, api, ("/api/v1/acts", by), |by| ActBody { by, ..body.clone() })
}

/// Asks for something, by a body that says who wants it unless a token does.
pub(super) fn post_typed<B: Serialize, T: DeserializeOwned>(
    config: &Config,
    api: Option<&Address>,
    (path, by): (&str, Option<String>),
    body: impl FnOnce(Option<String>) -> B,
) -> Result<T, Failure> {
    let address = address(config, api)?;
    let caller = caller(&address)?;
    let body = body(by.filter(|_| !caller.has_token()));
    let key = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let text = serde_json::to_string(&body).expect("texts are always JSON");
    let answer = caller.post(path, &text, &[("idempotency-key", &key)]);
    let answer = answer.map_err(|why| match why.ends_with(client::NOBODY) {
        true => Failure::new(Exit::Unreachable, why),
        false => Failure::new(Exit::Unreachable, format_args!("{why}; whether it is done is not known")),
    })?;
    typed(&address, &answer)
}

/// An answer as what the API says it is.
fn typed<T: DeserializeOwned>(address: &Address, answer: &Answer) -> Result<T, Failure> {
    let unknown = |error| Failure::new(Exit::Failed, format_args!("another version of Ringmaster answers: {error}"));
    serde_json::from_value(read(address, answer)?).map_err(unknown)
}

/// What an answer says, or which failure it is.
pub(super) fn read(address: &Address, answer: &Answer) -> Result<Value, Failure> {
    let body: Value = serde_json::from_str(&answer.body)
        .map_err(|_| Failure::new(Exit::Failed, format_args!("what answers at {address} is not a coordinator")))?;
    let why = || body["detail"].as_str().unwrap_or("no reason given").to_owned();
    match answer.code {
        200 | 202 => Ok(body),
        400 => Err(Failure::new(Exit::Usage, why())),
        401 => {
            Err(Failure::new(Exit::NotAllowed, format_args!("{address}: {} (RINGMASTER_TOKEN_FILE names a file with one)", why())))
        }
        403 => Err(Failure::new(Exit::NotAllowed, format_args!("{address}: {}", why()))),
        404 => Err(Failure::new(Exit::NotFound, why())),
        409 => {
            let reason = body["reason"].as_str().map_or_else(String::new, |reason| format!("{reason}: "));
            Err(Failure::new(Exit::Rejected, format_args!("{reason}{}", why())))
        }
        422 => Err(Failure::new(Exit::Definition, mistakes(&body).unwrap_or_else(why))),
        _ => Err(Failure::new(Exit::Failed, why())),
    }
}

/// What is wrong with files, a line each.
fn mistakes(body: &Value) -> Option<String> {
    let errors: Vec<FileMistake> = serde_json::from_value(body["errors"].clone()).ok()?;
    let line = |FileMistake { file, line, column, message, hint, .. }: &FileMistake| {
        let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
        printable(format!("{file}:{line}:{column}: error: {message}{hint}").as_bytes())
    };
    Some(errors.iter().map(line).collect::<Vec<_>>().join("\n"))
}

pub(super) fn caller(address: &Address) -> Result<Caller, Failure> {
    client::caller(address, &Means::from_environment()).map_err(|why| Failure::new(Exit::Refused, why))
}

fn get(address: &Address, path: &str) -> Result<Answer, Failure> {
    caller(address)?.get(path).map_err(|why| Failure::new(Exit::Unreachable, why))
}

/// Who is asked: the one that is named, or the one that these settings are for.
pub(super) fn address(config: &Config, api: Option<&Address>) -> Result<Address, Failure> {
    if let Some(address) = api {
        return Ok(address.clone());
    }
    let Some(listen) = config.api.listen else {
        return Err(Failure::new(Exit::Usage, "the settings say api.listen = \"off\": name the coordinator's address with --api"));
    };
    // What listens on all addresses of this machine listens on loopback.
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let address = Address::from(SocketAddr::new(ip, listen.port()));
    Ok(Address { is_https: config.api.tls.is_some(), ..address })
}

/// Says on standard error which partitions an answer leaves out, and why.
pub(super) fn say_missing(missing: &[Missing]) {
    for Missing { partition, why } in missing {
        // Nobody need listen.
        let _ = writeln!(std::io::stderr(), "partition {partition} is left out: {}", printable(why.as_bytes()));
    }
}
