//! Answering for all partitions, whichever instance is asked: others are asked for theirs, and who does not answer is named.
//!
//! ```text
//! who is in the group? -> each that has what is not here, all at once, in the name of who asked, for those partitions alone
//!     -> its answer, or why there is none
//! ```

use std::collections::BTreeSet;
use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};
use ringmaster_bus::kafka::MemberFound;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Sources;
use super::client::Answer;
use super::overview::Missing;
use super::peers::Peers;

/// By this parameter an instance asks another one for partitions.
const PARTITIONS: &str = "partitions=";
/// Why nobody answers for a partition.
pub(super) const ON_ITS_WAY: &str = "no instance has it at this moment: it is on its way to one, ask again in a moment";

/// A request that may be passed on.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for Request {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Request, Infallible> {
        Ok(Request { uri: parts.uri.clone(), headers: parts.headers.clone() })
    }
}

/// Whether another instance asks: who is asked so asks nobody else.
pub(super) fn is_asked_by_another(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with(PARTITIONS)))
}

/// Which partitions an answer is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    /// Those that are hosted here.
    pub(super) here: Vec<i32>,
    /// Those that are not.
    pub(super) rest: BTreeSet<i32>,
    /// Another instance asks, for these alone: nobody else is asked.
    pub(super) is_asked_by_another: bool,
}

impl Scope {
    /// `only`: those that another instance asks for, with commas between them.
    pub(super) fn of(sources: &Sources, only: Option<&str>) -> Result<Scope, String> {
        let wrong = || format!("'{}' are no partitions, such as 0,3", only.unwrap_or_default());
        let number = |text: &str| text.parse::<i32>().ok().filter(|number| (0..sources.partitions).contains(number));
        let asked: Option<BTreeSet<i32>> = match only {
            Some(only) => Some(only.split(',').map(number).collect::<Option<_>>().ok_or_else(wrong)?),
            None => None,
        };
        let is_asked_by_another = asked.is_some();
        let asked = asked.unwrap_or_else(|| (0..sources.partitions).collect());
        let (here, rest): (BTreeSet<i32>, BTreeSet<i32>) = {
            let hosted = sources.hosted();
            asked.into_iter().partition(|partition| hosted.contains(partition))
        };
        Ok(Scope { here: here.into_iter().collect(), rest, is_asked_by_another })
    }
}

/// What the others say.
#[derive(Debug)]
pub(super) struct Others<T> {
    pub(super) answers: Vec<T>,
    /// Partitions that nobody answered for, and why.
    pub(super) missing: Vec<Missing>,
}

/// Asks all who have what is not here.
pub(super) fn ask_others<T: DeserializeOwned + Send>(sources: &Sources, scope: &Scope, request: &Request) -> Others<T> {
    let mut others = Others { answers: Vec::new(), missing: Vec::new() };
    let mut miss = |partitions: BTreeSet<i32>, why: &str| {
        others.missing.extend(partitions.into_iter().map(|partition| Missing { partition, why: why.to_owned() }));
    };
    let mut open = scope.rest.clone();
    let (Some(peers), false) = (sources.peers.as_deref(), scope.is_asked_by_another || open.is_empty()) else {
        miss(open, ON_ITS_WAY);
        return others;
    };
    let members = match peers.members() {
        Ok(members) => members,
        Err(why) => {
            miss(open, &format!("who has it is not known: {why}"));
            return others;
        }
    };
    // Each partition is asked of one, so that none is counted twice while it changes hands.
    let mut asked: Vec<(&MemberFound, BTreeSet<i32>)> = Vec::new();
    for member in &members {
        let of_it: BTreeSet<i32> = member.partitions.iter().copied().filter(|partition| open.remove(partition)).collect();
        if !of_it.is_empty() {
            asked.push((member, of_it));
        }
    }
    miss(open, ON_ITS_WAY);
    let answers: Vec<Result<T, String>> = std::thread::scope(|scope| {
        let asking: Vec<_> = asked.iter().map(|(member, of_it)| scope.spawn(move || ask(peers, member, of_it, request))).collect();
        asking.into_iter().map(|asking| asking.join().unwrap_or_else(|_| Err("asking failed in here".to_owned()))).collect()
    });
    let mut good = Vec::new();
    for ((_, of_it), answer) in asked.into_iter().zip(answers) {
        match answer {
            Ok(answer) => good.push(answer),
            Err(why) => miss(of_it, &why),
        }
    }
    others.answers = good;
    others
}

/// Asks who has a partition that is not here; why that cannot be, else.
pub(super) fn ask_owner(sources: &Sources, partition: i32, request: &Request) -> Result<Answer, String> {
    let peers = sources.peers.as_deref().ok_or(ON_ITS_WAY)?;
    let members = peers.members().map_err(|why| format!("who has it is not known: {why}"))?;
    let owner = members.into_iter().find(|member| member.partitions.contains(&partition)).ok_or(ON_ITS_WAY)?;
    raw(peers, &owner, &[partition].into(), request)
}

fn ask<T: DeserializeOwned>(
    peers: &Peers,
    member: &MemberFound,
    partitions: &BTreeSet<i32>,
    request: &Request,
) -> Result<T, String> {
    let answer = raw(peers, member, partitions, request)?;
    if answer.code != 200 {
        let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let detail = problem["detail"].as_str().unwrap_or("no reason given").to_owned();
        return Err(format!("instance {} answers {}: {detail}", member.name, answer.code));
    }
    serde_json::from_str(&answer.body).map_err(|_| format!("instance {} is of another version of Ringmaster", member.name))
}

fn raw(peers: &Peers, member: &MemberFound, partitions: &BTreeSet<i32>, request: &Request) -> Result<Answer, String> {
    let name = &member.name;
    let address = peers.address_of(member).ok_or_else(|| format!("instance {name} has it, and its API is off"))?;
    let authorization = request.headers.get(header::AUTHORIZATION).and_then(|said| said.to_str().ok()).map(str::to_owned);
    let only = partitions.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
    let path = match request.uri.query() {
        None | Some("") => format!("{}?{PARTITIONS}{only}", request.uri.path()),
        Some(query) => format!("{}?{query}&{PARTITIONS}{only}", request.uri.path()),
    };
    let answer = peers.caller(&address, authorization)?.get(&path);
    answer.map_err(|why| format!("instance {name} has it: {why}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::sources;
    use super::*;

    #[test]
    fn partitions_are_asked_of_one_instance_each() {
        let all = sources(Arc::new(ringmaster_store::sim::SimStore::new()));
        let scope = |only| Scope::of(&all, only);
        assert_eq!(scope(None).map(|scope| (scope.here.len(), scope.rest.len())), Ok((4, 0)), "the group has said nothing yet");
        all.status.given(Some(&[].into()));
        let rest: BTreeSet<i32> = [1, 3].into();
        assert_eq!(scope(Some("3,1")), Ok(Scope { here: Vec::new(), rest, is_asked_by_another: true }));
        for wrong in ["", "4", "-1", "1,", "x", "0 1"] {
            assert!(scope(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
