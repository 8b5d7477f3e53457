//! A batch as people and programs see it.

use std::collections::BTreeMap;

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::RejectionReason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::overview::Missing;
use super::super::saga::written;
use super::super::{Act, ActEnd, SagaLine};
use crate::batches::{Batch, Example, Order, State};

/// Batches, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BatchPage {
    /// Those of the last 30 days, at most 1,000, without what tells of single sagas and partitions.
    pub items: Vec<BatchShown>,
}

/// A batch: one act on many sagas.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct BatchShown {
    /// Its id, which the history of each of its sagas names.
    pub batch: String,
    /// How it stands.
    pub state: State,
    /// What is done to each saga.
    pub act: Act,
    /// At which step.
    pub step: Option<String>,
    /// At that step's undo.
    pub undo: bool,
    /// To resolve: how all of them ended.
    pub outcome: Option<ActEnd>,
    /// To resolve as refused: by which code.
    pub code: Option<String>,
    /// A result of the step is said of all of them. It is not shown, as bodies are not.
    pub has_value: bool,
    /// Which sagas were meant.
    pub filter: String,
    /// Why, as it is journaled with each act.
    pub why: String,
    /// Who selected them.
    pub by: String,
    /// When they were selected, RFC 3339. So are all times here.
    pub made_at: String,
    /// Nothing is begun after this.
    pub expires_at: String,
    /// Acts a second, at most; null: it was not started.
    pub rate: Option<u32>,
    /// How many sagas it has: to start it says this number.
    pub matched: usize,
    /// How many of each definition.
    pub by_definition: BTreeMap<String, usize>,
    /// How many stood so.
    pub by_status: BTreeMap<String, usize>,
    /// How many waited at a step, for a reason, such as `ship: stuck`.
    pub by_step: BTreeMap<String, usize>,
    /// Sagas that are left out, since an earlier build stored them without their last turn: `POST /api/v1/acts` is for each of them.
    pub left_out: usize,
    /// How far it is.
    pub progress: BatchProgress,
    /// Why acts were not taken, and how many.
    pub reasons: BTreeMap<String, usize>,
    /// Who wanted what with it.
    pub orders: Vec<BatchOrder>,
    /// Partitions that could not be asked when it was selected, so that their sagas are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    /// The first of its sagas, as they were seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sample: Vec<SagaLine>,
    /// Of the acts that were not taken some, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<Example>,
    /// How far it is in each partition: one that has no owner does not move.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<BatchShare>,
}

/// All sagas of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchSagas {
    /// Their ids, partition after partition. Once the batch is over they are forgotten.
    pub sagas: Vec<String>,
}

/// How far a batch is. The four add up to `matched`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchProgress {
    /// Acts that were done: each stands in the history of its saga.
    pub done: usize,
    /// Sagas that had moved on since they were seen, and were left alone.
    pub moved_on: usize,
    /// Acts that were not taken for another reason.
    pub rejected: usize,
    /// Sagas of which nothing is known yet; of what was stopped or expired they are left alone.
    pub left: usize,
    /// Of those: acts that are sent, or about to be.
    pub on_their_way: usize,
}

/// What a batch has of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchShare {
    /// Which.
    pub partition: i32,
    /// Its sagas.
    pub matched: usize,
    /// Those of which it is known what became of the act.
    pub settled: usize,
}

/// What a person wanted with a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchOrder {
    /// When.
    pub at: String,
    /// Who.
    pub by: String,
    /// start, pause, resume or stop.
    pub order: String,
}

impl BatchShown {
    /// As lists show it.
    pub(super) fn brief(batch: &Batch, now: Millis) -> BatchShown {
        let (made, what, counts) = (&batch.made, &batch.made.what, batch.counts());
        let moved_on = counts.rejected.get(RejectionReason::MovedOn.as_str()).copied().unwrap_or(0);
        let (matched, count) = (made.matched(), counts.count());
        let progress = BatchProgress {
            done: counts.done,
            moved_on,
            rejected: count - counts.done - moved_on,
            left: matched - count,
            on_their_way: batch.on_their_way(),
        };
        // What says so in the topic may be yet to come.
        let is_late = !batch.state.is_over() && now > batch.expires_at;
        BatchShown {
            batch: made.batch.clone(),
            state: if is_late { State::Expired } else { batch.state },
            act: what.act,
            step: what.step.clone(),
            undo: what.undo,
            outcome: what.outcome,
            code: what.code.clone(),
            has_value: what.value.is_some(),
            filter: made.filter.clone(),
            why: made.why.clone(),
            by: made.by.clone(),
            made_at: written(batch.made_at),
            expires_at: written(batch.expires_at),
            rate: Some(batch.rate).filter(|rate| *rate > 0),
            matched,
            by_definition: made.by_definition.clone(),
            by_status: made.by_status.clone(),
            by_step: made.by_step.clone(),
            left_out: made.left_out,
            progress,
            reasons: counts.rejected,
            orders: batch.orders.iter().map(BatchOrder::of).collect(),
            missing: made.missing.clone(),
            sample: Vec::new(),
            examples: Vec::new(),
            partitions: Vec::new(),
        }
    }

    /// With all that is known of it.
    pub(super) fn whole(batch: &Batch, now: Millis) -> BatchShown {
        let share = |(&partition, share): (&i32, &crate::batches::Share)| BatchShare {
            partition,
            matched: share.count,
            settled: share.settled,
        };
        BatchShown {
            sample: batch.made.sample.clone(),
            examples: batch.examples.clone(),
            partitions: batch.shares.iter().map(share).collect(),
            ..BatchShown::brief(batch, now)
        }
    }
}

impl BatchOrder {
    fn of((at, ordered): &(Millis, crate::batches::Ordered)) -> BatchOrder {
        let order = match ordered.order {
            Order::Start { .. } => "start",
            Order::Pause => "pause",
            Order::Resume => "resume",
            Order::Stop => "stop",
        };
        BatchOrder { at: written(*at), by: ordered.by.clone(), order: order.to_owned() }
    }
}
