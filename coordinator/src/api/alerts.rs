//! Alerts over HTTP, and what they are made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::everyone::{Others, Request};
use super::openapi::Problems;
use super::overview::Missing;
use super::saga::written;
use super::{OfPartitions, Overview, Sources, for_all, participants};
use crate::alerts::{Alert, Sample};
use crate::runtime::wall;
use crate::telemetry::names::PARTITION_OWNED;

/// The alerts of all instances.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertsOf {
    /// Of each instance those that hold, what pages first; then those that are over, the newest first.
    pub alerts: Vec<AlertShown>,
    /// Which instances say so.
    pub instances: Vec<String>,
    /// Of which partitions nobody says anything, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AlertShown {
    /// The rule's name.
    pub name: String,
    /// page or warn.
    pub severity: String,
    /// pending, firing or resolved.
    pub state: String,
    /// Since when it holds, or holds no more; RFC 3339.
    pub since: String,
    /// Of what.
    pub labels: std::collections::BTreeMap<String, String>,
    /// What was compared, when it held last,
    pub value: f64,
    /// and with what.
    pub threshold: f64,
    /// One line.
    pub summary: String,
    /// What it means, how to look, what to do.
    pub runbook: String,
    /// Who says so.
    pub instance: String,
}

impl AlertShown {
    /// As people and programs are told.
    pub(crate) fn of(alert: &Alert, instance: &str) -> AlertShown {
        AlertShown {
            name: alert.rule.name.to_owned(),
            severity: alert.rule.severity.as_str().to_owned(),
            state: alert.state.as_str().to_owned(),
            since: written(alert.since),
            labels: alert.labels().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            value: alert.value,
            threshold: alert.rule.when.than,
            summary: alert.summary(),
            runbook: alert.rule.runbook.to_owned(),
            instance: instance.to_owned(),
        }
    }
}

impl Sources {
    /// Reads the counts for those metrics that are made of them. Where they cannot be read those stay as they were, and the error says
    /// why.
    pub(crate) fn count(&self) -> Result<(), String> {
        self.metrics.taken_over(&self.status.takeovers());
        self.metrics.scaling(&self.scaling.told());
        self.metrics.store(self.store.disk_bytes());
        let here = self.hosted();
        let counted = self.counted(&here)?;
        let overview = Overview::of(&counted, &self.knowledge.get().catalog);
        self.metrics.count(&overview, &counted.totals, wall());
        self.metrics.watch(&overview.as_of, &participants::levels(&*self.store, &here)?);
        Ok(())
    }

    /// What alerts are made of, as it is now.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        let partitions = self.status.partitions();
        let mut samples = self.metrics.samples(&partitions, &self.status.topics());
        // What is given to this instance and not there yet is owned by nobody. What others own is theirs to tell.
        let there: BTreeSet<i32> = partitions.iter().map(|status| status.partition).collect();
        let missing = self.status.share().unwrap_or_default().into_iter().filter(|partition| !there.contains(partition));
        let unowned =
            |partition: i32| Sample { metric: PARTITION_OWNED, labels: vec![("partition", partition.to_string())], value: 0.0 };
        samples.extend(missing.map(unowned));
        samples
    }
}

/// What somebody must know.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "operation", params(OfPartitions), responses((status = 200, body = AlertsOf), Problems))]
pub(super) async fn alerts(State(sources): State<Arc<Sources>>, request: Request, Query(of): Query<OfPartitions>) -> Response {
    let instance = &sources.alerts.instance;
    let here = |_: &[i32]| {
        let alerts = sources.alerts.all().iter().map(|alert| AlertShown::of(alert, instance)).collect();
        Ok(AlertsOf { alerts, instances: vec![instance.clone()], missing: Vec::new() })
    };
    let add = |all: &mut AlertsOf, others: Others<AlertsOf>| {
        for other in others.answers {
            all.alerts.extend(other.alerts);
            all.instances.extend(other.instances);
        }
        all.missing.extend(others.missing);
    };
    for_all(&sources, &request, of.partitions.as_deref(), here, add)
}
