//! Settings of the HTTP port, and the rule by which it is safe where nothing is said.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::layers::Layers;
use super::values;

/// Where HTTP listens, and who may ask there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// None for no HTTP at all.
    pub listen: Option<SocketAddr>,
    /// What TLS is made of; none for HTTP as it is.
    pub tls: Option<TlsFiles>,
    /// The file of tokens; who asks must have one of them.
    pub tokens: Option<PathBuf>,
    /// Listens without TLS, or without tokens, where others can reach it.
    pub insecure: bool,
    /// Definitions may be deployed there.
    pub deploy: bool,
}

/// Files in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate of the port, and those between it and the root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

pub(super) fn read(layers: &mut Layers) -> Api {
    let listen = layers.read(&["api", "listen"], Some(([127, 0, 0, 1], 8080).into()), values::address);
    let certificate = layers.read(&["api", "tls", "certificate"], None, path);
    let key = layers.read(&["api", "tls", "key"], None, path);
    let tokens = layers.read(&["api", "tokens"], None, path);
    let insecure = layers.read(&["api", "insecure"], false, values::truth);
    let deploy = layers.read(&["api", "deploy"], true, values::truth);
    if certificate.is_some() != key.is_some() {
        layers.problem("api.tls.certificate and api.tls.key: one is of no use without the other".to_owned());
    }
    let tls = certificate.zip(key).map(|(certificate, key)| TlsFiles { certificate, key });
    let api = Api { listen, tls, tokens, insecure, deploy };
    if let Some(why) = api.is_open_to_others() {
        layers.problem(why);
    }
    api
}

impl Api {
    /// Why it must not listen: others reach the address, and something that keeps them out is missing.
    fn is_open_to_others(&self) -> Option<String> {
        let address = self.listen.filter(|address| !address.ip().is_loopback() && !self.insecure)?;
        let missing = match (&self.tls, &self.tokens) {
            (Some(_), Some(_)) => return None,
            (None, None) => "api.tls.certificate, api.tls.key and api.tokens",
            (None, Some(_)) => "api.tls.certificate and api.tls.key",
            (Some(_), None) => "api.tokens",
        };
        Some(format!(
            "api.listen: {address} is reached from other machines, so it needs TLS and tokens: set {missing} (`ringmaster token create` \
             makes a token), listen on 127.0.0.1, or say api.insecure = true where something else keeps others out"
        ))
    }
}

/// A path, and not what should be in the file: that might be a key, and would be told.
pub(super) fn path(text: &str) -> Result<Option<PathBuf>, String> {
    match text {
        "" => Err("must not be empty".to_owned()),
        _ if text.contains("-----BEGIN") || text.starts_with("rm_") => {
            Err("it is the path of a file, not what is in the file".to_owned())
        }
        _ => Ok(Some(text.into())),
    }
}
