//! Deploying from the command line, on the embedded bus: what is told, what is refused, and that nothing is written then.

use ringmaster::runtime;
use serde_json::Value;

use crate::definitions::order;
use crate::site::Site;

/// The order saga, which every site can deploy once its topics are there.
fn text() -> String {
    std::fs::read_to_string(order()).expect("the order saga")
}

fn site() -> Site {
    let site = Site::new();
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    site
}

/// What is deployed, as `definitions list` tells programs.
fn listed(site: &Site) -> Vec<Value> {
    let (code, said, errors) = site.ringmaster(&["definitions", "list", "--all", "--json"]);
    assert_eq!(code, 0, "{errors}");
    said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn each_saga_is_told_new_changed_or_unchanged() {
    let site = site();
    let folder = site.folder.path().join("mine");
    std::fs::create_dir(&folder).expect("made");
    let run = |more: &[&str]| site.ringmaster(&[&["deploy", "mine"], more].concat());
    let (code, _, errors) = run(&[]);
    assert!(code == 9 && errors.contains("there is no *.yaml in this folder"), "{code} {errors}");
    let first = text();
    let second = first.replace("saga: order-fulfilment", "saga: second-fulfilment");
    std::fs::write(folder.join("first.yaml"), &first).expect("written");
    std::fs::write(folder.join("second.yaml"), &second).expect("written");

    let (code, said, errors) = run(&["--dry-run"]);
    assert!(code == 0 && said.matches(": new (version 1)").count() == 2 && said.contains("a dry run"), "{said}{errors}");
    assert_eq!(listed(&site), Vec::<Value>::new(), "nothing was written");
    let (code, said, errors) = run(&["--json"]);
    assert_eq!(code, 0, "{errors}");
    let changes: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(changes.iter().filter_map(|one| one["change"].as_str()).collect::<Vec<_>>(), ["new", "new"]);
    assert_eq!(listed(&site).len(), 2);

    std::fs::write(folder.join("first.yaml"), first.replace("deadline: 3d", "deadline: 4d")).expect("written");
    let (_, said, _) = run(&["--dry-run", "--json"]);
    let change: Value = serde_json::from_str(said.lines().next().expect("a line")).expect("JSON");
    assert_eq!(
        (&change["saga"], &change["change"], &change["version_before"], &change["version"], &change["dry_run"]),
        (&"order-fulfilment".into(), &"changed".into(), &1.into(), &2.into(), &true.into())
    );
    let (_, said, _) = run(&[]);
    assert!(said.contains("order-fulfilment (") && said.contains("changed (version 1 -> 2)"), "{said}");
    assert!(said.contains("second-fulfilment (") && said.contains("unchanged (version 1)"), "{said}");
    std::fs::write(folder.join("first.yaml"), &first).expect("written");
    let (_, said, _) = run(&[]);
    assert!(said.contains("changed (version 2 -> 1, which was in force before: a rollback)"), "{said}");
}

/// What is published twice would be a version that everybody takes in twice.
#[test]
fn one_content_in_two_files_is_one_definition() {
    let site = site();
    let files = [site.write("one.yaml", &text()), site.write("other.yaml", &text())];
    let [one, other] = files.each_ref().map(|path| path.to_str().expect("text"));
    let (code, said, errors) = site.ringmaster(&["deploy", one, other, one]);
    assert!(code == 0 && said.matches(": new (version 1)").count() == 1, "{said}{errors}");
    let deployed = runtime::deployed_records(&mut site.log().client(), "ringmaster").expect("it can be read");
    assert_eq!(deployed.len(), 1, "{deployed:?}");
}

#[test]
fn all_mistakes_of_all_files_are_told_and_nothing_is_deployed() {
    let site = site();
    let one = site.write("one.yaml", &text().replace("undo: payment.Refund", "undo: payment.Refnd"));
    let two =
        site.write("two.yaml", &text().replace("saga: order-fulfilment", "saga: two").replace("start.total > 0", "start.totl > 0"));
    let good = site.write("good.yaml", &text().replace("saga: order-fulfilment", "saga: good"));
    let files = [&one, &two, &good].map(|path| path.to_str().expect("text"));
    let (code, said, errors) = site.ringmaster(&[&["deploy"], &files[..]].concat());
    assert!(code == 6 && said.is_empty() && errors.contains("one.yaml:") && errors.contains("two.yaml:"), "{code} {said}{errors}");
    assert!(errors.contains("did you mean 'total'?"), "{errors}");
    assert_eq!(listed(&site), Vec::<Value>::new());
}

/// What is deployed stays, so a topic that is not there, or does not fit, is refused before: wherever it is named.
#[test]
fn a_topic_that_is_missing_or_does_not_fit_is_refused() {
    let site = site();
    let wrong = text()
        .replace("from: orders", "from: orderz")
        .replace("to: order-outcomes, with: { order_id: key, tracking", "to: outcomez, with: { order_id: key, tracking");
    let file = site.write("wrong.yaml", &wrong);
    for more in [&["--dry-run"][..], &[]] {
        let (code, said, errors) = site.ringmaster(&[&["deploy", file.to_str().expect("text")], more].concat());
        assert!(code == 4 && said.is_empty(), "{code} {said}{errors}");
        assert!(errors.contains("orderz: does not exist") && errors.contains("outcomez: does not exist"), "{errors}");
        assert!(errors.contains("ringmaster topics apply") && !errors.contains("order-outcomes"), "{errors}");
    }
    assert_eq!(listed(&site), Vec::<Value>::new());
    let (code, _, errors) = site.ringmaster(&["deploy", order().to_str().expect("text"), "--set", "partitions=8"]);
    assert!(code == 0, "a topic with another number of partitions is routed: {code} {errors}");
}

#[test]
fn missing_schemas_are_one_line_and_check_tells_all() {
    let site = site();
    let steps: String =
        (0..12).map(|n| format!("  - {{ step: s{n}, do: lab.Do{n}, with: {{ x: key }}, undo: nothing }}\n")).collect();
    let last = "  - { step: last, do: lab.Last, with: { x: key }, pivot: true }\n";
    let text = format!("saga: bare\nstart: {{ on: Begun, from: orders }}\nsteps:\n{steps}{last}");
    let file = site.write("bare.yaml", &text);
    let arguments = ["--set", "participants.lab.encoding=json"];
    let (code, said, errors) = site.ringmaster(&[&["check", "bare.yaml"], &arguments[..]].concat());
    assert!(
        code == 0 && said.matches("warning: ").count() >= 13 && said.contains("bare.yaml:2:14: warning: Begun has no schema"),
        "{said}{errors}"
    );
    std::fs::create_dir(site.folder.path().join("bare")).expect("made");
    std::fs::copy(file, site.folder.path().join("bare/bare.yaml")).expect("copied");
    let folder = ["--set", "definitions=bare"];
    assert_eq!(site.ringmaster(&[&["topics", "apply"], &arguments[..], &folder].concat()).0, 0);
    let (code, said, errors) = site.ringmaster(&[&["deploy", "bare"], &arguments[..]].concat());
    assert_eq!((code, errors.as_str(), said.lines().count()), (0, "", 3), "{said}");
    assert!(said.starts_with("14 schemas are missing") && said.contains(" and 6 more; `ringmaster check`"), "{said}");
}

#[test]
fn nothing_is_deployed_where_nothing_ever_ran() {
    let site = Site::new();
    let (code, said, errors) = site.ringmaster(&["definitions", "list"]);
    assert!(code == 0 && said.contains("nothing is deployed yet") && said.contains("ringmaster run"), "{code} {said}{errors}");
    let (code, _, errors) = site.ringmaster(&["definitions", "show", "x"]);
    assert!(code == 9 && errors.contains("no saga 'x' is deployed; nothing is"), "{code} {errors}");
    for looks in
        [&["topics", "verify"][..], &["quarantine", "list"], &["saga", "history", "a/b"], &["deploy", "--dry-run", "x.yaml"]]
    {
        let (code, said, errors) = site.ringmaster(looks);
        assert!(code == 4 && said.is_empty() && errors.starts_with("there is no embedded bus in "), "{looks:?}: {code} {errors}");
        assert!(errors.contains("state/bus: `ringmaster topics apply`"), "{errors}");
    }
    assert!(!site.folder.path().join("state").exists(), "looking makes nothing");
}

/// A second process cannot write to the embedded bus, so the coordinator is asked; looking is allowed.
#[test]
fn beside_a_coordinator_on_the_embedded_bus_that_one_deploys() {
    let site = Site::new();
    let coordinator = site.start();
    let order = order();
    let deploy = ["deploy", order.to_str().expect("text"), "--by", "ann"];
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("unchanged (version 1)") && !said.contains("deployed:"), "{code} {said}{errors}");
    let (code, said, errors) = site.ringmaster(&[&deploy[..], &["--set", "api.listen=off"]].concat());
    assert!(code == 7 && said.is_empty() && errors.contains("definitions_watched = true"), "{code} {said}{errors}");
    let edited = site.write("edited.yaml", &text().replace("deadline: 3d", "deadline: 4d"));
    let deploy = ["deploy", edited.to_str().expect("text"), "--by", "ann"];
    let (code, said, errors) = site.ringmaster(&[&deploy[..], &["--dry-run"]].concat());
    assert!(code == 0 && said.contains("changed (version 1 -> 2)") && said.contains("a dry run"), "{code} {said}{errors}");
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("changed (version 1 -> 2)") && said.contains("deployed:"), "{code} {said}{errors}");
    coordinator
        .until_it_says("in force: new sagas get this version, those that run keep theirs saga=\"order-fulfilment\" version=2");
    let newest = listed(&site).pop().expect("two versions");
    assert_eq!((&newest["version"], &newest["deployed_by"]), (&2.into(), &"ann".into()), "{newest}");
    let bad = site.write("bad.yaml", &text().replace("start.total > 0", "start.totl > 0"));
    let (code, said, errors) = site.ringmaster(&["deploy", bad.to_str().expect("text")]);
    assert!(code == 6 && said.is_empty() && errors.contains("bad.yaml:9:17: error: "), "{code} {said}{errors}");
    assert!(errors.contains("did you mean 'total'?"), "{errors}");
    let (code, _, errors) = site.ringmaster(&["deploy", bad.to_str().expect("text"), "--by", " "]);
    assert!(code == 2 && errors.contains("`by`"), "what it answers is told, whatever it is: {code} {errors}");
    assert_eq!(coordinator.stop().0, Some(0));
}

/// What is deployed is what lies here: with its schemas, and wherever somebody keeps it.
#[test]
fn a_coordinator_is_sent_schemas_and_files_of_any_folder() {
    let site = Site::new();
    let coordinator = site.start();
    for folder in ["mine/scenarios/new", "their/schemas"] {
        std::fs::create_dir_all(site.folder.path().join(folder)).expect("made");
    }
    site.write("mine/scenarios/new/edited.yaml", &text().replace("deadline: 3d", "deadline: 4d"));
    site.write("their/schemas/Other.avsc", r#"{"type":"record","name":"Other","fields":[{"name":"x","type":"int"}]"#);
    let url = format!("http://{}", site.address);
    let deploy = |more: &[&str]| site.ringmaster(&[&["deploy", "mine/scenarios/new", "--api", &url], more].concat());
    let (code, said, errors) = deploy(&["--set", "schemas=their"]);
    assert!(code == 6 && said.is_empty() && errors.contains("their/schemas/Other.avsc"), "{code} {said}{errors}");
    std::fs::create_dir_all(site.folder.path().join("other/scenarios/new")).expect("made");
    site.write("other/scenarios/new/edited.yaml", &text().replace("saga: order-fulfilment", "saga: other"));
    let (code, said, errors) = deploy(&["other/scenarios/new"]);
    assert!(code == 2 && said.is_empty() && errors.contains("other/scenarios/new/edited.yaml: two files"), "{code} {said}{errors}");
    let (code, said, errors) = deploy(&["mine/scenarios/new/edited.yaml"]);
    assert!(code == 0 && said.contains("changed (version 1 -> 2)"), "{code} {said}{errors}");
    assert_eq!(coordinator.stop().0, Some(0));
}

/// By the role for it, and in the name of the token, whatever the command line says.
#[test]
fn over_http_deployers_deploy() {
    let site = Site::new();
    site.guarded(&["operator", "deployer"]);
    let coordinator = site.start_as("https");
    site.write("edited.yaml", &text().replace("deadline: 3d", "deadline: 4d"));
    let url = format!("https://{}", site.address);
    let deploy = ["deploy", "edited.yaml", "--by", "mallory", "--api", &url];
    let (code, said) = site.by("operator", &deploy);
    assert!(code == 11 && said.contains("it takes the role deployer"), "{code} {said}");
    let (code, said) = site.by("deployer", &deploy);
    assert!(code == 0 && said.contains("changed (version 1 -> 2)"), "{code} {said}");
    let newest = listed(&site).pop().expect("two versions");
    assert_eq!((&newest["version"], &newest["deployed_by"]), (&2.into(), &"deployer".into()), "{newest}");
    assert_eq!(coordinator.stop().0, Some(0));
}

/// A coordinator that watches its folder takes what changes there, and tells what is wrong with it; the last good version stays.
#[test]
fn a_watched_folder_is_taken_while_it_runs() {
    let site = Site::new();
    let folder = site.folder.path().join("mine");
    std::fs::create_dir(&folder).expect("made");
    let (file, text) = (folder.join("order.yaml"), text());
    std::fs::write(&file, &text).expect("written");
    let settings = std::fs::read_to_string(site.folder.path().join("ringmaster.toml")).expect("settings");
    let other = settings.lines().filter(|line| !line.starts_with("definitions")).collect::<Vec<_>>().join("\n");
    site.write("ringmaster.toml", &format!("definitions = 'mine'\ndefinitions_watched = true\n{other}\n"));
    let coordinator = site.start();
    let write = |text: &str| std::fs::write(&file, text).expect("written");

    write(&text.replace("start.total > 0", "start.totl > 0"));
    coordinator.until_it_says("did you mean 'total'?");
    let log = coordinator.log();
    assert!(
        log.contains("nothing of the folder of definitions was deployed") && log.contains("mine/order.yaml:9:17: error"),
        "{log}"
    );
    assert_eq!(listed(&site).len(), 1, "what was in force is");
    write(&text.replace("deadline: 3d", "deadline: 4d"));
    coordinator
        .until_it_says("in force: new sagas get this version, those that run keep theirs saga=\"order-fulfilment\" version=2");
    // A new saga on topics that nobody has made: here nobody else can.
    let second = text.replace("saga: order-fulfilment", "saga: second").replace("from: orders", "from: more-orders");
    std::fs::write(folder.join("second.yaml"), second.replace("order-outcomes", "more-outcomes")).expect("written");
    coordinator.until_it_says("saga=\"second\" version=1");
    let (code, said, errors) = site.ringmaster(&["topics", "verify"]);
    assert!(code == 0 && said.contains("16 topics are as they must be"), "{said}{errors}");
    write(&text);
    coordinator.until_it_says("saga=\"order-fulfilment\" version=1");
    let (_, said, _) = site.ringmaster(&["definitions", "list"]);
    assert!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains("version 2 was rolled back"), "{said}");
    let (code, log) = coordinator.stop();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(log.matches("did you mean 'total'?").count(), 1, "once is enough: {log}");
    let (code, log) = site.start().stop();
    assert!(code == Some(0) && !log.contains("in force"), "nothing is new then: {log}");
}

/// A topic that only a version names that was taken back is told, and nothing is refused for it.
#[test]
fn a_topic_of_a_version_that_was_taken_back_is_needed_by_nobody() {
    let site = site();
    let typo = text().replace("to: order-outcomes", "to: order-outcomez");
    let (wrong, right) = (site.write("wrong.yaml", &typo), order());
    let deploy = |path: &std::path::Path| site.ringmaster(&["deploy", path.to_str().expect("text")]);
    assert_eq!(deploy(&wrong).0, 4);
    let (code, said, errors) = site.ringmaster(&["topics", "apply", wrong.to_str().expect("text")]);
    assert!(code == 0 && said.contains("made order-outcomez\n"), "somebody makes what is misspelt: {said}{errors}");
    assert_eq!(deploy(&wrong).0, 0);
    assert_eq!(site.log().delete("order-outcomez"), Ok(true));
    let (code, _, errors) = site.ringmaster(&["topics", "verify", "--set", "definitions=nowhere"]);
    assert!(code == 4 && errors.contains("order-outcomez: does not exist"), "while it is in force: {code} {errors}");
    assert_eq!(deploy(&right).0, 0);
    let (code, said, errors) = site.ringmaster(&["topics", "verify"]);
    assert!(
        code == 0 && said.contains("order-outcomez: does not exist; needed only by sagas that run by a version"),
        "{said}{errors}"
    );
    assert!(said.contains("14 topics are as they must be"), "{said}");
}

/// One name of `search` means one kind of value in all versions of a saga, also in those that only running sagas have.
#[test]
fn a_value_to_search_by_stays_of_its_type() {
    let site = site();
    let with = |search: &str| text().replace("deadline: 3d", &format!("deadline: 3d\nsearch: {{ {search} }}"));
    let deploy = |text: &str| {
        let path = site.write("mine.yaml", text);
        site.ringmaster(&["deploy", path.to_str().expect("text")])
    };
    assert_eq!(deploy(&with("customer: start.customer_id")).0, 0);
    assert_eq!(deploy(&text()).0, 0, "it may go");
    let (code, _, errors) = deploy(&with("count: size(start.items), customer: size(start.items)"));
    assert!(
        code == 6 && errors.contains("search.customer is int here, and string in version 1, which is deployed"),
        "{code} {errors}"
    );
    assert_eq!(listed(&site).len(), 2, "nothing was deployed");
    assert_eq!(deploy(&with("customer: start.region, count: size(start.items)")).0, 0);
}
