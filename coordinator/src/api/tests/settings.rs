//! Secrets in settings are nobody's to read, whichever way they came and whoever asks.

use super::*;
use crate::config::Config;

const SECRETS: [&str; 7] = ["hunter2", "swordfish", "xyzzy", "plugh", "opensesame", "mellon", "abracadabra"];

#[test]
fn no_secret_is_shown_anywhere() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ringmaster.toml");
    let text = "partitions = 4\n[kafka]\n\"sasl.password\" = 'hunter2'\n\"ssl.key.password\" = 'swordfish'\n\"sasl.jaas.config\" = 'x password=xyzzy'\n\
                \"ssl.ca.location\" = '/etc/ca.pem'\n[alerts]\nwebhook = 'https://localhost/plugh'\nsecret_file = '/opensesame'\n";
    std::fs::write(&file, text).expect("written");
    let flags = [
        "kafka.sasl.oauthbearer.client.secret=mellon",
        "kafka={\"ssl.keystore.password\"=\"abracadabra\"}",
        "api.listen=127.0.0.1:0",
    ];
    let flags = flags.map(str::to_owned);
    let (config, settings) = Config::load_shown(Some(&file), &flags).expect("they are right");
    assert!(!format!("{settings:?}").contains("hunter2"), "not in what is kept either");
    let sources = Sources { settings: settings.into(), ..sources(Arc::new(SimStore::new())) };
    let port = Port::open(&config.api, ([127, 0, 0, 1], 0).into()).expect("it needs nothing");
    let server = serve(listen(([127, 0, 0, 1], 0).into()).expect("a free port"), sources, port).expect("serves");
    for path in ["/api/v1/settings", "/metrics", "/api/v1/nothing", "/api/v1/saga?id=hunter", "/api/v1/settings?x=1", "/readyz"] {
        let answer = client::get(server.address(), path).expect("an answer");
        for secret in SECRETS {
            assert!(!answer.body.contains(secret), "{secret} in {path}: {}", answer.body);
        }
    }
    let (_, body) = get(&server, "/api/v1/settings");
    let of = |name: &str| body["settings"].as_array().expect("a list").iter().find(|one| one["name"] == name).cloned();
    let told = |name: &str, value: serde_json::Value, from: &str| {
        let found = of(name).unwrap_or_else(|| panic!("{name}: {body}"));
        assert!(found["value"] == value && found["from"].as_str().is_some_and(|said| said.contains(from)), "{found}");
    };
    told("kafka.sasl.password", json!("***"), "ringmaster.toml:3:1");
    told("kafka.ssl.ca.location", json!("/etc/ca.pem"), "ringmaster.toml:6:1");
    told("kafka.sasl.oauthbearer.client.secret", json!("***"), "--set kafka.sasl.oauthbearer.client.secret=***");
    told("kafka.bootstrap.servers", json!("127.0.0.1:9092"), "default");
    told("partitions", json!("4"), "ringmaster.toml:1:1");
    told("workers", json!("auto"), "default");
    told("api.tokens", json!(null), "default");
    told("api.listen", json!("127.0.0.1:0"), "--set api.listen=127.0.0.1:0");
}
