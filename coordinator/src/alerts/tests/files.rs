//! What lies in deploy/ is what the tables say, and Prometheus takes it.

use std::path::PathBuf;

use expect_test::expect_file;

use super::super::{RULES, rules_file};
use super::{examples, promtool};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus")
}

#[test]
fn rules_for_prometheus_are_those_of_the_table() {
    expect_file!["../../../../deploy/prometheus/ringmaster.rules.yml"].assert_eq(&rules_file(&RULES));
    expect_file!["../../../../deploy/prometheus/ringmaster.rules.test.yml"].assert_eq(&examples::file(&RULES));
}

#[test]
fn prometheus_takes_the_rules_and_each_fires_when_it_must_and_only_then() {
    for arguments in [["check", "rules", "ringmaster.rules.yml"], ["test", "rules", "ringmaster.rules.test.yml"]] {
        promtool::run(&folder(), &arguments).unwrap_or_else(|why| panic!("promtool {arguments:?}:\n{why}"));
    }
}
