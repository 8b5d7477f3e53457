//! TLS by rustls: whom a client trusts, who it is, and what goes wrong, for people.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::refusal::plain;

/// Something in PEM: in a file, or as it is.
#[derive(Clone)]
pub(in crate::kafka) enum Pem {
    File(String),
    Text(String),
}

/// How TLS is set up, by librdkafka's settings. It may hold a key, so it is not for printing.
#[derive(Clone, Default)]
pub(in crate::kafka) struct TlsSettings {
    /// `ssl.ca.location`, a file or a folder, and `ssl.ca.pem`; without any, what the system trusts.
    pub(in crate::kafka) trusted: Vec<Pem>,
    /// `ssl.certificate.location` or `ssl.certificate.pem`.
    pub(in crate::kafka) certificate: Option<Pem>,
    /// `ssl.key.location` or `ssl.key.pem`.
    pub(in crate::kafka) key: Option<Pem>,
    /// `ssl.endpoint.identification.algorithm = none`
    pub(in crate::kafka) takes_any_name: bool,
    /// `enable.ssl.certificate.verification = false`
    pub(in crate::kafka) takes_anybody: bool,
}

/// Reads what the settings name. Errors name the setting.
pub(in crate::kafka) fn client_config(settings: &TlsSettings) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier(settings, provider)?);
    let config = match (&settings.certificate, &settings.key) {
        (Some(certificate), Some(key)) => {
            let chain = certificates(certificate).map_err(|why| format!("ssl.certificate: {why}"))?;
            let key = match key {
                Pem::File(path) => PrivateKeyDer::from_pem_file(path).map_err(|error| in_file(path, &error)),
                Pem::Text(text) => PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| error.to_string()),
            };
            let key = key.map_err(|why| format!("ssl.key: no private key without a password: {why}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| format!("ssl.key: {error}"))?
        }
        (None, None) => builder.with_no_client_auth(),
        _ => return Err("ssl.certificate and ssl.key: one is of no use without the other".to_owned()),
    };
    Ok(Arc::new(config))
}

fn verifier(settings: &TlsSettings, provider: Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, String> {
    if settings.takes_anybody {
        return Ok(Arc::new(Lenient { by: None, provider }));
    }
    let mut roots = RootCertStore::empty();
    if settings.trusted.is_empty() {
        let system = rustls_native_certs::load_native_certs();
        let errors = system.errors.iter().map(|error| format!("; {error}")).collect::<String>();
        let (taken, _) = roots.add_parsable_certificates(system.certs);
        if taken == 0 {
            return Err(format!("ssl.ca.location: it is not set, and this system trusts nobody{errors}"));
        }
    }
    for trusted in &settings.trusted {
        let found = certificates(trusted).map_err(|why| format!("ssl.ca: {why}"))?;
        let (taken, _) = roots.add_parsable_certificates(found);
        if taken == 0 {
            return Err("ssl.ca: none of its certificates can be used".to_owned());
        }
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.build().map_err(|error| format!("ssl.ca: {error}"))?;
    Ok(if settings.takes_any_name { Arc::new(Lenient { by: Some(verifier), provider }) } else { verifier })
}

/// At least one.
fn certificates(from: &Pem) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = match from {
        Pem::File(path) => {
            let is_folder = Path::new(path).is_dir();
            let (file, folder) = if is_folder { (None, Some(Path::new(path))) } else { (Some(Path::new(path)), None) };
            let found = rustls_native_certs::load_certs_from_paths(file, folder);
            match found.errors.first() {
                Some(error) if found.certs.is_empty() => return Err(error.to_string()),
                _ => found.certs,
            }
        }
        Pem::Text(text) => {
            CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?
        }
    };
    let where_from = if let Pem::File(path) = from { path } else { "the setting" };
    if found.is_empty() { Err(format!("no certificate in {where_from}")) } else { Ok(found) }
}

fn in_file(path: &str, error: &dyn std::fmt::Display) -> String {
    format!("{path}: {error}")
}

/// Whoever holds the key of the certificate that is shown is taken for the broker, whatever the certificate's name, if this one takes
/// the certificate; with none, always.
#[derive(Debug)]
struct Lenient {
    by: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(by) = &self.by else { return Ok(ServerCertVerified::assertion()) };
        match by.verify_server_cert(certificate, between, name, ocsp, now) {
            // Names are compared when everything else is known to be right.
            Err(Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// What went wrong, and what helps, for people.
pub(super) fn explain(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => explain_certificate(why),
        Error::AlertReceived(alert) => {
            use AlertDescription::{BadCertificate, CertificateRequired, CertificateUnknown, HandshakeFailure, UnknownCA};
            let about_us =
                matches!(alert, BadCertificate | CertificateRequired | CertificateUnknown | HandshakeFailure | UnknownCA);
            let hint = "it may want a certificate of this client that it trusts (ssl.certificate.location and ssl.key.location)";
            format!("it ended the TLS handshake ({alert:?}){}", if about_us { format!("; {hint}") } else { String::new() })
        }
        Error::InvalidMessage(_) => {
            "what it answers is no TLS; if this listener has none, security.protocol is plaintext or sasl_plaintext".to_owned()
        }
        Error::PeerIncompatible(why) => {
            format!(
                "there is no TLS that both speak ({why:?}); kafka.client = direct speaks 1.2 and 1.3, librdkafka what OpenSSL does"
            )
        }
        other => format!("TLS: {}", plain(&other.to_string())),
    }
}

fn explain_certificate(why: &CertificateError) -> String {
    use CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext};
    match why {
        // A bad signature is that of another authority with the same name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "its certificate is signed by nobody who is trusted; ssl.ca.location names the certificate of who signed it".to_owned()
        }
        NotValidForName | NotValidForNameContext { .. } => {
            let names = match why {
                // As `DnsName("host")`.
                NotValidForNameContext { presented, .. } => {
                    let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
                    plain(&presented.iter().map(bare).collect::<Vec<_>>().join(", "))
                }
                _ => String::new(),
            };
            format!(
                "its certificate is for other names ({names}); use one of them in bootstrap and in the broker's \
                 advertised.listeners, or set ssl.endpoint.identification.algorithm = none"
            )
        }
        Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. } => {
            "its certificate is not valid at this time; renew it, or set the clock of this machine".to_owned()
        }
        other => {
            let what = plain(&format!("{other:?}"));
            format!("its certificate cannot be taken ({what}); kafka.client = librdkafka judges it by OpenSSL's rules")
        }
    }
}
