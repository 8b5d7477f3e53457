//! Where a webhook is: its address, its path, and who we are there.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ringmaster_schemas::names::percent_decode;

use crate::api::client::Address;

/// A URL: `https://`, a name and a password if need be, host, port, path and query. Only where it is can be shown: the rest of it may be a
/// secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    address: Address,
    /// With its query.
    path: String,
    /// What the header `Authorization` says.
    authorization: Option<String>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme)).ok_or(EXPECTED)?;
        let is_plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}');
        if !rest.bytes().all(is_plain) || rest.contains('#') {
            return Err(EXPECTED.to_owned());
        }
        let ends = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(ends);
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let address: Address = format!("{scheme}://{host}").parse().map_err(|_| EXPECTED)?;
        if user.is_some() && !address.is_https && address.is_elsewhere() {
            return Err("a name and a password are not sent where others can read them on their way: https://".to_owned());
        }
        let user = user
            .map(|user| percent_decode(user).ok_or(EXPECTED))
            .transpose()?
            .map(|user| if user.contains(&b':') { user } else { [&user[..], b":"].concat() });
        let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(user)));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Target { address, path, authorization })
    }
}

/// Without what was given: it may be a secret.
const EXPECTED: &str = "expected https:// (or http://), a host, perhaps a port, and a path";

impl Target {
    /// Who listens.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// What the header `Authorization` says.
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    /// Where requests go, without who we are.
    pub(crate) fn url(&self) -> String {
        format!("{}{}", self.address, self.path)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Target {
        text.parse().expect(text)
    }

    #[test]
    fn urls_are_taken_apart_and_only_their_host_is_shown() {
        for (text, url, authorization) in [
            ("https://localhost", "https://localhost/", None),
            ("http://127.0.0.1:9/hook?key=hunter2", "http://127.0.0.1:9/hook?key=hunter2", None),
            ("https://localhost?a=b@c", "https://localhost/?a=b@c", None),
            // `ann:p@ss`, and `ann:` alone.
            (&*format!("https://{}localhost:8443/x", "ann:p%40ss@"), "https://localhost:8443/x", Some("Basic YW5uOnBAc3M=")),
            (&*format!("http://{}127.0.0.1/x", "ann@"), "http://127.0.0.1/x", Some("Basic YW5uOg==")),
        ] {
            let target = parsed(text);
            assert_eq!((target.url().as_str(), target.authorization.as_deref()), (url, authorization), "{text}");
            let shown = format!("{target} {target:?}");
            assert!(!shown.contains("hunter2") && !shown.contains("ann") && !shown.contains("/x"), "{shown}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_without_it() {
        for wrong in [
            "",
            "localhost/hunter2",
            "ftp://hunter2@localhost",
            "http://",
            "http://localhost x/hunter2",
            "https://localhost/#hunter2",
        ] {
            let why = wrong.parse::<Target>().expect_err(wrong);
            assert!(!why.contains("hunter2"), "{why}");
        }
        for user in ["a%4", "a%", "a%+f", "a%zz"] {
            assert!(format!("https://{user}@localhost/").parse::<Target>().is_err(), "{user}");
        }
        let address = "192.0.2.1/hook";
        assert!(format!("http://{address}").parse::<Target>().is_ok(), "what is sent is signed, and no secret");
        let why = format!("http://{}@{address}", "ann:hunter2").parse::<Target>().expect_err("others would read it");
        assert!(why.contains("https://") && !why.contains("hunter2"), "{why}");
    }
}
