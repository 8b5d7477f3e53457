//! Settings: defaults, precedence, and what is said about wrong ones.

use super::*;

/// Settings from a file, the environment and flags.
fn config(file: &str, environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, String> {
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let layers = Layers::default().file(Path::new("r.toml"), file).environment(environment).flags(flags.iter().copied());
    Config::read(layers).map(|(config, _)| config).map_err(|error| error.to_string())
}

#[test]
fn the_default_file_says_the_defaults() {
    let default = Config::parse("default.toml", DEFAULT).map_err(|error| error.to_string());
    assert_eq!(default, config("", &[], &[]));
}

#[test]
fn the_default_file_names_every_setting() {
    // The examples in its comments are settings, too.
    let uncommented: String = DEFAULT
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|line| line.starts_with('[') || line.contains(" = ")).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let mut layers = Layers::default().file(Path::new("default.toml"), &uncommented);
    let read = read_config(&mut layers);
    let known = layers.known();
    assert_eq!(layers.finish(), [] as [String; 0], "nothing in it is unknown");
    for key in &known {
        let last = key.rsplit('.').next().expect("a last part");
        let named =
            uncommented.lines().any(|line| line.starts_with(&format!("{last} = ")) || line.starts_with(&format!("\"{last}\" = ")));
        assert!(named, "{key} is in the default file");
    }
    assert_eq!(read.topics.keys().collect::<Vec<_>>(), ["orders"]);
    let group = Some("ringmaster.participant.payment".to_owned());
    let scaling = Configured { slo_ms: Some(5_000), concurrency: Some(1), group, max_members: Some(8) };
    let remembers = Duration::from_secs(30 * 86_400);
    assert_eq!(read.participants["payment"], Participant { encoding: Encoding::Avro, remembers, scaling });
    assert_eq!(read.topics["orders"].mode, Topic::default().mode, "the example's mode is the default");
    assert_eq!(read.topics["orders"].type_field, Topic::default().type_field);
}

/// What a message tells people to set can be set, also for a topic whose name has dots.
#[test]
fn what_messages_advise_is_a_setting() {
    use crate::runtime::{TopicLost, Use};
    use ringmaster_core::partition::Why;

    let name = "ringmaster.replies";
    let lost = |made_again| TopicLost { topic: name.into(), used: Use::Input, made_again }.to_string();
    let why = [
        Why::TopicMadeAgain { partition: 1, topic: name.to_owned() }.to_string(),
        Why::InputLost { partition: 1, topic: name.to_owned(), position: 7 }.to_string(),
    ];
    for said in [lost(true), lost(false)].into_iter().chain(why) {
        let advice = said.split('`').find(|quoted| quoted.starts_with("topics.")).expect("it names a setting");
        let read = config(advice, &[], &[]).unwrap_or_else(|error| panic!("{advice}: {error}"));
        assert!(read.topics[name].accept_new, "{advice}");
    }
    // Those that the compiler of definitions gives.
    let advice = "participants.\"eu.payment\".remembers = '40d'\nparticipants.\"eu.payment\".encoding = 'json'";
    let read = config(advice, &[], &[]).expect("a participant's name may have dots");
    let remembers = Duration::from_secs(40 * 86_400);
    assert_eq!(
        read.participants["eu.payment"],
        Participant { encoding: Encoding::Json, remembers, scaling: Configured::default() }
    );
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file =
        "prefix = 'file'\npartitions = 1\n[api]\nlisten = '127.0.0.1:1'\n[kafka]\nlinger.ms = 1\n'bootstrap.servers' = 'file:1'\n";
    let environment = [
        ("RINGMASTER_PARTITIONS", "2"),
        ("RINGMASTER_API_LISTEN", "127.0.0.1:2"),
        ("RINGMASTER_KAFKA_LINGER_MS", "2"),
        ("RINGMASTER_CACHE", "of the build"),
        ("PATH", "/bin"),
    ];
    let flags = ["api.listen=127.0.0.1:3", "kafka.linger.ms=3", "topics.orders.mode=plain", "instance=a b"];
    let read = config(file, &environment, &flags).expect("all is right");
    assert_eq!((read.prefix.as_str(), read.partitions, read.api.listen), ("file", 2, Some(([127, 0, 0, 1], 3).into())));
    assert_eq!(read.kafka.passthrough["linger.ms"], "3");
    assert_eq!(read.kafka.bootstrap, "file:1");
    assert_eq!(read.topics["orders"].mode, Mode::Plain);
    assert_eq!(read.instance, "a b");
    let read = config(file, &environment, &[]).expect("all is right");
    assert_eq!(read.kafka.passthrough["linger.ms"], "2");
    assert_eq!(read.api.listen, Some(([127, 0, 0, 1], 2).into()));
}

#[test]
fn alerts_are_told_where_settings_say_where_and_by_which_secret() {
    let url = format!("https://{}@localhost:9443/hook", "ann:hunter2");
    let file = format!("[alerts]\nwebhook = '{url}'\nsecret_file = 'secret'");
    let read = config(&file, &[], &[]).expect("all is right");
    let shown = format!("{:?}", read.alerts);
    assert!(shown.contains("localhost:9443") && !shown.contains("hunter2"), "{shown}");
    let alerts = read.alerts.expect("settings say where");
    assert_eq!((alerts.to, alerts.secret_file), (url.parse().expect("a URL"), "secret".into()));
    assert_eq!(config("", &[], &[]).expect("all is right").alerts, None);
    for one in ["alerts.webhook=https://localhost/", "alerts.secret_file=secret"] {
        let why = config("", &[], &[one]).expect_err("half of it");
        assert!(why.contains("one is of no use without the other"), "{why}");
    }
}

/// What the system says of a process is held against its bound only where the process is the coordinator's alone.
#[test]
fn a_process_that_others_share_is_not_judged() {
    let read = Config::parse("r.toml", "limits.memory = '400MiB'\nlimits.flush_every = '3s'").expect("all is right");
    assert_eq!(read.instance().memory_max, 400 << 20);
    assert_eq!(read.instance_among_others().memory_max, usize::MAX);
    assert_eq!(read.instance_among_others().flush_every, read.instance().flush_every);
}

#[test]
fn values_are_typed() {
    let file = "bus = 'embedded'\nstart_at = '2026-01-31T00:00:00Z'\ndata_dir = '/var/r'\napi.listen = 'off'\nworkers = 3
        [limits]\nrecord_bytes_max = '640KiB'\ncheckpoint_every = '250ms'\nmemory = 200000000
        [embedded]\nsync = 'always'\n[log]\nformat = 'json'\nlevel = 'warn,ringmaster=trace'
        [topics.'my.orders']\ndefault_type = 'Placed'\nencoding = 'json'\n[participants.payment]\nencoding = 'json'\nremembers = '7d'";
    let read = config(file, &[], &[]).expect("all is right");
    assert_eq!(read.bus, BusKind::Embedded);
    assert_eq!(read.start_at, StartAt::Time(1_769_817_600_000));
    assert_eq!((read.api.listen, read.workers), (None, 3));
    assert_eq!(read.limits.record_bytes_max, 640 << 10);
    assert_eq!(read.limits.memory, 200_000_000);
    assert_eq!(read.limits.checkpoint_every, Duration::from_millis(250));
    assert_eq!(read.embedded, Embedded { dir: "/var/r/bus".into(), sync_always: true });
    assert_eq!(read.log, Log { json: true, level: "warn,ringmaster=trace".to_owned() });
    assert_eq!(read.topics["my.orders"].default_type.as_deref(), Some("Placed"));
    assert_eq!(read.topics["my.orders"].encoding, Some(Encoding::Json));
    assert_eq!(read.participants["payment"].remembers, Duration::from_secs(7 * 86_400));
}

/// A limit that would hold everything up, overflow, or panic later is a mistake at the start.
#[test]
fn every_limit_has_bounds() {
    for (limit, low, high) in [
        ("in_flight_records_max", "0", "10001"),
        ("memory", "104MiB", "99999GiB"),
        ("in_flight_max", "7", "100000001"),
        ("unreleased_effects_max", "0", "10000001"),
        ("record_bytes_max", "447KiB", "33MiB"),
        ("record_turns_max", "0", "100001"),
        ("timers_per_poll_max", "0", "1000001"),
        ("checkpoint_every", "9ms", "61m"),
        ("checkpoint_rows_max", "0", "10000001"),
        ("flush_every", "9ms", "25h"),
        ("scrub_every", "999ms", "8d"),
        ("claim_backoff_first", "0s", "11m"),
        ("claim_backoff_max", "0s", "11m"),
    ] {
        for value in [low, high] {
            let error = config(&format!("[limits]\n{limit} = '{value}'"), &[], &[]).expect_err(limit);
            assert!(error.starts_with(&format!("r.toml:2:1: limits.{limit}: '{value}' is not a ")), "{error}");
        }
    }
    let unbounded = format!("{:?}", config("", &[], &[]).expect("defaults").limits);
    assert_eq!(unbounded.matches(':').count(), 13, "a new limit has a line here: {unbounded}");
    for remembers in ["999ms", "36501d"] {
        let error = config(&format!("[participants.a]\nremembers = '{remembers}'"), &[], &[]).expect_err(remembers);
        assert!(error.contains("participants.a.remembers"), "{error}");
    }
}

/// What many partitions need of memory is the default where they are many.
#[test]
fn many_partitions_have_room() {
    assert_eq!(
        config("partitions = 16384\nworkers = 1", &[], &[]).expect("all is right").limits.memory,
        (72 + 1 + 4 * 16_384) << 20
    );
}

/// Each wrong file, and what must be said of it.
#[test]
fn what_is_wrong_is_said_with_its_place_and_a_hint() {
    for (file, said) in [
        ("bus = 'kafka'\nprefx = 'x'", "r.toml:2:1: unknown setting 'prefx'; did you mean 'prefix'?"),
        ("[api]\nlisen = 'x'", "r.toml:2:1: unknown setting 'api.lisen'; did you mean 'api.listen'?"),
        ("listen = 'x'", "r.toml:1:1: unknown setting 'listen'; did you mean 'api.listen'?"),
        ("limits = 3", "r.toml:1:1: unknown setting 'limits'; did you mean 'limits.in_flight_records_max'?"),
        ("nothing_like_it = 3", "r.toml:1:1: unknown setting 'nothing_like_it'; `ringmaster config` prints all settings"),
        ("[topics.orders]\n  mod = 'plain'", "r.toml:2:3: unknown setting 'topics.orders.mod'; did you mean 'topics.orders.mode'?"),
        ("[topics.orders]\nrouted = 'no'", "r.toml:2:1: topics.orders.routed: "),
        ("[kafka]\nacks = 1", "r.toml:2:1: kafka.acks: cannot be set: an effect may leave only when its record is on all"),
        ("[kafka]\nenable.idempotence = false", "kafka.enable.idempotence: cannot be set"),
        ("partitions = 0", "r.toml:1:1: partitions: '0' is not a number from 1 to 16384"),
        ("partitions = 'eight'", "partitions: 'eight' is not a number"),
        ("partitions = [1]", "r.toml:1:1: partitions: a list is not a value here"),
        ("bus = 'rabbit'", "bus: 'rabbit' is not 'kafka' or 'embedded'"),
        ("prefix = 'a b'", "prefix: 'a b' cannot begin a topic's name"),
        ("journal_retention = '1s'", "journal_retention: '1s' is not a duration from 2s to 3650d, and not 'forever'"),
        ("start_at = 'yesterday'", "start_at: 'yesterday' is neither 'earliest' nor 'latest' nor a time"),
        ("[api]\nlisten = 8080", "api.listen: '8080' is not an address"),
        ("[log]\nlevel = 'in=fo=x'", "log.level: 'in=fo=x' is no level or filter"),
        ("[log]\nlevel = 'lound'", "log.level: 'lound' is not error, warn, info, debug, trace, off, or MODULE=LEVEL"),
        ("[log]\nlevel = 'info,ringmaster'", "log.level: 'ringmaster' is not error, warn"),
        ("[limits]\nflush_every = '10'", "limits.flush_every: '10' is not a duration"),
        ("[limits]\nflush_every = '0s'", "limits.flush_every: '0s' is not a duration from 10ms to 1d"),
        ("[limits]\nrecord_bytes_max = '1MB'", "limits.record_bytes_max: '1MB' is not a size"),
        ("[limits]\nmemory = '99999999999GiB'", "limits.memory: '99999999999GiB' is not a size"),
        ("[limits]\nclaim_backoff_first = '1m'", "limits.claim_backoff_first is longer than limits.claim_backoff_max"),
        ("bus = \n", "r.toml:1:"),
        ("bus = 'kafka'\nbus = 'kafka'", "r.toml:2:1: duplicate key"),
    ] {
        let error = config(file, &[], &[]).expect_err(file);
        assert!(error.contains(said), "{file:?}\n  said:     {error}\n  expected: {said}");
        assert!(!error.contains('\n'), "{file:?}: one mistake is said once: {error}");
    }
}

#[test]
fn environment_and_flags_are_checked_alike() {
    let error = config("", &[("RINGMASTER_PREFX", "x")], &[]).expect_err("unknown");
    assert_eq!(error, "environment RINGMASTER_PREFX: unknown setting; did you mean RINGMASTER_PREFIX?");
    let error = config("", &[("RINGMASTER_PARTITIONS", "many")], &[]).expect_err("no number");
    assert!(error.starts_with("environment RINGMASTER_PARTITIONS: partitions: 'many'"), "{error}");
    let error = config("", &[("RINGMASTER_KAFKA_ACKS", "0")], &[]).expect_err("owned");
    assert!(error.starts_with("environment RINGMASTER_KAFKA_ACKS: kafka.acks: cannot be set"), "{error}");
    for nobody in ["kafka.bootstrap.servers=", "kafka.bootstrap.servers=one:1,,two:2", "kafka.bootstrap.servers= "] {
        assert!(config("", &[], &[nobody]).expect_err("no broker").contains("names no broker"), "{nobody}");
    }
    assert!(config("", &[], &["nonsense"]).expect_err("no value").contains("expected KEY=VALUE"));
    assert!(config("", &[], &["a b=c"]).expect_err("no key").contains("the key is not one"));
    assert!(
        config("", &[], &["prefx=c"])
            .expect_err("unknown")
            .contains("--set prefx=c: unknown setting 'prefx'; did you mean 'prefix'?")
    );
}

#[test]
fn all_mistakes_are_said_at_once() {
    let error = config("prefx = 'x'\npartitions = 0\n[log]\nformat = 'xml'", &[], &["bus=nats"]).expect_err("four mistakes");
    assert_eq!(error.lines().count(), 4, "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Some(Path::new("/nonexistent/r.toml")), &[]).expect_err("it is missing");
    assert!(error.to_string().starts_with("/nonexistent/r.toml: "), "{error}");
}

#[test]
fn the_settings_of_the_compose_file_are_settings() {
    let compose = include_str!("../../../docker-compose.yml");
    let (_, content) = compose.split_once("    content: |\n").expect("it has a settings file");
    let text: String =
        content.lines().map_while(|line| line.strip_prefix("      ")).fold(String::new(), |text, line| text + line + "\n");
    let read = config(&text, &[], &[]).expect("all is right");
    assert_eq!(read.kafka.bootstrap, "kafka:19092");
    assert!(read.api.insecure && read.api.tokens.is_none());
    assert_eq!(read.api.listen, Some(([0, 0, 0, 0], 8080).into()));
}

/// Where others reach it, a port without TLS or tokens is a mistake, and what to do is said.
#[test]
fn a_port_that_others_reach_needs_tls_and_tokens() {
    let tls = "tls.certificate = 'c.pem'\ntls.key = 'k.pem'";
    for (api, missing) in [
        ("listen = '0.0.0.0:8080'".to_owned(), Some("set api.tls.certificate, api.tls.key and api.tokens (")),
        (format!("listen = '192.0.2.1:8080'\n{tls}"), Some("set api.tokens (")),
        ("listen = '[::]:8080'\ntokens = 't'".to_owned(), Some("set api.tls.certificate and api.tls.key (")),
        (format!("listen = '0.0.0.0:8080'\ntokens = 't'\n{tls}"), None),
        ("listen = '0.0.0.0:8080'\ninsecure = true".to_owned(), None),
        ("listen = '127.9.9.9:8080'".to_owned(), None),
        ("listen = '[::1]:8080'".to_owned(), None),
        ("listen = 'off'".to_owned(), None),
    ] {
        match (config(&format!("[api]\n{api}"), &[], &[]), missing) {
            (Ok(_), None) => {}
            (Err(why), Some(missing)) => {
                assert!(why.contains(missing) && why.contains("api.insecure = true") && !why.contains('\n'), "{api}: {why}");
            }
            other => panic!("{api}: {other:?}"),
        }
    }
    let half = config("[api]\ntls.key = 'k.pem'", &[], &[]).expect_err("half of it");
    assert!(half.contains("one is of no use without the other"), "{half}");
}

/// What is a secret is in no message, also where its name is misspelt, or where it stands in place of a file's.
#[test]
fn secrets_are_told_in_no_message() {
    let flags = [
        "kafkaa.sasl.password=hunter2",
        "kafkaa.ssl.key.pem=hunter2",
        "sasl pass=hunter2secret",
        "api.token=hunter2",
        "x key=hunter2",
        // A table's names are its own, and so are its secrets.
        "kafkaa={\"sasl.password\"=\"hunter2\"}",
        "tracin={headers={authorization=\"Bearer hunter2\"}}",
        "scale.fraud.command=fraud --password hunter2",
    ];
    let environment = [("RINGMASTER_KAFKAA_SASL_PASSWORD", "hunter2"), ("RINGMASTER_API_TOKENS", "rm_1_hunter2")];
    let file = "[kafkaa]\nsasl.password = 'hunter2'\n[api]\ntls.key = '-----BEGIN PRIVATE KEY----- hunter2'\ntls.certificate = 'c'";
    let why = config(file, &environment, &flags).expect_err("all are wrong");
    assert!(why.contains("--set kafkaa.sasl.password=***: unknown setting"), "{why}");
    assert!(why.contains("environment RINGMASTER_API_TOKENS: api.tokens: it is the path of a file"), "{why}");
    assert!(why.contains("--set x key=***: the key is not one"), "{why}");
    let told: Vec<&str> = why.lines().filter(|line| line.contains("hunter2")).collect();
    assert_eq!(told, ["--set sasl pass=hunter2secret: the key is not one"], "whose name is no secret's is told");
    let flags = ["alerts.webhook", "alerts.webhok"].map(|key| format!("{key}=https://{}@localhost/#", "ann:hunter2"));
    let flags = flags.each_ref().map(String::as_str);
    let why = config("", &[("RINGMASTER_ALERTS_SECRET_FILE", "rm_hunter2")], &flags).expect_err("all are wrong");
    assert!(why.contains("--set alerts.webhook=***: alerts.webhook: expected https:// ") && !why.contains("hunter2"), "{why}");
    for name in ["RINGMASTER_URL", "RINGMASTER_TOKEN_FILE", "RINGMASTER_CA_FILE"] {
        config("", &[(name, "x")], &[]).expect("it is no setting");
    }
}

#[test]
fn traces_go_where_settings_say() {
    let file = "[tracing]\nendpoint = 'https://localhost:4318/v1/traces'\n[tracing.headers]\nAuthorization = 'Bearer hunter2'";
    let read = config(file, &[("RINGMASTER_TRACING_HEADERS_X_SCOPE", "shop")], &["tracing.ratio=0.5"]).expect("all is right");
    assert!(!format!("{read:?}").contains("hunter2"), "nobody's to read");
    assert_eq!(read.setup().tracing, Some(ringmaster_core::saga::Tracing::new("ringmaster", 0.5)));
    let tracing = read.tracing.expect("settings say where");
    assert_eq!((tracing.to.url(), tracing.ratio), ("https://localhost:4318/v1/traces".to_owned(), 0.5));
    let headers: Vec<(&str, &str)> = tracing.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(headers, [("authorization", "Bearer hunter2"), ("x-scope", "shop")]);
    let elsewhere = format!("tracing.endpoint=http://{}/v1/traces", "192.0.2.1:4318");
    let usual = config("", &[], &[&*elsewhere]).expect("it needs no more").tracing;
    assert_eq!(usual.map(|tracing| (tracing.ratio, tracing.service)), Some((0.01, "ringmaster".to_owned())));
    assert_eq!(config("", &[], &[]).expect("all is right").tracing, None);
    for (flags, expected) in [
        (&["tracing.ratio=0.5"][..], "tracing: without tracing.endpoint"),
        (&["tracing.endpoint=http://localhost/", "tracing.ratio=2"], "is not a share from 0 to 1"),
        (&["tracing.endpoint=localhost:4318/hunter2"], "tracing.endpoint: expected https://"),
        (&[&*elsewhere, "tracing.headers.authorization=hunter2"], "where others can read them"),
        (&["tracing.endpoint=http://localhost/", "tracing.header=hunter2"], "--set tracing.header=***: tracing.header: there are"),
    ] {
        let why = config("", &[], flags).expect_err("it is wrong");
        assert!(why.contains(expected) && !why.contains("hunter2"), "{flags:?}: {why}");
    }
}
