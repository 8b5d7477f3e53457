//! Who asks: by a token, or by being on this machine.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, Uri, header};

use super::allowed::{May, Role};
use super::client::name_of;
use super::tokens::Tokens;
use crate::telemetry::names::Denied;

/// Whoever asks, once that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// As logs and records name it.
    pub(crate) name: String,
    /// What it is to this coordinator.
    pub(crate) roles: Vec<Role>,
    /// A token says who it is.
    pub(crate) is_known: bool,
}

impl Principal {
    /// Somebody who may everything, since nobody is asked for a token.
    fn with_all(name: &str) -> Principal {
        Principal { name: name.to_owned(), roles: vec![Role::Admin], is_known: false }
    }

    pub(super) fn may(&self, what: May) -> bool {
        self.roles.iter().any(|role| role.may(what))
    }
}

/// How it is found out.
pub(super) enum Who {
    /// The address is reached from this machine alone: it is `local`, who may everything.
    Local,
    /// Nobody is asked, since settings say so: it is `anyone`, who may everything.
    Anyone,
    /// It is who the token was made for.
    Tokens(Arc<Tokens>),
}

/// Why somebody is sent away, and what they are told.
pub(super) type Denial = (Denied, String);

impl Who {
    /// Who sends these headers, at a time in milliseconds since 1970.
    pub(super) fn asks(&self, headers: &HeaderMap, uri: &Uri, now: i64) -> Result<Principal, Denial> {
        match self {
            Who::Local => match host(headers, uri).is_none_or(is_of_this_machine) {
                true => Ok(Principal::with_all("local")),
                false => Err((Denied::Forbidden, OTHER_NAME.to_owned())),
            },
            Who::Anyone => Ok(Principal::with_all("anyone")),
            Who::Tokens(tokens) => {
                let presented = bearer(headers).unwrap_or_default();
                tokens.who(presented, now).ok_or_else(|| (Denied::Unauthorized, NO_TOKEN.to_owned()))
            }
        }
    }
}

/// The same for every token that is none, so that it tells nothing of those that are.
const NO_TOKEN: &str = "no token that is good now came with it: `Authorization: Bearer rm_...`";
/// A page of somebody else's, open in a browser of this machine, reaches loopback by a name of its own that means 127.0.0.1.
const OTHER_NAME: &str = "without tokens (api.tokens) only requests to localhost, or to an address as a number, are answered: by the header \
                          Host this one was meant for another name";

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The name that it was sent to, with its port; none of HTTP/1.0, which no browser speaks.
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    // What is no text is no name of this machine.
    let header = headers.get(header::HOST).map(|host| host.to_str().unwrap_or("?"));
    uri.authority().map(|authority| authority.as_str()).or(header)
}

fn is_of_this_machine(host: &str) -> bool {
    let name = name_of(host);
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_told_from_others() {
        for ours in ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "[::1]", "10.0.0.7:80"] {
            assert!(is_of_this_machine(ours), "{ours}");
        }
        for others in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "",
            ":80",
            "?",
            "a@localhost",
        ] {
            assert!(!is_of_this_machine(others), "{others}");
        }
    }
}
