//! Definitions: checked, deployed, listed, compared; and what others write into their topic.

use std::path::{Path, PathBuf};

use ringmaster::blocking;

use crate::site::Site;

#[test]
fn definitions_are_checked_and_deployed() {
    let site = Site::new();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let text = std::fs::read_to_string(&good).expect("the order saga");
    let (code, said, errors) = site.ringmaster(&["check", good.to_str().expect("text")]);
    assert!(code == 0 && said.contains("order-fulfilment is right"), "{said}{errors}");
    let bad = site.write("bad.yaml", &text.replace("undo:", "undoo:"));
    let (code, said, errors) = site.ringmaster(&["check", bad.to_str().expect("text")]);
    assert!(code == 6 && said.is_empty(), "{said}{errors}");
    let first = errors.lines().next().expect("a line");
    let place: Vec<&str> = first.split(':').collect();
    assert!(place[0].ends_with("bad.yaml") && place[1].parse::<u32>().is_ok() && place[2].parse::<u32>().is_ok(), "{errors}");
    assert!(errors.contains("undoo"), "the source line is shown: {errors}");

    let binary = site.folder.path().join("binary.yaml");
    std::fs::write(&binary, b"saga: x\n# \xff\n").expect("written");
    let (code, _, errors) = site.ringmaster(&["check", binary.to_str().expect("text")]);
    assert!(code == 6 && errors.contains("binary.yaml:2:1: error: this line is not UTF-8"), "{errors}");

    let deploy = ["deploy", good.to_str().expect("text")];
    let (code, _, errors) = site.ringmaster(&deploy);
    assert!(code == 4 && errors.contains("topics apply"), "it says what to do first: {errors}");
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("): new (version 1)") && said.contains("deployed:"), "{said}{errors}");
    let (code, said, _) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("unchanged (version 1)") && !said.contains("deployed"), "{said}");
    assert_eq!(site.ringmaster(&["deploy", bad.to_str().expect("text")]).0, 6);
    let edited = site.write("edited.yaml", &format!("{text}\n# A comment is another version.\n"));
    let (code, said, _) = site.ringmaster(&["deploy", edited.to_str().expect("text")]);
    assert!(code == 0 && said.contains("changed (version 1 -> 2)"), "{said}");
}

#[test]
fn one_name_in_two_files_is_refused_and_nothing_is_deployed() {
    let site = Site::new();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let text = std::fs::read_to_string(&good).expect("the order saga");
    let other = site.write("other.yaml", &format!("# Another one of this name.\n{text}"));
    let files = [good.to_str().expect("text"), other.to_str().expect("text")];
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    for command in ["check", "deploy"] {
        let (code, said, errors) = site.ringmaster(&[&[command], &files[..]].concat());
        assert!(code == 6 && said.is_empty() && errors.contains("'order-fulfilment' is defined twice"), "{said}{errors}");
        assert!(errors.contains("other.yaml:4:7") && errors.contains("sagas/order-fulfilment.yaml, line 3"), "{errors}");
    }
    let (code, said, errors) = site.ringmaster(&["deploy", files[0]]);
    assert!(code == 0 && said.contains("new (version 1)") && said.contains("deployed:"), "{said}{errors}");
}

/// What is foreign is passed over with a warning; what is damaged needs a person.
#[test]
fn garbage_in_the_topic_of_definitions() {
    let site = Site::new();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let deploy = ["deploy", good.to_str().expect("text")];
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let append = |values: &[&str]| {
        let records: Vec<_> = values.iter().map(|value| (b"x".to_vec(), value.as_bytes().to_vec())).collect();
        blocking::append(&mut site.log().client(), "ringmaster.definitions", 0, &records).expect("appended");
    };
    append(&["", "hello", "[1, 2]", "\u{0}\u{1}"]);
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("new (version 1)"), "{said}{errors}");
    assert!(errors.contains("is not of this project, and is passed over") && errors.contains("offset=3"), "{errors}");
    append(&[r#"{"name":"x","hash":"00","file":"x.yaml","line":1,"text":"saga: x","schemas":{},"deployed_at":0}"#]);
    for command in [&deploy[..], &["run"]] {
        let (code, _, errors) = site.ringmaster(command);
        assert!(code == 8 && errors.contains("ringmaster.definitions: the record at offset 5 cannot be used"), "{code} {errors}");
    }
}

/// A site whose schema folder is a copy of its own.
fn site_with_schemas() -> (Site, PathBuf) {
    let site = Site::new();
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/schemas");
    let to = site.folder.path().join("schemas");
    copy(&from, &to);
    (site, to)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("made");
    for file in std::fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        let target = to.join(file.file_name());
        if file.path().is_dir() {
            copy(&file.path(), &target);
        } else {
            std::fs::copy(file.path(), target).expect("copied");
        }
    }
}

#[test]
fn a_schema_file_that_is_missing_makes_no_weaker_version() {
    let (site, folder) = site_with_schemas();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let schemas = format!("schemas={}", folder.display());
    let deploy = ["deploy", good.to_str().expect("text"), "--set", &schemas];
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("new (version 1)"), "{said}{errors}");
    std::fs::remove_file(folder.join("OrderPlaced.avsc")).expect("removed");
    let (code, said, errors) = site.ringmaster(&deploy);
    assert!(code == 0 && said.contains("unchanged (version 1)"), "{said}{errors}");
    assert!(said.contains("schemas that are missing here: OrderPlaced"), "it is told: {said}");
}

#[test]
fn a_schema_that_contradicts_what_is_deployed_is_the_files_error() {
    let (site, folder) = site_with_schemas();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml");
    let schemas = format!("schemas={}", folder.display());
    let deploy = ["deploy", good.to_str().expect("text"), "--set", &schemas];
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    assert_eq!(site.ringmaster(&deploy).0, 0);
    let edited = folder.join("OrderPlaced.avsc");
    let text = std::fs::read_to_string(&edited).expect("text");
    // The same bytes would mean a tenth of the money.
    let other = text.replace("\"scale\": 2", "\"scale\": 3");
    assert_ne!(text, other);
    std::fs::write(&edited, other).expect("written");
    for command in [&deploy[..], &["run", "--set", &schemas, "--set", "api.listen=off"]] {
        let (code, _, errors) = site.ringmaster(command);
        assert!(code == 6 && errors.contains(&edited.display().to_string()), "{code} {errors}");
    }
}

#[test]
fn a_definition_that_is_cut_off_is_damage() {
    let site = Site::new();
    assert_eq!(site.ringmaster(&["topics", "apply"]).0, 0);
    let records = [(b"x".to_vec(), br#"{"name":"x","hash":"#.to_vec())];
    blocking::append(&mut site.log().client(), "ringmaster.definitions", 0, &records).expect("appended");
    let (code, _, errors) = site.ringmaster(&["run"]);
    assert!(code == 8 && errors.contains("ringmaster.definitions: the record at offset 0 cannot be used"), "{code} {errors}");
}

/// Every version can be listed, shown as it was written, and compared; a deploy of the folder too, before it is done.
#[test]
fn what_is_deployed_is_listed_shown_and_compared() {
    let site = Site::new();
    let folder = site.folder.path().join("mine");
    std::fs::create_dir(&folder).expect("made");
    let (file, text) = (folder.join("order.yaml"), std::fs::read_to_string(order()).expect("the order saga"));
    let mine = format!("definitions={}", folder.display());
    let run = |arguments: &[&str]| site.ringmaster(&[arguments, &["--set", &mine]].concat());
    let deploy = |text: &str| {
        std::fs::write(&file, text).expect("written");
        assert_eq!(run(&["deploy", file.to_str().expect("text")]).0, 0);
    };
    std::fs::write(&file, &text).expect("written");
    assert_eq!(run(&["topics", "apply"]).0, 0);
    assert!(run(&["definitions", "list"]).1.starts_with("nothing is deployed yet: `ringmaster run` deploys what is in the folder"));
    assert_eq!(run(&["definitions", "list", "--json"]).1, "");
    let (code, _, errors) = run(&["definitions", "show", "order-fulfilment"]);
    assert!(code == 9 && errors.contains("no saga 'order-fulfilment' is deployed; nothing is"), "{code} {errors}");

    deploy(&text);
    let edited = text.replace("start.total > 0 ", "start.total >= 5 ");
    assert_ne!(edited, text);
    std::fs::write(&file, &edited).expect("written");
    let (code, said, errors) = run(&["definitions", "diff", "order-fulfilment"]);
    assert!(
        code == 1
            && errors.is_empty()
            && said.contains("-  to_pay: start.total > 0")
            && said.contains("+  to_pay: start.total >= 5"),
        "{said}{errors}"
    );
    assert!(said.starts_with("--- order-fulfilment version 1\n+++ ") && said.contains("order.yaml:"), "{said}");
    deploy(&edited);
    let (code, said, _) = run(&["definitions", "diff", "order-fulfilment"]);
    assert_eq!((code, said.as_str()), (0, "no difference\n"));
    // An edit that is taken back is the first version again, and the newest.
    for (newest, deployed, is_back) in
        [("2", None, false), ("1", Some(&text), true), ("2", Some(&edited), false), ("1", Some(&text), true)]
    {
        deployed.into_iter().for_each(|text| deploy(text));
        let (_, said, _) = run(&["definitions", "list"]);
        let line = said.lines().find(|line| line.contains("order-fulfilment")).expect("it is listed");
        assert!(line.split_whitespace().nth(1) == Some(newest) && said.contains("1 other version is deployed too"), "{said}");
        assert_eq!(said.split_whitespace().collect::<Vec<_>>().join(" ").contains("version 2 was rolled back"), is_back, "{said}");
    }
    let (_, said, _) = run(&["definitions", "list", "--all", "--json"]);
    let all: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let version = |one: &serde_json::Value| (one["version"].as_u64(), one["newest"].as_bool(), one["rolled_back"].as_u64());
    assert_eq!(all.iter().map(version).collect::<Vec<_>>(), [(Some(1), Some(true), Some(2)), (Some(2), Some(false), None)]);
    let since = |one: &serde_json::Value, name: &str| one[name].as_str().map(str::to_owned);
    assert!(since(&all[0], "in_force_since") > since(&all[1], "deployed_at"), "since the second time: {said}");
    assert_eq!(since(&all[1], "in_force_since"), None);
    assert_eq!(run(&["definitions", "show", "order-fulfilment", "2"]).1.trim_end(), edited.trim_end());
    let (_, said, _) = run(&["definitions", "show", "order-fulfilment", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((shown["text"].as_str().map(str::trim_end), shown["version"].as_u64()), (Some(text.trim_end()), Some(1)));
    assert!(shown["schemas"]["OrderPlaced"].is_string(), "{said}");
    let (_, said, _) = run(&["definitions", "diff", "order-fulfilment", "1", "2"]);
    assert!(said.contains("+++ order-fulfilment version 2") && said.contains("+  to_pay: start.total >= 5"), "{said}");
    for (wrong, says) in [
        (&["show", "order-fulfilment", "3"][..], "'order-fulfilment' has no version 3; it has 1 to 2"),
        (&["diff", "orders"], "no saga 'orders' is deployed; there is order-fulfilment"),
    ] {
        let (code, _, errors) = run(&[&["definitions"], wrong].concat());
        assert!(code == 9 && errors.contains(says), "{code} {errors}");
    }
    std::fs::remove_file(&file).expect("removed");
    let (code, _, errors) = run(&["definitions", "diff", "order-fulfilment"]);
    assert!(code == 9 && errors.contains("no file of") && errors.contains("name two versions"), "{code} {errors}");
}

pub(crate) fn order() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../sagas/order-fulfilment.yaml")
}

/// An expression means what it means in a definition; what is wrong with it is told with its place.
#[test]
fn an_expression_is_evaluated_on_an_event() {
    let site = Site::new();
    let order = r#"{"order_id":"o-1","customer_id":"c-1","region":"EU","total":"120.50","items":[{"sku":"a","qty":2},{"sku":"b","qty":3}]}"#;
    let file = site.write("order.json", order);
    let event = ["--event", file.to_str().expect("text")];
    let typed = [&["--type", "OrderPlaced"], &event[..]].concat();
    for (expression, with, value) in [
        ("start.total * 2", &typed[..], "\"241.00\""),
        ("sum(start.items.map(i, i.qty)) > 4 && start.region == 'EU'", &typed, "true"),
        ("start.items.map(i, i.sku)", &typed, "[\"a\",\"b\"]"),
        ("start.items[1].qty + 1", &event, "4"),
        ("key + '-x'", &["--key", "k"], "\"k-x\""),
        ("1 +\n 2", &[], "3"),
    ] {
        let (code, said, errors) = site.ringmaster(&[&["eval", expression], with].concat());
        assert_eq!((code, said.trim_end(), errors.as_str()), (0, value, ""), "{expression}");
    }
    for (expression, with, exit, says) in [
        ("start.totl > 1", &typed[..], 6, "expression:1:7: error: OrderPlaced has no field 'totl'\n 1 | start.totl > 1\n"),
        ("start.total >", &typed, 6, "expression:1:14: error: this is not an expression"),
        ("steps.one.x", &typed, 6, "there is no step 'one'"),
        ("start.missing + 1", &event, 1, "ABSENT"),
        ("1 / 0", &[], 1, "DIVISION_BY_ZERO"),
        ("1", &["--type", "OrderPlacd"], 2, "has no schema OrderPlacd"),
        ("1", &["--type", "OrderPlaced"], 1, "the event: "),
        ("1", &["--event", "nowhere.json"], 9, "nowhere.json: there is no such file"),
    ] {
        let (code, said, errors) = site.ringmaster(&[&["eval", expression], with].concat());
        assert!(code == exit && said.is_empty() && errors.contains(says), "{expression}: {code} {said}{errors}");
    }
}
