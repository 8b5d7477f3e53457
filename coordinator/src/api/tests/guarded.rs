//! A port that keeps others out: tokens, roles, TLS, bounds, and what every answer bears.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::allowed::{May, Role};
use super::super::gate;
use super::super::problem::PROBLEMS;
use super::super::routes;
use super::super::server::Limits;
use super::super::tokens::TokenFile;
use serde_json::Value;

use super::*;
use crate::config::{Api, TlsFiles};

mod bounds;
mod http2;
mod tls;

/// How long what must happen may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// An answer as it came.
pub(super) struct Raw {
    code: u16,
    pub(super) head: String,
    body: String,
}

impl Raw {
    /// The problem that it is.
    fn problem(&self) -> (u16, String) {
        assert!(self.head.contains("content-type: application/problem+json"), "{}\n{}", self.head, self.body);
        let body: Value = serde_json::from_str(&self.body).expect("JSON");
        let name = body["type"].as_str().and_then(|name| name.strip_prefix("/problems/")).expect("a type").to_owned();
        assert!(PROBLEMS.iter().any(|said| (said.name, said.status) == (&*name, self.code)), "{}", self.body);
        assert!(body["status"] == self.code && body["title"].is_string() && body["detail"].is_string(), "{}", self.body);
        (self.code, name)
    }
}

fn send(server: &Server, request: &[u8]) -> Raw {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream.write_all(request).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let text = String::from_utf8(answer).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text}"));
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Raw { code, head: head.to_lowercase(), body: body.to_owned() }
}

pub(super) fn ask(server: &Server, method: &str, path: &str, headers: &[(&str, &str)]) -> Raw {
    let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let host = if headers.iter().any(|(name, _)| *name == "host") { "" } else { "host: localhost\r\n" };
    send(server, format!("{method} {path} HTTP/1.1\r\n{host}{more}connection: close\r\n\r\n").as_bytes())
}

/// A port that wants tokens, and the file of them.
struct Guarded {
    server: Server,
    file: TokenFile,
    folder: tempfile::TempDir,
}

fn settings(tokens: Option<PathBuf>, tls: Option<TlsFiles>) -> Api {
    Api { listen: None, tls, tokens, insecure: false, deploy: true }
}

fn serve_by(api: &Api, limits: Limits, peers: Option<Arc<Peers>>) -> Server {
    let sources = Sources { peers, ..sources(Arc::new(SimStore::new())) };
    sources.status.given(Some(&[].into()));
    let listener = listen(([127, 0, 0, 1], 0).into()).expect("a free port");
    let port = Port::open(api, listener.local_addr().expect("an address")).expect("it is right").with(limits);
    serve(listener, sources, port).expect("serves")
}

impl Guarded {
    fn new() -> Guarded {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.toml");
        let file = TokenFile::new(&path);
        let now = wall();
        file.create("first", &[Role::Admin], now, now + 86_400_000).expect("made");
        let server = serve_by(&settings(Some(path), None), Limits::USUAL, None);
        Guarded { server, file, folder }
    }

    /// The header that a new token is sent in.
    fn token(&self, role: &str, good_for_ms: i64) -> (String, String) {
        let (roles, now) = ([role.parse().expect("a role")], wall());
        let made = self.file.create(role, &roles, now, now + good_for_ms).expect("made");
        (format!("Bearer {}", made.token), made.known.id)
    }

    fn ask(&self, path: &str, authorization: &str) -> Raw {
        ask(&self.server, "GET", path, &[("authorization", authorization)])
    }

    /// Asks until the answer has this code: files are looked at every second.
    fn until(&self, authorization: &str, code: u16) {
        until("the file is read", || self.ask("/metrics", authorization).code == code);
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Every role, and every route of the table, over real requests.
#[test]
fn each_role_is_answered_what_the_table_says() {
    let guarded = Guarded::new();
    let roles = ["metrics", "viewer", "reader", "operator", "operator:order-*", "approver:risk", "deployer", "admin"];
    let tokens = roles.map(|role| guarded.token(role, 86_400_000).0);
    tokens.iter().for_each(|token| guarded.until(token, 200));
    let (mut answered, mut refused) = (0, 0);
    for route in routes::all() {
        let path = route.path.replace("{*id}", "order/unknown");
        assert!(route.may != May::Reach || matches!(route.path, "/healthz" | "/readyz"), "{} is open to anyone", route.path);
        assert!(route.may != May::Measure || route.path == "/metrics", "{} is shown to who may only measure", route.path);
        let nobody = ask(&guarded.server, route.method.as_str(), &path, &[]);
        assert_eq!(nobody.code == 401, route.may != May::Reach, "{path} without a token");
        for (role, token) in roles.iter().zip(&tokens) {
            let answer = ask(&guarded.server, route.method.as_str(), &path, &[("authorization", token)]);
            assert_ne!(answer.code, 401, "{role} {path}");
            let may = role.parse::<Role>().expect("a role").may(route.may);
            assert_eq!(answer.code != 403, may, "{role} {path}: {}", answer.body);
            if !may {
                assert!(
                    answer.problem() == (403, "forbidden".to_owned()) && answer.body.contains(route.may.least()),
                    "{}",
                    answer.body
                );
            }
            *(if may { &mut answered } else { &mut refused }) += 1;
        }
    }
    assert!(answered > 20 && refused > 5, "{answered} {refused}");
    let metrics = guarded.ask("/metrics", &tokens[0]).body;
    assert!(metrics.contains(&format!("ringmaster_http_denied_total{{why=\"forbidden\"}} {refused}\n")), "{metrics}");
    assert!(metrics.contains("ringmaster_http_denied_total{why=\"unauthorized\"} "), "{metrics}");
}

/// Whatever is wrong with a token, the answer is the same to the letter.
#[test]
fn wrong_tokens_are_told_apart_by_nothing() {
    let guarded = Guarded::new();
    let (good, _) = guarded.token("viewer", 86_400_000);
    let (revoked, id) = guarded.token("viewer", 86_400_000);
    let (expired, _) = guarded.token("viewer", 0);
    guarded.until(&good, 200);
    guarded.until(&revoked, 200);
    guarded.file.revoke(&id, wall()).expect("written");
    guarded.until(&revoked, 401);
    let no_date = |raw: Raw| {
        let head: Vec<&str> = raw.head.lines().filter(|line| !line.starts_with("date: ")).collect();
        (raw.code, head.join("\n"), raw.body)
    };
    let nobody = ask(&guarded.server, "GET", "/api/v1/sagas", &[]);
    assert_eq!(nobody.problem(), (401, "unauthorized".to_owned()));
    assert!(nobody.head.contains("www-authenticate: bearer"), "{}", nobody.head);
    let nobody = no_date(nobody);
    let last = if good.ends_with('0') { '1' } else { '0' };
    let wrong = format!("{}{last}", &good[..good.len() - 1]);
    let basic = good.replace("Bearer", "Basic");
    for authorization in
        [&*revoked, &expired, &wrong, &basic, "Bearer", "Bearer ", "Bearer rm_1_2", "nonsense", "Bearer rm_é_ü", &"x".repeat(9_000)]
    {
        assert_eq!(no_date(guarded.ask("/api/v1/sagas", authorization)), nobody, "{authorization}");
    }
    assert_eq!(guarded.ask("/api/v1/sagas", &good).code, 200);
    assert_eq!(guarded.ask("/api/v1/sagas", &good.replace("Bearer", "bearer")).code, 200);
    std::fs::remove_file(guarded.folder.path().join("tokens.toml")).expect("removed");
    guarded.until(&good, 401);
}

/// What is watched by a token ends with it.
#[test]
fn a_token_that_is_revoked_watches_no_more() {
    let guarded = Guarded::new();
    let (token, id) = guarded.token("viewer", 86_400_000);
    guarded.until(&token, 200);
    let mut stream = TcpStream::connect(guarded.server.address()).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let request = format!(
        "GET /api/v1/live?watch=overview HTTP/1.1\r\nhost: localhost\r\nauthorization: {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let (mut said, mut bytes) = (String::new(), [0; 4096]);
    while !said.contains("event: overview") {
        let count = stream.read(&mut bytes).expect("more");
        assert_ne!(count, 0, "it ends: {said}");
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    guarded.file.revoke(&id, wall()).expect("written");
    let since = Instant::now();
    while !said.ends_with("\r\n0\r\n\r\n") {
        let count = stream.read(&mut bytes).expect("more, or the end");
        assert!(count > 0 && since.elapsed() < PATIENCE, "it goes on: {said}");
        said.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

#[test]
fn an_admin_sees_which_tokens_are_used() {
    let guarded = Guarded::new();
    let (admin, id) = guarded.token("admin", 86_400_000);
    guarded.until(&admin, 200);
    let answer = guarded.ask("/api/v1/tokens", &admin);
    let shown: Value = serde_json::from_str(&answer.body).expect("JSON");
    let tokens = shown["tokens"].as_array().expect("a list");
    let mine = tokens.iter().find(|token| token["id"] == *id).expect("it is listed");
    assert!(
        tokens.len() == 2 && mine["last_used"].is_string() && mine["state"] == "good" && mine["roles"] == json!(["admin"]),
        "{shown}"
    );
    assert_eq!(tokens.iter().filter(|token| token["last_used"].is_null()).count(), 1, "the first was never used: {shown}");
    assert!(!answer.body.contains("sha256"), "{shown}");
}

/// Also those that are problems, and those of probes.
#[test]
fn every_answer_bears_the_headers_and_every_error_is_a_problem() {
    let guarded = Guarded::new();
    let local = serve_by(&settings(None, None), Limits::USUAL, None);
    let json = ("content-type", "application/json");
    for (raw, expected) in [
        (ask(&local, "GET", "/healthz", &[]), None),
        (ask(&local, "GET", "/api/v1/sagas", &[]), None),
        (ask(&guarded.server, "GET", "/api/v1/sagas", &[]), Some((401, "unauthorized"))),
        (ask(&local, "GET", "/nothing", &[]), Some((404, "not-found"))),
        (ask(&local, "GET", "/api/nothing", &[]), Some((404, "not-found"))),
        (ask(&guarded.server, "GET", "/nothing", &[]), Some((404, "not-found"))),
        (ask(&local, "GET", "/api/v1/sagas?stuk=true", &[]), Some((400, "bad-request"))),
        (ask(&local, "GET", "/api/v1/sagas?filter=definition:nobody", &[]), Some((404, "not-found"))),
        (ask(&local, "GET", "/api/v1/sagas?filter=stuk", &[]), Some((400, "bad-filter"))),
        (ask(&local, "GET", "/api/v1/sagas?cursor=00", &[]), Some((400, "bad-cursor"))),
        (ask(&local, "GET", "/api/v1/sagas?limit=501", &[]), Some((400, "bad-request"))),
        (ask(&local, "GET", "/api/v1/sagas?limit=0", &[]), Some((400, "bad-request"))),
        (ask(&local, "GET", "/api/v1/sagas?partitions=4", &[]), Some((400, "bad-request"))),
        (ask(&local, "POST", "/api/v1/sagas", &[json]), Some((405, "method-not-allowed"))),
        (ask(&local, "DELETE", "/healthz", &[]), Some((405, "method-not-allowed"))),
        (ask(&local, "GET", "/api/v1/sagas", &[("host", "evil.example:80")]), Some((403, "forbidden"))),
    ] {
        for header in [
            "content-security-policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(raw.head.lines().any(|line| line == header), "{header}\n{}\n{}", raw.head, raw.body);
        }
        let expected = expected.map(|(code, name)| (code, name.to_owned()));
        assert_eq!((raw.code >= 400).then(|| raw.problem()), expected);
        assert_eq!(raw.code == 405, raw.head.contains("\nallow: get"), "{}", raw.head);
    }
    for (path, is_stored) in [("/api/v1/partitions", false), ("/api/nothing", false), ("/metrics", true)] {
        assert_eq!(!ask(&local, "GET", path, &[]).head.contains("cache-control: no-store"), is_stored, "{path}");
    }
    assert_eq!(ask(&local, "GET", "/healthz", &[("host", "evil.example")]).code, 200, "probes use any name");
}

/// What a page of another site can have a browser send is done nowhere; what is no JSON is not either, and is told so where no browser asks.
#[test]
fn what_changes_something_is_json_and_of_no_other_site() {
    let local = serve_by(&settings(None, None), Limits::USUAL, None);
    let (json, form) = (("content-type", "application/json"), ("content-type", "application/x-www-form-urlencoded"));
    let site = |site| ("sec-fetch-site", site);
    let elsewhere = ("origin", "https://localhost:9999");
    // Nobody reads the control topic here: whoever may act is told what the body lacks.
    for (headers, expected, says) in [
        (&[json][..], "bad-request", "EOF"),
        (&[("content-type", "Application/JSON; charset=utf-8")], "bad-request", "EOF"),
        (&[json, site("same-origin"), ("origin", "http://localhost")], "bad-request", "EOF"),
        (&[], "bad-request", "`Content-Type: application/json`"),
        (&[form], "bad-request", "`Content-Type: application/json`"),
        (&[("content-type", "text/plain")], "bad-request", "`Content-Type: application/json`"),
        (&[form, site("cross-site"), elsewhere], "forbidden", "from a page of this port"),
        (&[form, site("same-origin")], "forbidden", "from a page of this port"),
        (&[form, site("none")], "forbidden", "from a page of this port"),
        (&[site("same-origin")], "forbidden", "from a page of this port"),
        (&[form, elsewhere], "forbidden", "from a page of this port"),
        (&[form, ("origin", "null")], "forbidden", "from a page of this port"),
        (&[elsewhere], "forbidden", "from a page of this port"),
        (&[json, site("cross-site")], "forbidden", "from a page of this port"),
        (&[json, site("same-site")], "forbidden", "from a page of this port"),
        (&[json, elsewhere], "forbidden", "from a page of this port"),
    ] {
        let raw = ask(&local, "POST", "/api/v1/acts", headers);
        assert_eq!(raw.problem().1, expected, "{headers:?}: {}", raw.body);
        assert!(raw.body.contains(says), "{headers:?}: {}", raw.body);
    }
}

/// A field that there is not, or a body that is no object, is the request's mistake, wherever it is sent; only files have errors.
#[test]
fn what_a_body_may_not_have_is_a_bad_request_everywhere() {
    let local = serve_by(&settings(None, None), Limits::USUAL, None);
    for path in
        ["acts", "batches", "quarantine:redrive", "quarantine:discard", "replays", "definitions:check", "definitions:deploy"]
    {
        for body in [r#"{"nope":1}"#, "[]", "{", "7"] {
            let head = format!(
                "POST /api/v1/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n"
            );
            let raw = send(&local, format!("{head}content-length: {}\r\n\r\n{body}", body.len()).as_bytes());
            assert_eq!(raw.problem().1, "bad-request", "{path} of {body}: {}", raw.body);
        }
    }
}

/// Ids come from others' events: whatever they hold, the answer is one that is documented.
#[test]
fn ids_of_any_characters_are_answered() {
    let local = serve_by(&settings(None, None), Limits::USUAL, None);
    let long = format!("order/{}", "k".repeat(200));
    let longer = format!("order/{}", "%F0%9F%8E%AA".repeat(2_000));
    for id in [
        "order/a/b/c",
        "order/a%2Fb",
        "order/%",
        "order/%zz",
        "order/%F0%9F%8E%AA",
        "order/🎪",
        "🎪/🎪",
        &*long,
        &*longer,
        "/",
        "//",
        "order/",
        "..%2f..%2fetc%2fpasswd",
        "../../etc/passwd",
        "order/a%00b",
        "order/%FF",
        "order/a;b",
        "order/a'b\"c",
        "order/<script>",
        "{*id}",
        "%2F",
    ] {
        let raw =
            send(&local, format!("GET /api/v1/saga?id={id} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").as_bytes());
        // What is no HTTP is answered by what reads it, without a body.
        if !raw.body.is_empty() {
            assert!(matches!(raw.problem().0, 400 | 404 | 503), "{id}: {} {}", raw.code, raw.body);
        } else {
            assert!(raw.code == 400, "{id}: {}", raw.head);
        }
    }
    assert_eq!(ask(&local, "GET", "/healthz", &[]).code, 200);
}
