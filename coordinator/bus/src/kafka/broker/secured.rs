//! A real broker for tests with a listener for each way in: plaintext, TLS, and both with SASL.

use std::io;

use base64::Engine as _;

use super::{Broker, free_ports};

/// Listeners by the names of their protocols, in the order of their ports.
const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// A certificate and its key as PEM.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// The certificate.
    pub certificate: &'a str,
    /// Its key, PKCS #8.
    pub key: &'a str,
}

/// A broker, and where its listeners are.
pub struct Secured {
    /// The broker itself; what its own calls need goes over the plaintext listener.
    pub broker: Broker,
    ports: Vec<u16>,
}

impl Secured {
    /// Starts one that knows one user, by PLAIN and SCRAM. The listener SSL wants a client certificate that `trusted` signed; SASL_SSL
    /// shows an identity of its own.
    pub fn start(ssl: Identity<'_>, sasl_ssl: Identity<'_>, trusted: &str, (user, password): (&str, &str)) -> io::Result<Self> {
        let ports = free_ports(PROTOCOLS.len() + 1)?;
        let listener = |(name, port): (&&str, &u16)| format!("{name}://127.0.0.1:{port}");
        let listeners: Vec<_> = PROTOCOLS.iter().chain(&["CONTROLLER"]).zip(&ports).map(listener).collect();
        let map: Vec<_> = PROTOCOLS.iter().map(|name| format!("{name}:{name}")).collect();
        let mut properties = vec![
            ("listeners".to_owned(), listeners.join(",")),
            ("listener.security.protocol.map".to_owned(), format!("CONTROLLER:PLAINTEXT,{}", map.join(","))),
            ("sasl.enabled.mechanisms".to_owned(), "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned()),
            ("listener.name.ssl.ssl.client.auth".to_owned(), "required".to_owned()),
        ];
        for (name, identity) in [("ssl", ssl), ("sasl_ssl", sasl_ssl)] {
            let mut set = |key: &str, value: &str| {
                // As files of properties have lines.
                properties.push((format!("listener.name.{name}.ssl.{key}"), value.trim_end().replace('\n', "\\n")));
            };
            set("keystore.type", "PEM");
            set("keystore.certificate.chain", identity.certificate);
            set("keystore.key", identity.key);
            set("truststore.type", "PEM");
            set("truststore.certificates", trusted);
        }
        let plain = format!("org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}=\"{password}\";");
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        for name in ["sasl_plaintext", "sasl_ssl"] {
            for (mechanism, login) in [("plain", plain.as_str()), ("scram-sha-256", scram), ("scram-sha-512", scram)] {
                properties.push((format!("listener.name.{name}.{mechanism}.sasl.jaas.config"), login.to_owned()));
            }
        }
        let known = |mechanism: &str| ["--add-scram".to_owned(), format!("{mechanism}=[name={user},password={password}]")];
        let users = ["SCRAM-SHA-256", "SCRAM-SHA-512"].map(known).concat();
        let properties: Vec<_> = properties.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let mut broker = Broker::formatted((ports[0], ports[4]), &properties, &[], &users)?;
        broker.restart()?;
        Ok(Self { broker, ports })
    }

    /// The listener of this protocol.
    pub fn address(&self, protocol: &str) -> String {
        let place = PROTOCOLS.iter().position(|known| *known == protocol).expect("one of the four");
        format!("127.0.0.1:{}", self.ports[place])
    }
}

/// A certificate (`CERTIFICATE`) or a key (`PRIVATE KEY`) as text.
pub fn pem(what: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}
