//! Certificates and a user for a broker, and for those who come to it.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use ringmaster_bus::kafka::broker::{Identity, Secured, pem};

pub(crate) const USER: &str = "alice";
pub(crate) const PASSWORD: &str = "alice-secret";

/// As text.
pub(crate) struct Papers {
    /// Who signs all others.
    pub(crate) authority: String,
    /// Who signs nothing.
    pub(crate) other: String,
    /// A certificate, and its key.
    pub(crate) client: (String, String),
    here: (String, String),
    elsewhere: (String, String),
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new([]).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = pem("CERTIFICATE", params.self_signed(&key).expect("a certificate").der());
    (certificate, Issuer::new(params, key))
}

impl Papers {
    pub(crate) fn new() -> Self {
        let (certificate, issuer) = authority("an authority");
        let signed = |name: &str| {
            let key = KeyPair::generate().expect("a key");
            let params = CertificateParams::new([name.to_owned()]).expect("a name");
            let certificate = params.signed_by(&key, &issuer).expect("a certificate");
            (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
        };
        Papers {
            client: signed("client.example"),
            here: signed("127.0.0.1"),
            elsewhere: signed("other.example"),
            authority: certificate,
            other: authority("another authority").0,
        }
    }

    pub(crate) fn start(&self) -> Secured {
        let ssl = Identity { certificate: &self.here.0, key: &self.here.1 };
        let sasl_ssl = Identity { certificate: &self.elsewhere.0, key: &self.elsewhere.1 };
        Secured::start(ssl, sasl_ssl, &self.authority, (USER, PASSWORD)).expect("a broker")
    }
}
