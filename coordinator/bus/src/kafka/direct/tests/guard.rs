//! Whom a scripted broker lets in: TLS, client certificates, SASL as brokers do it, and what goes wrong with them.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use ring::{digest, hmac, pbkdf2};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::super::wire::{Get, Put};
use super::acts::Stream;

/// What a broker wants of whoever comes.
#[derive(Clone, Default)]
pub(super) struct Guard {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) door: Option<Door>,
    /// Of the next connections, these bytes of what is written are changed, below TLS.
    pub(super) spoiled: VecDeque<Vec<(usize, u8)>>,
}

/// SASL.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) mechanism: &'static str,
    pub(super) user: &'static str,
    pub(super) password: &'static str,
    /// So long a login is good for; 0 for ever.
    pub(super) session_ms: i64,
    /// It proves to know the password by nonsense.
    pub(super) is_false: bool,
}

impl Door {
    pub(super) fn new(mechanism: &'static str) -> Self {
        Door { mechanism, user: "alice, =x", password: "wonder", session_ms: 0, is_false: false }
    }
}

impl Guard {
    /// For the next connection.
    pub(super) fn next(&mut self) -> Guard {
        let spoiled = self.spoiled.pop_front().into_iter().collect();
        Guard { spoiled, ..self.clone() }
    }

    pub(super) fn over(mut self, socket: TcpStream, serve: impl FnOnce(&mut dyn Stream) -> io::Result<()>) -> io::Result<()> {
        let mut socket = Spoiled { socket, changes: self.spoiled.pop_front().unwrap_or_default(), at: 0 };
        match self.tls {
            Some(config) => serve(&mut StreamOwned::new(ServerConnection::new(config).map_err(io::Error::other)?, socket)),
            None => serve(&mut socket),
        }
    }
}

/// A socket that changes some of what is written.
struct Spoiled {
    socket: TcpStream,
    changes: Vec<(usize, u8)>,
    at: usize,
}

impl Read for Spoiled {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.socket.read(into)
    }
}

impl Write for Spoiled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut bytes = bytes.to_vec();
        for (at, change) in &self.changes {
            if let Some(byte) = at.checked_sub(self.at).and_then(|at| bytes.get_mut(at)) {
                *byte ^= change;
            }
        }
        let count = self.socket.write(&bytes)?;
        self.at += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// What a connection's client has said of itself.
#[derive(Debug, Default)]
pub(super) struct Caller {
    /// The client's first message and the server's, without their heads.
    scram: Option<(String, String)>,
    is_known: bool,
    /// It said that it is somebody whom it is not: nothing more is heard of it.
    pub(super) is_refused: bool,
}

impl Caller {
    pub(super) fn is_in(&self, guard: &Guard) -> bool {
        guard.door.is_none() || self.is_known
    }

    pub(super) fn handshake(&mut self, guard: &Guard, get: &mut Get<'_>, out: &mut Vec<u8>, code: i16) -> io::Result<()> {
        let length = get.i16()?;
        let wanted = get.take(length as usize)?;
        let known: Vec<&str> = guard.door.iter().map(|door| door.mechanism).collect();
        out.i16(match &guard.door {
            _ if code != 0 => code,
            // ILLEGAL_SASL_STATE, UNSUPPORTED_SASL_MECHANISM
            None => 34,
            Some(door) if door.mechanism.as_bytes() != wanted => 33,
            Some(_) => 0,
        });
        out.i32(known.len() as i32);
        for name in known {
            out.i16(name.len() as i16);
            out.put(name.as_bytes());
        }
        Ok(())
    }

    pub(super) fn authenticate(&mut self, guard: &Guard, get: &mut Get<'_>, out: &mut Vec<u8>, code: i16) -> io::Result<()> {
        let message = get.bytes()?.expect("a message");
        let door = guard.door.as_ref().ok_or_else(|| io::Error::other("nobody asked"))?;
        let answer = if code == 0 { self.step(door, std::str::from_utf8(message).expect("text")) } else { None };
        self.is_refused = answer.is_none();
        match &answer {
            Some(answer) => {
                out.i16(0);
                out.null();
                out.count(answer.len());
                out.put(answer.as_bytes());
            }
            None => {
                out.i16(if code == 0 { 58 } else { code });
                out.string("Authentication failed:\n invalid credentials");
                out.count(0);
            }
        }
        out.i64(door.session_ms);
        out.no_tags();
        Ok(())
    }

    /// What is answered; none if the client is not who it says.
    fn step(&mut self, door: &Door, message: &str) -> Option<String> {
        if door.mechanism == "PLAIN" {
            self.is_known = message == format!("\0{}\0{}", door.user, door.password);
            return self.is_known.then(String::new);
        }
        let Some((first, mine)) = self.scram.take() else {
            let first = message.strip_prefix("n,,")?.to_owned();
            let (name, nonce) = first.strip_prefix("n=")?.split_once(",r=")?;
            (name.replace("=2C", ",").replace("=3D", "=") == door.user).then_some(())?;
            let mine = format!("r={nonce}more,s={},i=4096", STANDARD.encode(b"salt and pepper"));
            self.scram = Some((first, mine.clone()));
            return Some(mine);
        };
        let (last, _) = message.rsplit_once(",p=")?;
        let (proof, verifier) = proofs(door, &format!("{first},{mine},{last}"));
        let expected = format!("c=biws,{},p={}", mine.split(',').next()?, STANDARD.encode(proof));
        self.is_known = message == expected;
        let verifier = if door.is_false { b"nonsense".to_vec() } else { verifier };
        self.is_known.then(|| format!("v={}", STANDARD.encode(verifier)))
    }
}

/// What the client must prove by, and the server, as RFC 5802 says.
fn proofs(door: &Door, signed: &str) -> (Vec<u8>, Vec<u8>) {
    let (mac, hash, derive) = match door.mechanism {
        "SCRAM-SHA-256" => (hmac::HMAC_SHA256, &digest::SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
        _ => (hmac::HMAC_SHA512, &digest::SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
    };
    let mut salted = vec![0; hash.output_len()];
    pbkdf2::derive(derive, NonZeroU32::new(4096).expect("some"), b"salt and pepper", door.password.as_bytes(), &mut salted);
    let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(mac, key), text).as_ref().to_vec();
    let client = sign(&salted, b"Client Key");
    let signature = sign(digest::digest(hash, &client).as_ref(), signed.as_bytes());
    let proof = client.iter().zip(&signature).map(|(one, other)| one ^ other).collect();
    (proof, sign(&sign(&salted, b"Server Key"), signed.as_bytes()))
}

/// Who signs certificates.
pub(super) struct Authority {
    pub(super) certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new() -> Self {
        Authority::named("an authority")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").der().clone();
        Authority { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for this name, and its key.
    pub(super) fn sign(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        change(&mut params);
        (params.signed_by(&key, &self.issuer).expect("a certificate").der().clone(), key)
    }

    /// A broker with a certificate for this name; `clients` signs those of whoever may come, if they need one.
    pub(super) fn serve(
        &self,
        name: &str,
        clients: Option<&Authority>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        let provider = Arc::new(default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().expect("versions");
        let builder = match clients {
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.certificate.clone()).expect("a certificate");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a verifier"))
            }
            None => builder.with_no_client_auth(),
        };
        let (certificate, key) = self.sign(name, change);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Arc::new(builder.with_single_cert(vec![certificate], key).expect("it is its key"))
    }
}
