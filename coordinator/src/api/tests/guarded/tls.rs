//! TLS, and certificates that are replaced.

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::super::super::client::{Address, Means, caller};
use super::*;

fn pem(what: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

/// Writes a certificate for loopback, its key, and who signed it.
pub(super) fn write(folder: &Path, of: &str) -> TlsFiles {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, format!("authority {of}"));
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, &authority).expect("signed");
    std::fs::write(folder.join(format!("{of}.ca")), pem("CERTIFICATE", authority.der())).expect("written");
    let files = TlsFiles { certificate: folder.join("tls.pem"), key: folder.join("tls.key") };
    std::fs::write(&files.certificate, pem("CERTIFICATE", certificate.der())).expect("written");
    std::fs::write(&files.key, pem("PRIVATE KEY", &key.serialize_der())).expect("written");
    files
}

fn asked(server: &Server, folder: &Path, of: &str) -> Result<u16, String> {
    let address = Address { is_https: true, ..server.address().into() };
    let means = Means { token_file: None, ca_file: Some(folder.join(format!("{of}.ca"))) };
    caller(&address, &means)?.get("/metrics").map(|answer| answer.code)
}

#[test]
fn a_certificate_that_is_replaced_is_shown_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write(folder.path(), "one");
    let server = serve_by(&settings(None, Some(files.clone())), Limits::USUAL, None);
    assert_eq!(asked(&server, folder.path(), "one"), Ok(200));
    let key = std::fs::read(&files.key).expect("a key");
    write(folder.path(), "two");
    let why = |of| asked(&server, folder.path(), of).expect_err("it is signed by the other");
    until("the new one is shown", || asked(&server, folder.path(), "two") == Ok(200));
    assert!(why("one").contains("RINGMASTER_CA_FILE"), "{}", why("one"));
    // A key that does not go with it, for now: the last that did is shown. The looks at it cannot be seen from here, but the next change
    // comes behind them.
    std::fs::write(&files.key, key).expect("written");
    assert_eq!(asked(&server, folder.path(), "two"), Ok(200));
    write(folder.path(), "three");
    until("the newest is shown", || asked(&server, folder.path(), "three") == Ok(200));
}

#[test]
fn only_tls_is_spoken_where_there_is_a_certificate() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write(folder.path(), "one");
    let mut limits = Limits::USUAL;
    limits.head = Duration::from_millis(200);
    let server = serve_by(&settings(None, Some(files)), limits, None);
    for said in ["", "GET /healthz HTTP/1.0\r\n\r\n", "\u{16}\u{3}\u{1}"] {
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.write_all(said.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        // However it ends, it ends.
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok_and(|_| !answer.starts_with(b"HTTP")), "{said:?}: {answer:?}");
    }
    assert_eq!(asked(&server, folder.path(), "one"), Ok(200), "and others are answered");
}

/// What cannot be used is said before anything starts, without a word of what is in the key's file.
#[test]
fn files_that_are_no_certificate_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = write(folder.path(), "one");
    let other = TlsFiles { certificate: files.certificate.clone(), key: folder.path().join("other.key") };
    let refused = || {
        let opened = Port::open(&settings(None, Some(other.clone())), ([127, 0, 0, 1], 0).into());
        opened.err().expect("it cannot be used")
    };
    assert!(refused().contains("api.tls.key: ") && refused().contains("other.key"), "{}", refused());
    for (text, said) in [
        ("hunter2".to_owned(), "no private key in PEM"),
        (std::fs::read_to_string(&files.certificate).expect("text"), "no private key in PEM"),
        (pem("PRIVATE KEY", &KeyPair::generate().expect("a key").serialize_der()), "does not go with its key"),
    ] {
        std::fs::write(&other.key, &text).expect("written");
        assert!(refused().contains(said) && !refused().contains("hunter2") && !refused().contains("BEGIN"), "{}", refused());
    }
}
