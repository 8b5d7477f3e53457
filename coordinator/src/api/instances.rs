//! Which instances run, and which partitions each has.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use ringmaster_bus::kafka::MemberFound;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Sources;
use super::openapi::Problems;
use super::problem::Problem;

/// The instances of a coordinator.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Instances {
    /// By name, as the broker knows the group. One that died without a word is among them until its session is over.
    pub instances: Vec<InstanceShown>,
    /// Partitions that no instance has at this moment.
    pub not_given_out: Vec<i32>,
}

/// An instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceShown {
    /// Its name.
    pub instance: String,
    /// Where its API listens; empty if nowhere, or if nobody says it.
    pub api: String,
    /// The machine that it is connected from; empty if nobody says it.
    pub host: String,
    /// Its partitions.
    pub partitions: Vec<i32>,
}

impl InstanceShown {
    /// One that the broker knows.
    pub(crate) fn of(member: &MemberFound) -> InstanceShown {
        let MemberFound { name, address, host, partitions } = member.clone();
        InstanceShown { instance: name, api: address, host, partitions }
    }
}

/// Which instances run, and which partitions each has. The broker is asked; on the embedded bus there is one, which has all.
#[utoipa::path(get, path = "/api/v1/instances", tag = "operation", responses((status = 200, body = Instances), Problems))]
pub(super) async fn instances(State(sources): State<Arc<Sources>>) -> Response {
    let instances: Vec<InstanceShown> = match &sources.peers {
        None => {
            let instance = sources.metrics.instance().to_owned();
            vec![InstanceShown { instance, partitions: sources.hosted(), ..InstanceShown::default() }]
        }
        Some(peers) => match peers.members() {
            Ok(members) => members.iter().map(InstanceShown::of).collect(),
            Err(why) => return Problem::NotNow.because(format!("who is in the group is not known: {why}")).into_response(),
        },
    };
    let given: BTreeSet<i32> = instances.iter().flat_map(|one| &one.partitions).copied().collect();
    let not_given_out = (0..sources.partitions).filter(|partition| !given.contains(partition)).collect();
    Json(Instances { instances, not_given_out }).into_response()
}
