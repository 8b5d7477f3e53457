//! TLS of the port, by certificates that are replaced while it runs.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::config::TlsFiles;

/// Names that a client may choose from, the one that we like best first.
const HTTP_2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// What both files hold, or why that cannot be told.
type Read = Result<(Vec<u8>, Vec<u8>), String>;

/// The certificate and its key, as the files say them now.
pub(super) struct Tls {
    files: TlsFiles,
    held: Mutex<(Read, Arc<ServerConfig>)>,
}

impl Tls {
    /// Reads both files, which must be right. Errors are for people, and say nothing of what is in the key's.
    pub(super) fn open(files: &TlsFiles) -> Result<Tls, String> {
        let read = read(files)?;
        let config = config(files, &read)?;
        Ok(Tls { files: files.clone(), held: Mutex::new((Ok(read), config)) })
    }

    /// Looks whether the files have changed, and takes them for new connections. While they do not go together, as between the two steps
    /// of replacing them, the ones of before stay, and the log says so, once.
    pub(super) fn look(&self) {
        let now = read(&self.files);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.0 == now {
            return;
        }
        match now.as_ref().map_err(Clone::clone).and_then(|read| config(&self.files, read)) {
            Ok(config) => {
                held.1 = config;
                tracing::info!(certificate = ?self.files.certificate, "the certificate was read again");
            }
            Err(why) => tracing::error!("the certificate stays as it was, until the files are right: {why}"),
        }
        held.0 = now;
    }

    /// For the next connection.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

/// Whether client and server have agreed on HTTP/2: what was not said in the handshake is not guessed from first bytes, which may never come.
pub(super) fn agreed_on_http2(tls: &ServerConnection) -> bool {
    tls.alpn_protocol() == Some(HTTP_2)
}

fn read(files: &TlsFiles) -> Read {
    let bytes =
        |name: &str, path: &Path| std::fs::read(path).map_err(|error| format!("api.tls.{name}: {}: {error}", path.display()));
    Ok((bytes("certificate", &files.certificate)?, bytes("key", &files.key)?))
}

fn config(files: &TlsFiles, (certificate, key): &(Vec<u8>, Vec<u8>)) -> Result<Arc<ServerConfig>, String> {
    let wrong = |name: &str, path: &Path, why: &str| format!("api.tls.{name}: {}: {why}", path.display());
    let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| wrong("certificate", &files.certificate, "there is no certificate in PEM in it"))?;
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|_| wrong("key", &files.key, "there is no private key in PEM, without a password, in it"))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| wrong("certificate", &files.certificate, &format!("it does not go with its key: {error}")))?;
    config.alpn_protocols = [HTTP_2, HTTP_1_1].map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(config))
}
