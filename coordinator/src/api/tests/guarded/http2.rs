//! HTTP/2 on connections by TLS: what is promised of HTTP/1.1 holds there as well.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, Version};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::*;

mod bounds;
mod ended;
mod raw;

const SHORT: Duration = Duration::from_secs(1);

/// A port by TLS.
struct Secured {
    server: Server,
    folder: tempfile::TempDir,
}

fn secured(limits: Limits) -> Secured {
    secured_with(sources(Arc::new(SimStore::new())), limits, false)
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::USUAL;
    change(&mut limits);
    limits
}

fn secured_with(sources: Sources, limits: Limits, has_tokens: bool) -> Secured {
    let folder = tempfile::tempdir().expect("a folder");
    let files = tls::write(folder.path(), "one");
    let tokens = has_tokens.then(|| folder.path().join("tokens.toml"));
    if let Some(path) = &tokens {
        let now = wall();
        TokenFile::new(path).create("first", &[Role::Admin], now, now + 86_400_000).expect("made");
    }
    sources.status.given(Some(&[].into()));
    let listener = listen(([127, 0, 0, 1], 0).into()).expect("a free port");
    let address = listener.local_addr().expect("an address");
    let port = Port::open(&settings(tokens, Some(files)), address).expect("it is right").with(limits);
    Secured { server: serve(listener, sources, port).expect("serves"), folder }
}

/// What trusts it, and offers to speak these.
fn trusting(secured: &Secured, offers: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(secured.folder.path().join("one.ca")).expect("PEM")).expect("a certificate");
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = offers.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

type Client = SendRequest<Bytes>;

async fn client(secured: &Secured) -> Client {
    let stream = tokio::net::TcpStream::connect(secured.server.address()).await.expect("it listens");
    let name = ServerName::try_from("localhost").expect("a name");
    let stream = TlsConnector::from(trusting(secured, &["h2"])).connect(name, stream).await.expect("TLS");
    let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    client
}

/// An answer as far as its head.
async fn head_of(client: &Client, request: Request<()>, body: &[u8]) -> Result<(u16, HeaderMap, RecvStream), h2::Error> {
    let mut client = client.clone().ready().await?;
    let is_whole = request.headers().get("content-length").is_none_or(|length| *length == *body.len().to_string());
    let (answer, mut out) = client.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        // Whoever is answered before has it thrown away.
        let _ = out.send_data(Bytes::copy_from_slice(body), is_whole);
    }
    let (parts, body) = answer.await?.into_parts();
    assert_eq!(parts.version, Version::HTTP_2);
    Ok((parts.status.as_u16(), parts.headers, body))
}

async fn all_of(body: &mut RecvStream) -> Result<String, h2::Error> {
    let mut text = Vec::new();
    while let Some(bytes) = body.data().await {
        let bytes = bytes?;
        body.flow_control().release_capacity(bytes.len())?;
        text.extend(&bytes);
    }
    Ok(String::from_utf8(text).expect("text"))
}

fn request(method: &Method, path: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(format!("https://localhost{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request")
}

async fn answer(client: &Client, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (code, _, mut body) = head_of(client, request(&Method::GET, path, headers), b"").await.expect("an answer");
    (code, all_of(&mut body).await.expect("all of it"))
}

/// The same by HTTP/1.1, on a connection that offered both, or nothing.
fn by_http1(secured: &Secured, offers: &[&str], method: &str, path: &str) -> String {
    let mut raw = raw::Raw::connect(secured, offers);
    assert_eq!(raw.offered().as_deref(), offers.first().copied());
    assert!(raw.send(format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes()));
    raw.text()
}

/// Names and values, without what is of the moment or of the connection.
fn lasting<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let of_the_moment = ["date", "connection", "content-length", "transfer-encoding"];
    let mut lines: Vec<String> = headers
        .map(|(name, value)| if of_the_moment.contains(&name) { name.to_owned() } else { format!("{name}: {value}") })
        .filter(|line| line != "connection" && line != "transfer-encoding")
        .collect();
    lines.sort();
    lines
}

/// Every route, and what is none, is answered alike by both.
#[tokio::test]
async fn both_protocols_answer_alike() {
    let secured = secured(Limits::USUAL);
    let client = client(&secured).await;
    let none = [(Method::GET, "/nothing"), (Method::HEAD, "/nothing"), (Method::HEAD, "/metrics"), (Method::DELETE, "/healthz")];
    let routes = routes::all().into_iter().filter(|route| route.weight != routes::Weight::Live);
    for (method, path) in routes.map(|route| (route.method, route.path)).chain(none) {
        let answered = head_of(&client, request(&method, path, &[]), b"").await;
        let (code, headers, mut body) = answered.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let body = all_of(&mut body).await.expect("all of it");
        let answer = by_http1(&secured, &["http/1.1"], method.as_str(), path);
        let (head, body_by_1) = answer.split_once("\r\n\r\n").expect("a head");
        let (first, lines) = head.split_once("\r\n").expect("headers");
        assert_eq!(first.split(' ').nth(1), Some(&*code.to_string()), "{method} {path}");
        let by_1 = lasting(lines.lines().filter_map(|line| line.split_once(": ")));
        let by_2 = lasting(headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))));
        assert_eq!(by_2, by_1, "{method} {path}");
        assert!(by_2.contains(&"date".to_owned()) && !headers.contains_key("connection"), "{method} {path}: {by_2:?}");
        assert!(code < 400 || body == body_by_1, "{method} {path}: {body}\n{body_by_1}");
    }
}

/// What was not agreed on in the handshake is not guessed.
#[test]
fn only_who_offers_it_speaks_http2() {
    let secured = secured(Limits::USUAL);
    for offers in [&[][..], &["http/1.1"], &["http/1.1", "h2"]] {
        // The server chooses.
        if offers.len() < 2 {
            assert!(by_http1(&secured, offers, "GET", "/healthz").starts_with("HTTP/1.1 200"), "{offers:?}");
        }
        let mut raw = raw::Raw::connect(&secured, offers);
        assert_eq!(raw.offered().as_deref() == Some("h2"), offers.contains(&"h2"), "{offers:?}");
        assert!(raw.send(raw::PREFACE) && raw.send(&raw::frame(raw::SETTINGS, 0, 0, &[])));
        assert_eq!(raw.text().is_empty(), !offers.contains(&"h2"), "{offers:?}");
    }
    let plain = serve_by(&settings(None, None), limits(|limits| limits.head = SHORT), None);
    let mut stream = TcpStream::connect(plain.address()).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(raw::PREFACE).expect("sent");
    assert_eq!(stream.read_to_end(&mut Vec::new()).expect("the end"), 0);
}

/// A page of somebody else's reaches loopback by a name of its own.
#[tokio::test]
async fn the_authority_says_for_whom_a_request_was_meant() {
    let secured = secured(Limits::USUAL);
    let client = client(&secured).await;
    for (authority, headers, expected) in [
        ("localhost", &[][..], 200),
        ("127.0.0.1:80", &[], 200),
        ("evil.example", &[], 403),
        ("evil.example:80", &[("host", "localhost")], 403),
    ] {
        let mut asked = request(&Method::GET, "/api/v1/sagas", headers);
        *asked.uri_mut() = format!("https://{authority}/api/v1/sagas").parse().expect("an address");
        let (code, ..) = head_of(&client, asked, b"").await.expect("an answer");
        assert_eq!(code, expected, "{authority}");
    }
    let from_elsewhere = [("origin", "https://localhost:9999"), ("content-type", "application/json")];
    let (code, ..) = head_of(&client, request(&Method::POST, "/api/v1/acts", &from_elsewhere), b"{}").await.expect("an answer");
    assert_eq!(code, 403);
}

/// Bodies come in as they are read, up to what there is room for; and what goes wrong with one leaves the others alone.
#[tokio::test]
async fn bodies_are_taken_up_to_their_bound() {
    let secured = secured(limits(|limits| limits.requests.drain = SHORT * 3));
    let client = client(&secured).await;
    let kind = ("content-type", "application/json");
    let body = r#"{"act":"cancel","saga":"order/o-1","why":"asked for"}"#;
    let padded = [" ".repeat((1 << 20) - body.len()), body.to_owned()].concat();
    for (sent, length, code, said) in [
        (padded.as_bytes(), Some(padded.len()), 503, "no way to bring acts"),
        (padded.as_bytes(), Some(2 << 20), 413, "at most 1048576 bytes"),
        (&[b' '; (1 << 20) + 1], None, 413, "at most 1048576 bytes"),
        (b"{", Some(500), 400, "its body did not come within 3 s"),
    ] {
        let length_text = length.map(|length| length.to_string());
        let headers: Vec<(&str, &str)> =
            [kind].into_iter().chain(length_text.as_deref().map(|length| ("content-length", length))).collect();
        let (answered, headers, mut rest) =
            head_of(&client, request(&Method::POST, "/api/v1/acts", &headers), sent).await.expect("an answer");
        let text = all_of(&mut rest).await.expect("all of it");
        assert!(answered == code && text.contains(said), "{length:?}: {answered} {text}");
        assert!(!headers.contains_key("connection"), "{headers:?}");
    }
    assert_eq!(answer(&client, "/healthz", &[]).await, (200, "ok\n".to_owned()), "on the same connection");
}
