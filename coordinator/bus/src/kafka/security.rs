//! What librdkafka's settings for TLS and SASL mean to our own client.

use std::sync::Arc;

use super::direct::{Credentials, Mechanism, Pem, Security, TlsSettings, client_config};

type Passed = [(String, String)];

/// Whether our own client does what this setting asks for; none if it has to do with neither TLS nor SASL.
pub(super) fn is_taken(key: &str, value: &str) -> Option<bool> {
    Some(match key {
        "security.protocol" => protocol(value).is_some(),
        "sasl.mechanism" | "sasl.mechanisms" => Mechanism::of(value).is_some(),
        "sasl.username" | "sasl.password" => true,
        "ssl.ca.location" | "ssl.ca.pem" | "ssl.certificate.location" | "ssl.certificate.pem" => true,
        "ssl.key.location" | "ssl.key.pem" => true,
        "ssl.endpoint.identification.algorithm" => matches!(value, "none" | "https"),
        "enable.ssl.certificate.verification" => truth(value).is_some(),
        _ if key.starts_with("ssl.") || key.starts_with("sasl.") => false,
        _ => return None,
    })
}

/// A mechanism that only librdkafka knows, and that is meant if none is said.
pub(super) fn silent_mechanism(passed: &Passed) -> Option<(&'static str, &'static str)> {
    let with_login = last(passed, &["security.protocol"]).and_then(protocol).is_some_and(|(_, login)| login);
    (with_login && mechanism(passed).is_none()).then_some(("sasl.mechanism", "GSSAPI"))
}

/// Reads files that the settings name. All of the settings must be taken. Errors name the setting.
pub(super) fn security(passed: &Passed) -> Result<Security, String> {
    let (with_tls, with_login) = last(passed, &["security.protocol"]).and_then(protocol).unwrap_or_default();
    let mut security = Security::default();
    if with_tls {
        security.tls = Some(client_config(&tls(passed))?);
    }
    if with_login {
        let needed = |key: &str| last(passed, &[key]).map(str::to_owned).ok_or(format!("{key}: SASL needs it"));
        let mechanism = mechanism(passed).and_then(Mechanism::of).ok_or("sasl.mechanism: SASL needs it")?;
        let (user, password) = (needed("sasl.username")?, needed("sasl.password")?);
        security.login = Some(Arc::new(Credentials { mechanism, user, password }));
    }
    Ok(security)
}

fn tls(passed: &Passed) -> TlsSettings {
    let file = |key: &str| last(passed, &[key]).filter(|path| !path.is_empty()).map(|path| Pem::File(path.to_owned()));
    let text = |key: &str| last(passed, &[key]).map(|text| Pem::Text(text.to_owned()));
    // "probe" is librdkafka's word for what the system trusts.
    let ca_file = file("ssl.ca.location").filter(|from| !matches!(from, Pem::File(path) if path == "probe"));
    TlsSettings {
        trusted: ca_file.into_iter().chain(text("ssl.ca.pem")).collect(),
        certificate: file("ssl.certificate.location").or_else(|| text("ssl.certificate.pem")),
        key: file("ssl.key.location").or_else(|| text("ssl.key.pem")),
        takes_any_name: last(passed, &["ssl.endpoint.identification.algorithm"]) == Some("none"),
        takes_anybody: last(passed, &["enable.ssl.certificate.verification"]).and_then(truth) == Some(false),
    }
}

fn mechanism(passed: &Passed) -> Option<&str> {
    last(passed, &["sasl.mechanism", "sasl.mechanisms"])
}

/// The last counts, as with librdkafka.
fn last<'a>(passed: &'a Passed, keys: &[&str]) -> Option<&'a str> {
    passed.iter().rfind(|(key, _)| keys.contains(&key.as_str())).map(|(_, value)| value.as_str())
}

/// With TLS, and with SASL.
fn protocol(name: &str) -> Option<(bool, bool)> {
    match name.to_ascii_lowercase().as_str() {
        "plaintext" => Some((false, false)),
        "ssl" => Some((true, false)),
        "sasl_plaintext" => Some((false, true)),
        "sasl_ssl" => Some((true, true)),
        _ => None,
    }
}

/// As librdkafka reads them.
fn truth(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::BusError;
    use crate::kafka::broker::pem;
    use crate::kafka::{Client, KafkaSettings};

    fn settings(passed: &[(&str, &str)]) -> KafkaSettings {
        let passthrough = passed.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        KafkaSettings { passthrough, ..KafkaSettings::new("127.0.0.1:1") }
    }

    /// With a certificate of this test, in a file and as it is.
    fn certified(check: impl Fn(&str, &str, &str)) {
        let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("ca.pem");
        let text = pem("CERTIFICATE", signed.cert.der());
        std::fs::write(&file, &text).expect("written");
        check(file.to_str().expect("a path"), &text, &pem("PRIVATE KEY", signed.signing_key.serialized_der()));
    }

    #[test]
    fn what_it_knows_is_taken() {
        certified(|file, text, key| {
            let login = [("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.username", "alice"), ("sasl.password", "wonder")];
            let ways: [&[(&str, &str)]; 7] = [
                &[("security.protocol", "SSL"), ("ssl.ca.location", file)],
                &[("security.protocol", "ssl"), ("ssl.ca.pem", text), ("ssl.certificate.pem", text), ("ssl.key.pem", key)],
                &[("security.protocol", "ssl"), ("ssl.ca.pem", text), ("ssl.endpoint.identification.algorithm", "none")],
                &[("security.protocol", "ssl"), ("enable.ssl.certificate.verification", "false")],
                &[("security.protocol", "sasl_ssl"), ("ssl.ca.location", file), login[0], login[1], login[2]],
                &[("security.protocol", "Sasl_Plaintext"), ("sasl.mechanisms", "PLAIN"), login[1], login[2]],
                // What is not asked for is not looked at.
                &[("security.protocol", "plaintext"), login[1], ("ssl.ca.location", file)],
            ];
            for way in ways {
                for named in ["direct", "auto"] {
                    let settings = settings(&[&[("client", named)], way].concat());
                    let (client, security) = settings.client().expect("taken");
                    let protocol = way[0].1.to_ascii_lowercase();
                    assert_eq!(client, Client::Direct, "{way:?}");
                    assert_eq!(security.tls.is_some(), protocol.ends_with("ssl"), "{way:?}");
                    assert_eq!(security.login.is_some(), protocol.starts_with("sasl"), "{way:?}");
                    assert!(!format!("{security:?} {settings:?}").contains("wonder"), "a password is printed");
                }
            }
        });
    }

    #[test]
    fn what_cannot_be_read_is_said_and_auto_takes_librdkafka() {
        certified(|file, text, key| {
            let ssl = ("security.protocol", "ssl");
            let sasl = ("security.protocol", "sasl_plaintext");
            let broken = key.replace("PRIVATE", "ENCRYPTED PRIVATE");
            let ways: [(&[(&str, &str)], &str); 9] = [
                (&[ssl, ("ssl.ca.location", "/nowhere/ca.pem")], "kafka.ssl.ca: "),
                (&[ssl, ("ssl.ca.pem", "nothing")], "kafka.ssl.ca: no certificate in the setting"),
                (&[ssl, ("ssl.ca.pem", key)], "kafka.ssl.ca: no certificate in the setting"),
                (&[ssl, ("ssl.ca.pem", text), ("ssl.certificate.location", file)], "one is of no use without the other"),
                (
                    &[ssl, ("ssl.ca.pem", text), ("ssl.certificate.pem", text), ("ssl.key.location", file)],
                    "kafka.ssl.key: no private key",
                ),
                (
                    &[ssl, ("ssl.ca.pem", text), ("ssl.certificate.pem", text), ("ssl.key.pem", &broken)],
                    "kafka.ssl.key: no private key",
                ),
                (&[sasl, ("sasl.mechanism", "PLAIN"), ("sasl.password", "wonder")], "kafka.sasl.username: SASL needs it"),
                (&[sasl, ("sasl.mechanism", "PLAIN"), ("sasl.username", "alice")], "kafka.sasl.password: SASL needs it"),
                (&[sasl, ("sasl.mechanism", "OAUTHBEARER")], "kafka.sasl.mechanism = OAUTHBEARER"),
            ];
            for (way, why) in ways {
                let client = |named| settings(&[&[("client", named)], way].concat()).client().map(|(client, _)| client);
                assert_eq!(client("auto"), Ok(Client::Librdkafka), "{way:?}");
                let Err(BusError::Refused(said)) = client("direct") else { panic!("{way:?} was taken") };
                let is_secret = said.contains("wonder") || said.contains(key);
                assert!(said.contains(why) && said.contains("kafka.client = direct") && !is_secret, "{way:?}: {said}");
            }
        });
    }
}
