//! The HTTP port as a process has it: where it refuses to start, who is answered, and what is told to nobody.

use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use ringmaster::api::client;
use serde_json::Value;

use crate::site::Site;

fn write_private(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("set");
}

/// Writes `tls.pem`, `tls.key` and `ca.pem`; the key's text.
fn certificate(folder: &Path) -> String {
    let pem = |what: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
    };
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("names");
    let certificate = params.signed_by(&key, &authority).expect("signed");
    std::fs::write(folder.join("ca.pem"), pem("CERTIFICATE", authority.der())).expect("written");
    std::fs::write(folder.join("tls.pem"), pem("CERTIFICATE", certificate.der())).expect("written");
    let key = pem("PRIVATE KEY", &key.serialize_der());
    write_private(&folder.join("tls.key"), &key);
    key
}

impl Site {
    /// Has TLS and tokens from now on, and a token of each of these roles in a file of the role's name.
    pub(crate) fn guarded(&self, roles: &[&str]) -> String {
        let key = certificate(self.folder.path());
        let settings = std::fs::read_to_string(self.folder.path().join("ringmaster.toml")).expect("settings");
        self.write(
            "ringmaster.toml",
            &format!("{settings}tokens = 'tokens.toml'\ntls = {{ certificate = 'tls.pem', key = 'tls.key' }}\n"),
        );
        for role in roles {
            let token = self.said(&["token", "create", "--name", role, "--role", role, "--expires", "1d"]);
            write_private(&self.folder.path().join(role), &token);
        }
        key
    }

    /// Runs a command with the token in this file.
    pub(crate) fn by(&self, token: &str, arguments: &[&str]) -> (i32, String) {
        let mut command = self.command(arguments);
        let output = command.env("RINGMASTER_TOKEN_FILE", token).env("RINGMASTER_CA_FILE", "ca.pem").output().expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().expect("it ends by itself"), String::from_utf8(said).expect("text"))
    }
}

/// Where others reach the port nothing starts by accident, and what to do is said.
#[test]
fn a_port_that_others_reach_is_not_opened_by_accident() {
    let site = Site::new();
    let listen = format!("api.listen=0.0.0.0:{}", site.address.port());
    let (code, _, errors) = site.ringmaster(&["run", "--set", &listen]);
    assert!(code == 4 && errors.contains("needs TLS and tokens: set api.tls.certificate"), "{code} {errors}");
    assert_eq!(site.ringmaster(&["config", "--check", "--set", &listen]).0, 4);
    assert!(!site.folder.path().join("state").exists(), "nothing was begun");
    let files = ["--set", "api.tls.certificate=no.pem", "--set", "api.tls.key=no.key"];
    let (code, _, errors) = site.ringmaster(&[&["run", "--set", &listen, "--set", "api.tokens=no.toml"], &files[..]].concat());
    assert!(code == 4 && errors.contains("api.tls.certificate: no.pem: "), "{code} {errors}");
    certificate(site.folder.path());
    let files = ["--set", "api.tls.certificate=tls.pem", "--set", "api.tls.key=tls.key"];
    let (code, _, errors) = site.ringmaster(&[&["run", "--set", &listen, "--set", "api.tokens=no.toml"], &files[..]].concat());
    assert!(
        code == 4 && errors.contains("api.tokens: no.toml: there is no such file; `ringmaster token create"),
        "{code} {errors}"
    );
    let settings = std::fs::read_to_string(site.folder.path().join("ringmaster.toml")).expect("settings");
    let open = settings.replace("listen = '127.0.0.1:", "insecure = true\nlisten = '0.0.0.0:");
    site.write("ringmaster.toml", &open);
    let coordinator = site.start();
    assert_eq!(site.ringmaster(&["saga", "list"]).0, 0, "what listens everywhere is asked on loopback");
    assert_eq!(coordinator.stop().0, Some(0));
}

/// As README has it: a certificate, tokens, and the command line by them.
#[test]
fn the_command_line_asks_by_tls_and_a_token() {
    let site = Site::new();
    site.guarded(&["viewer", "metrics", "admin"]);
    let coordinator = site.start_as("https");
    let list = ["participant", "list"];
    let (code, said) = site.by("viewer", &list);
    assert!(code == 0 && said.contains("payment"), "{code} {said}");
    let (code, said) = site.by("metrics", &list);
    assert!(code == 11 && said.contains("metrics is not allowed to: it takes the role viewer"), "{code} {said}");
    let (code, said) = site.by("", &list);
    assert!(code == 11 && said.contains("RINGMASTER_TOKEN_FILE names a file with one"), "{code} {said}");
    let (code, _, errors) = site.ringmaster(&list);
    assert!(code == 5 && errors.contains("RINGMASTER_CA_FILE names"), "the system trusts nobody who signed it: {code} {errors}");
    // By an address, from anywhere; and not over HTTP.
    let url = format!("https://{}", site.address);
    assert_eq!(site.by("viewer", &["saga", "list", "--api", &url]).0, 0);
    assert_eq!(site.by("viewer", &["saga", "list", "--api", &site.address.to_string()]).0, 5);
    // What is used is seen by an admin, and what is revoked is over within a second.
    let tokens: Vec<Value> = site
        .by("admin", &["token", "list", "--json", "--api", &url])
        .1
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let viewer = tokens.iter().find(|token| token["name"] == "viewer").expect("it is listed");
    assert!(viewer["last_used"].is_string() && tokens.len() == 3, "{tokens:?}");
    let id = viewer["id"].as_str().expect("an ID");
    assert_eq!(site.said(&["token", "revoke", id]), format!("revoked {id}\n"));
    coordinator.until_it_says("tokens were read again");
    assert_eq!(site.by("viewer", &list).0, 11);
    let table = site.said(&["token", "list"]);
    assert!(table.contains("revoked") && table.contains("metrics") && table.contains("EXPIRES"), "{table}");
    let (code, _, errors) = site.ringmaster(&["token", "revoke", "unknown"]);
    assert!(code == 9 && errors.contains("`ringmaster token list` shows all"), "{code} {errors}");
    let (_, log) = coordinator.stop();
    assert!(log.contains("metrics at 127.0.0.1") && log.contains("forbidden"), "who was sent away is logged: {log}");
}

#[test]
fn a_token_has_a_name_a_role_and_an_end() {
    let site = Site::new();
    let create =
        ["token", "create", "--file", "t.toml", "--name", "ann", "--role", "approver:risk", "--role", "viewer", "--expires", "30d"];
    let made: Value = serde_json::from_str(&site.said(&[&create[..], &["--json"]].concat())).expect("JSON");
    assert!(
        made["roles"] == serde_json::json!(["approver:risk", "viewer"]) && made["token"].as_str().expect("one").starts_with("rm_")
    );
    let listed = site.lines(&["token", "list", "--json", "--file", "t.toml"]);
    assert!(listed.len() == 1 && listed[0]["id"] == made["id"] && listed[0]["token"].is_null(), "{listed:?}");
    for place in 0..create.len() {
        if create[place].starts_with("--") && create[place] != "--file" && create[place] != "--role" {
            let without = [&create[..place], &create[place + 2..]].concat();
            assert_eq!(site.ringmaster(&without).0, 2, "{without:?}");
        }
    }
    for (place, wrong) in [(5, ""), (7, "root"), (11, "30"), (11, "0s")] {
        let mut arguments = create;
        arguments[place] = wrong;
        assert_eq!(site.ringmaster(&arguments).0, 2, "{arguments:?}");
    }
    assert_eq!(site.ringmaster(&["token", "list"]).0, 2, "which file is not said");
    assert_eq!(site.said(&["token", "list", "--file", "none.toml"]), "there is no token\n");
}

/// More connections than there are places, all of them silent: others are answered at once, and sagas know nothing of it.
#[test]
fn five_hundred_connections_that_say_nothing_keep_nobody_out() {
    let site = Site::new();
    let coordinator = site.start();
    let mut silent: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(site.address).expect("it listens")).collect();
    for _ in 0..3 {
        assert_eq!(client::get(site.address, "/readyz").expect("an answer").code, 200);
        assert_eq!(site.ringmaster(&["saga", "list"]).0, 0);
    }
    let first = &mut silent[0];
    first.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let ended = first.read(&mut [0]);
    assert!(
        ended.as_ref().is_ok_and(|bytes| *bytes == 0)
            || ended.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset),
        "{ended:?}"
    );
    assert_eq!(coordinator.stop().0, Some(0), "and it stops in order while others hang on it");
}

/// Commands that say something: of what runs, of settings, of what is wrong with them.
const SAYING: [&[&str]; 16] = [
    &["saga", "list"],
    &["saga", "show", "order-fulfilment/unknown"],
    &["participant", "list", "--json"],
    &["token", "list"],
    &["token", "revoke", "unknown"],
    &["config"],
    &["config", "--check"],
    &["config", "--check", "--set", "kafkaa.sasl.password=hunter2-sasl"],
    &["config", "--check", "--set", "bus=kafka"],
    &["config", "--check", "--set", "bus=kafka", "--set", "kafka.sasl.pasword=hunter2-sasl"],
    &[
        "topics",
        "verify",
        "--set",
        "bus=kafka",
        "--set",
        "kafka.security.protocol=sasl_ssl",
        "--set",
        "kafka.bootstrap.servers=127.0.0.1:1",
    ],
    &["run", "--set", "data_dir=other", "--set", "api.tls.key=tokens.toml"],
    &["run", "--set", "data_dir=other", "--set", "api.tokens=tls.key"],
    &["run", "--help"],
    &["token", "--help"],
    &["--help"],
];

/// Secrets that are planted everywhere are found nowhere: not in the log at its most talkative, in metrics, in answers, in help or errors.
#[test]
fn planted_secrets_are_found_nowhere() {
    let site = Site::new();
    let key = site.guarded(&["viewer", "admin"]);
    let secret_of = |name: &str| {
        let token = std::fs::read_to_string(site.folder.path().join(name)).expect("a token");
        token.trim().rsplit('_').next().expect("a secret").to_owned()
    };
    let planted = [
        "hunter2-sasl".to_owned(),
        "hunter2-pem".to_owned(),
        "hunter2-oauth".to_owned(),
        key.lines().nth(1).expect("the key").to_owned(),
        secret_of("viewer"),
        secret_of("admin"),
    ];
    let tokens = std::fs::read_to_string(site.folder.path().join("tokens.toml")).expect("a file");
    let hashes: Vec<&str> = tokens.lines().filter_map(|line| line.strip_prefix("secret_sha256 = \"")?.strip_suffix('"')).collect();
    assert_eq!(hashes.len(), 2);
    let settings = std::fs::read_to_string(site.folder.path().join("ringmaster.toml")).expect("settings");
    let kafka = "[kafka]\n'sasl.password' = 'hunter2-sasl'\n'ssl.key.pem' = 'hunter2-pem'\n'sasl.oauthbearer.client.secret' = 'hunter2-oauth'\n[log]\nlevel = 'trace'\n";
    site.write("ringmaster.toml", &format!("{settings}{kafka}"));
    let coordinator = site.start_as("https");
    let url = format!("https://{}", site.address);
    let mut told = String::new();
    for arguments in SAYING {
        told += &site.by("admin", arguments).1;
    }
    // Who is sent away is logged.
    for by in ["viewer", "", "admin"] {
        told += &site.by(by, &["token", "list", "--api", &url]).1;
    }
    for path in ["/metrics", "/readyz", "/api/v1/partitions", "/api/v1/participants", "/api/v1/sagas", "/api/v1/tokens", "/nothing"]
    {
        let means =
            client::Means { token_file: Some(site.folder.path().join("admin")), ca_file: Some(site.folder.path().join("ca.pem")) };
        let caller = client::caller(&url.parse().expect("an address"), &means).expect("ready");
        told += &caller.get(path).expect("an answer").body;
    }
    told += &coordinator.stop().1;
    assert!(
        told.contains("ringmaster_http_denied_total") && told.contains("TRACE") && told.contains("last_used"),
        "all of it was told"
    );
    for secret in planted.iter().map(String::as_str).chain(hashes) {
        let place = told.find(secret);
        assert!(place.is_none(), "{}", &told[place.unwrap_or(0).saturating_sub(300)..][..400]);
    }
}
