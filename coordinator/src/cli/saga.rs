//! `saga show`: where one saga stands, asked of the running coordinator.

use std::io::Write;
use std::net::SocketAddr;

use super::definitions::say;
use super::exit::{Exit, Failure};
use crate::api::client;
use crate::config::Config;

/// `ringmaster saga show ID`: the coordinator's answer as it comes, which is JSON.
pub(super) fn show(config: &Config, id: &str, api: Option<SocketAddr>, out: &mut dyn Write) -> Result<(), Failure> {
    if id.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control() || matches!(byte, b'?' | b'#')) {
        return Err(Failure::new(Exit::Usage, format_args!("'{id}' is not a saga id such as order-fulfilment/ord-17")));
    }
    let Some(address) = api.or(config.listen) else {
        return Err(Failure::new(Exit::Usage, "the settings say api.listen = \"off\": name the coordinator's address with --api"));
    };
    let answer = client::get(address, &format!("/api/sagas/{id}")).map_err(|why| Failure::new(Exit::Unreachable, why))?;
    let body: serde_json::Value = serde_json::from_str(&answer.body)
        .map_err(|_| Failure::new(Exit::Failed, format_args!("what answers at {address} is not a coordinator")))?;
    let why = || body["error"].as_str().unwrap_or("no reason given").to_owned();
    match answer.code {
        200 => say(out, format_args!("{body:#}")),
        400 => Err(Failure::new(Exit::Usage, why())),
        404 => Err(Failure::new(Exit::NotFound, why())),
        _ => Err(Failure::new(Exit::Failed, why())),
    }
}
