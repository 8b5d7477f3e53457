//! Asking a running coordinator over HTTP or HTTPS, as the command line does.

mod events;

use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::config::ConfigBuilder;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::AgentScope;

pub(crate) use super::tokens::private;
pub use events::{Event, Events, NoEvents};

/// A local coordinator answers at once; one that does not is not there.
const PATIENCE: Duration = Duration::from_secs(5);
/// All of an answer, which may be long, and is given within 10 s.
const PATIENCE_FOR_ALL: Duration = Duration::from_secs(60);
/// An answer is at most so large; more is not one of ours.
const ANSWER_BYTES_MAX: u64 = 16 << 20;

/// Where a coordinator's API is: `127.0.0.1:8080`, `http://localhost:8080`, `https://localhost`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// By TLS.
    pub is_https: bool,
    /// Name or number, and port where it is not the usual one.
    pub host: String,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let (is_https, host) = match text.split_once("://") {
            Some(("https", host)) => (true, host),
            Some(("http", host)) => (false, host),
            Some(_) => return Err("an address begins with https:// or http://".to_owned()),
            None => (false, text),
        };
        let host = host.strip_suffix('/').unwrap_or(host);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
        if host.is_empty() || !host.bytes().all(is_plain) {
            return Err("an address is HOST:PORT, behind https:// or http:// or nothing, and no more than that".to_owned());
        }
        Ok(Address { is_https, host: host.to_owned() })
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Address {
        Address { is_https: false, host: address.to_string() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.host)
    }
}

impl Address {
    /// Whether what goes there leaves this machine.
    pub(crate) fn is_elsewhere(&self) -> bool {
        let name = name_of(&self.host);
        !name.eq_ignore_ascii_case("localhost") && !name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The name or number of a host, without its port.
pub(super) fn name_of(host: &str) -> &str {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if is_port(port) && !name.ends_with(':') => name,
        _ => host,
    };
    name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name)
}

/// An answer: status code and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// For example 200.
    pub code: u16,
    /// As it came.
    pub body: String,
}

/// By what somebody asks: a token, and whom they trust. Tokens come from files alone: a command line is read by everyone on a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Means {
    /// A file with a token and nothing else.
    pub token_file: Option<PathBuf>,
    /// Certificates in PEM that are trusted instead of those that the system trusts.
    pub ca_file: Option<PathBuf>,
}

impl Means {
    /// What `RINGMASTER_TOKEN_FILE` and `RINGMASTER_CA_FILE` say.
    pub fn from_environment() -> Means {
        let path = |name| std::env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        Means { token_file: path("RINGMASTER_TOKEN_FILE"), ca_file: path("RINGMASTER_CA_FILE") }
    }

    /// The token, if there is one. Errors name the file, and say nothing of what is in it.
    fn token(&self) -> Result<Option<String>, String> {
        let Some(path) = &self.token_file else { return Ok(None) };
        let wrong = |why: &dyn fmt::Display| format!("RINGMASTER_TOKEN_FILE: {}: {why}", path.display());
        private(&std::fs::metadata(path).map_err(|error| wrong(&error))?).map_err(|why| wrong(&why))?;
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let token = text.trim();
        let is_one = token.starts_with("rm_") && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if is_one { Ok(Some(token.to_owned())) } else { Err(wrong(&"it holds no token (rm_...)")) }
    }

    /// Whom it trusts.
    fn roots(&self) -> Result<Vec<Certificate<'static>>, String> {
        let found = match &self.ca_file {
            Some(path) => certificates(path).map_err(|why| format!("RINGMASTER_CA_FILE: {}: {why}", path.display()))?,
            None => rustls_native_certs::load_native_certs().certs,
        };
        Ok(found.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned()).collect())
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().unwrap_or_default();
    if found.is_empty() { Err("there is no certificate in PEM in it".to_owned()) } else { Ok(found) }
}

/// Asks for a path without a token, over plain HTTP. Errors say who did not answer, and how.
pub fn get(address: SocketAddr, path: &str) -> Result<Answer, String> {
    caller(&address.into(), &Means::default())?.get(path)
}

/// Somebody who asks one coordinator.
pub struct Caller {
    address: Address,
    agent: ureq::Agent,
    /// What says who asks.
    authorization: Option<String>,
}

/// Makes ready to ask. Errors say what is wrong with the means.
pub fn caller(address: &Address, means: &Means) -> Result<Caller, String> {
    caller_by(agent(address, means)?, address, means)
}

/// The same, for who asks again and again, and waits no longer than this for an answer.
pub fn caller_within(address: &Address, means: &Means, patience: Duration) -> Result<Caller, String> {
    let config = ureq::Agent::config_builder().timeout_global(Some(patience));
    caller_by(agent_of(config, address.is_https, means)?, address, means)
}

fn caller_by(agent: ureq::Agent, address: &Address, means: &Means) -> Result<Caller, String> {
    let token = means.token()?;
    if token.is_some() && !address.is_https && address.is_elsewhere() {
        return Err(format!(
            "the token of RINGMASTER_TOKEN_FILE is not sent to {address}: others can read it on its way. Use https://"
        ));
    }
    let authorization = token.map(|token| format!("Bearer {token}"));
    Ok(Caller { address: address.clone(), agent, authorization })
}

/// What asks: it follows nothing to somewhere else, and waits for nobody for long.
pub(crate) fn agent(address: &Address, means: &Means) -> Result<ureq::Agent, String> {
    let config = ureq::Agent::config_builder()
        .timeout_connect(Some(PATIENCE))
        .timeout_send_request(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE * 3))
        .timeout_global(Some(PATIENCE_FOR_ALL));
    agent_of(config, address.is_https, means)
}

/// What asks other instances, by TLS or not, and waits no longer than this for each answer.
pub(super) fn agent_for_peers(is_https: bool, patience: Duration) -> Result<ureq::Agent, String> {
    agent_of(ureq::Agent::config_builder().timeout_global(Some(patience)), is_https, &Means::from_environment())
}

fn agent_of(config: ConfigBuilder<AgentScope>, is_https: bool, means: &Means) -> Result<ureq::Agent, String> {
    let mut config = config.http_status_as_error(false).max_redirects(0).proxy(None);
    if is_https {
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(RootCerts::from(means.roots()?))
            .build();
        config = config.tls_config(tls);
    }
    Ok(ureq::Agent::new_with_config(config.build()))
}

impl Caller {
    /// Who asks there in the name of whoever says so of itself.
    pub(super) fn in_the_name_of(authorization: Option<String>, address: Address, agent: ureq::Agent) -> Caller {
        Caller { address, agent, authorization }
    }

    /// Whether it says who asks.
    pub fn has_token(&self) -> bool {
        self.authorization.is_some()
    }

    /// Asks for a path. Errors say who did not answer, and how.
    pub fn get(&self, path: &str) -> Result<Answer, String> {
        let mut request = self.agent.get(format!("{}{path}", self.address));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        self.answer(request.call())
    }

    /// Sends JSON to a path. Errors say who did not answer, and how.
    pub fn post(&self, path: &str, body: &str, headers: &[(&str, &str)]) -> Result<Answer, String> {
        let mut request = self.agent.post(format!("{}{path}", self.address)).header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.send(body))
    }

    fn answer(&self, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, String> {
        let failed = |error: ureq::Error| format!("the coordinator at {} does not answer: {}", self.address, explain(&error));
        let mut answer = answer.map_err(failed)?;
        let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string().map_err(failed)?;
        Ok(Answer { code: answer.status().as_u16(), body })
    }
}

/// What helps where nobody listens; so nothing was sent.
pub(crate) const NOBODY: &str = "; does a coordinator run there (`ringmaster run`, its setting api.listen)?";

/// How long to wait before it is tried again: half of a pause at least, another time each time. Those that failed together would come
/// again together, and fail again.
pub(crate) fn spread(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// What went wrong, and what helps.
pub(crate) fn explain(error: &ureq::Error) -> String {
    use rustls::{CertificateError, Error};
    let tls = match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    };
    let hint = match tls {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; RINGMASTER_CA_FILE names the certificate of who signed its own"
        }
        Some(Error::InvalidMessage(_)) => "; what answers speaks no TLS: http://?",
        _ if matches!(error, ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused) => NOBODY,
        _ => "",
    };
    format!("{error}{hint}")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// Two that are turned away together do not come again together.
    #[test]
    fn pauses_are_spread_and_no_longer_than_they_were() {
        let pause = Duration::from_secs(8);
        let pauses: Vec<Duration> = (0..100).map(|_| spread(pause)).collect();
        assert!(pauses.iter().all(|one| (pause / 2..=pause).contains(one)), "{pauses:?}");
        assert!(pauses.iter().any(|one| one.as_secs_f64() < 5.0) && pauses.iter().any(|one| one.as_secs_f64() > 7.0), "{pauses:?}");
    }

    #[test]
    fn addresses_are_read_and_told_from_other_things() {
        for (text, shown, is_elsewhere) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080", false),
            ("http://localhost:1", "http://localhost:1", false),
            ("https://[::1]:8443/", "https://[::1]:8443", false),
        ] {
            let read: Address = text.parse().expect(text);
            assert_eq!((read.to_string().as_str(), read.is_elsewhere()), (shown, is_elsewhere), "{text}");
        }
        for (text, scheme, is_elsewhere) in
            [("ringmaster.example", "https", true), ("10.0.0.7:8080", "http", true), ("localhost.example", "http", true)]
        {
            let text = format!("{scheme}://{text}");
            let read: Address = text.parse().expect("an address");
            assert_eq!((read.to_string(), read.is_elsewhere()), (text, is_elsewhere));
        }
        for wrong in ["", "https://", "ftp://host", "https://localhost:pass@host", "https://localhost/path", "host?x", "a b"] {
            let why = wrong.parse::<Address>().expect_err(wrong);
            assert!(!why.contains("pass"), "{why}");
        }
    }

    #[test]
    fn a_token_is_not_sent_where_others_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        std::fs::write(&file, "rm_1_2\n").expect("written");
        let means = Means { token_file: Some(file.clone()), ca_file: None };
        let address = "192.0.2.1:8080".parse().expect("an address");
        let asked = || caller(&address, &means).err().expect("it asks nobody");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("set");
        assert!(asked().contains("(mode 0640): chmod 600"), "{}", asked());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("set");
        assert!(asked().contains("is not sent to "), "{}", asked());
        std::fs::write(&file, "hunter2").expect("written");
        assert!(asked().contains("it holds no token") && !asked().contains("hunter2"), "{}", asked());
    }
}
