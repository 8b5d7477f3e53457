//! Whether a start may change rules: not while other instances run.
//!
//! ```text
//! what the folder would deploy -> nothing: go on;  who else is in the group? -> nobody: go on;  somebody, or not known: refused
//! ```

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::exit::{Exit, Failure};
use crate::api;
use crate::config::Config;
use crate::runtime::Plan;

/// How long it is asked who else runs: a broker that just started, or became the group's, does not know at once.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer is good for so long, a failure as well.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked meanwhile whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a start would deploy, and by what name.
struct Start<'a> {
    name: &'a str,
    folder: &'a str,
    changed: &'a str,
    group: &'a str,
}

/// Instances that start one after the other by different folders would deploy each its own rules over those of the one before: while
/// others run, rules change by a deploy. Where it is not known whether others run, they may.
pub(super) fn refuse_other_definitions(
    plan: &Plan,
    config: &Config,
    peers: Option<&api::Peers>,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let changed: Vec<&str> = plan.changes.iter().filter(|change| !change.is_none()).map(|change| &*change.record.name).collect();
    let Some(peers) = peers.filter(|_| !changed.is_empty()) else { return Ok(()) };
    let (folder, changed, group) = (config.definitions.display().to_string(), changed.join(", "), config.group());
    let start = Start { name: &config.instance, folder: &folder, changed: &changed, group: &group };
    let ask = || Ok(peers.members()?.into_iter().map(|member| member.name).collect());
    start.refuse(ask, patience(stop, PATIENCE))
}

/// Waits before it is asked once more who runs; false once that was asked for long enough, or it is to stop.
pub(super) fn patience(stop: &AtomicBool, within: Duration) -> impl FnMut(&str) -> bool {
    let begun = Instant::now();
    move |why| {
        tracing::warn!(why, "who else runs is asked again");
        let asked = Instant::now();
        while asked.elapsed() < ASK_EVERY && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
        begun.elapsed() < within && !stop.load(Ordering::Relaxed)
    }
}

impl Start<'_> {
    /// Asks who is in the group until that is known; `wait` says whether to ask once more.
    fn refuse(
        &self,
        mut ask: impl FnMut() -> Result<Vec<String>, String>,
        mut wait: impl FnMut(&str) -> bool,
    ) -> Result<(), Failure> {
        let Start { name, folder, changed, group } = self;
        let mut others = loop {
            match ask() {
                Ok(members) => break members,
                Err(why) if wait(&why) => {}
                Err(why) => {
                    let why = format_args!(
                        "whether other instances run is not known ({why}), and the definitions in '{folder}' differ from those that are \
                         deployed: {changed}. While other instances run, a start changes no rules: start again when the brokers say who is \
                         in the group {group}, or deploy them first (`ringmaster deploy {folder}`): a start that changes nothing asks for nobody"
                    );
                    return Err(Failure::new(Exit::Unreachable, why));
                }
            }
        };
        others.retain(|other| other != name);
        if others.is_empty() {
            return Ok(());
        }
        let others = others.join(", ");
        let why = format_args!(
            "the definitions in '{folder}' differ from those by which {others} run(s): {changed}. While other instances run, a start changes \
             no rules: deploy them first (`ringmaster deploy {folder}`), or start with the folder that they have"
        );
        Err(Failure::new(Exit::Refused, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Start<'_> = Start { name: "blue", folder: "sagas", changed: "order-fulfilment", group: "ringmaster.instances" };

    /// It is asked so often in vain, and then answered; how it ends, and how often it was asked.
    fn asked(failures: usize, waits: usize, members: &[&str]) -> (Result<(), Failure>, usize) {
        let (mut asked, mut waited) = (0, 0);
        let ask = || {
            asked += 1;
            let members = members.iter().map(|name| (*name).to_owned()).collect();
            if asked > failures { Ok(members) } else { Err("the broker is away".to_owned()) }
        };
        let wait = |why: &str| {
            assert_eq!(why, "the broker is away");
            waited += 1;
            waited <= waits
        };
        (START.refuse(ask, wait), asked)
    }

    #[test]
    fn rules_change_by_a_start_that_knows_to_be_alone() {
        assert_eq!(asked(0, 0, &[]), (Ok(()), 1));
        assert_eq!(asked(0, 0, &["blue"]), (Ok(()), 1), "its own name is left from before");
        assert_eq!(asked(3, 5, &["blue"]), (Ok(()), 4), "it is asked again until that is known");
        let (refused, _) = asked(3, 5, &["blue", "green"]);
        let refused = refused.expect_err("green runs");
        assert!(refused.exit == Exit::Refused && refused.message.contains("by which green run"), "{}", refused.message);
    }

    /// It was once taken for being alone.
    #[test]
    fn where_nobody_says_who_runs_rules_do_not_change() {
        let (refused, asked) = asked(usize::MAX, 4, &[]);
        let refused = refused.expect_err("others may run");
        assert_eq!((refused.exit, asked), (Exit::Unreachable, 5), "{}", refused.message);
        for words in ["the broker is away", "order-fulfilment", "ringmaster.instances", "ringmaster deploy sagas"] {
            assert!(refused.message.contains(words), "{words}: {}", refused.message);
        }
    }
}
