//! Asking coordinators: the one that is named, and those that it names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde_json::Value;

use super::exit::{Exit, Failure};
use super::saga::text;
use crate::api::client::{self, Address, Answer, Means};
use crate::config::Config;

/// Which coordinator is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// The coordinator's address, such as https://localhost:8080; api.listen by default. RINGMASTER_TOKEN_FILE names a file with a token.
    #[arg(long, value_name = "URL", env = "RINGMASTER_URL", hide_env_values = true)]
    pub(super) api: Option<Address>,
}

/// Asks an instance, and then those that have the partitions that it has not.
pub(super) fn ask_all(config: &Config, api: Option<&Address>, path: &str) -> Result<Vec<Value>, Failure> {
    let address = address(config, api)?;
    let first = ask(config, Some(&address), path)?;
    let others = first["elsewhere"].as_array().into_iter().flatten();
    let others: Vec<Address> = others.map(|other| address_of(other, &address)).collect::<Result<_, _>>()?;
    let mut answers = vec![first];
    for other in &others {
        answers.push(ask(config, Some(other), path)?);
    }
    Ok(answers)
}

/// The same, as what the API says it is.
pub(super) fn ask_typed<T: serde::de::DeserializeOwned>(
    config: &Config,
    api: Option<&Address>,
    path: &str,
) -> Result<Vec<T>, Failure> {
    let answers = ask_all(config, api, path)?.into_iter().map(serde_json::from_value);
    let unknown = |error| Failure::new(Exit::Failed, format_args!("another version of Ringmaster answers: {error}"));
    answers.collect::<Result<_, _>>().map_err(unknown)
}

/// Asks an instance; where it names another one that has what is asked for, that one.
pub(super) fn ask(config: &Config, api: Option<&Address>, path: &str) -> Result<Value, Failure> {
    let address = address(config, api)?;
    let mut answer = get(&address, path)?;
    if answer.code == 421 {
        let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        answer = get(&address_of(&body["elsewhere"][0], &address)?, path)?;
    }
    let body: Value = serde_json::from_str(&answer.body)
        .map_err(|_| Failure::new(Exit::Failed, format_args!("what answers at {address} is not a coordinator")))?;
    let why = || body["detail"].as_str().unwrap_or("no reason given").to_owned();
    match answer.code {
        200 => Ok(body),
        400 => Err(Failure::new(Exit::Usage, why())),
        401 => {
            Err(Failure::new(Exit::NotAllowed, format_args!("{address}: {} (RINGMASTER_TOKEN_FILE names a file with one)", why())))
        }
        403 => Err(Failure::new(Exit::NotAllowed, format_args!("{address}: {}", why()))),
        404 => Err(Failure::new(Exit::NotFound, why())),
        _ => Err(Failure::new(Exit::Failed, why())),
    }
}

fn get(address: &Address, path: &str) -> Result<Answer, Failure> {
    let caller = client::caller(address, &Means::from_environment()).map_err(|why| Failure::new(Exit::Refused, why))?;
    caller.get(path).map_err(|why| Failure::new(Exit::Unreachable, why))
}

/// Who is asked: the one that is named, or the one that these settings are for.
fn address(config: &Config, api: Option<&Address>) -> Result<Address, Failure> {
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

/// Where another instance's API is: all speak TLS, or none does.
fn address_of(instance: &Value, asked: &Address) -> Result<Address, Failure> {
    let nowhere = || {
        let (name, partitions) = (text(&instance["instance"]), &instance["partitions"]);
        Failure::new(Exit::Unreachable, format_args!("instance {name} has partitions {partitions}, and its API is off"))
    };
    let found = instance["api"].as_str().and_then(|api| api.parse::<SocketAddr>().ok()).ok_or_else(nowhere)?;
    Ok(Address { is_https: asked.is_https, ..found.into() })
}
