//! The table of rules. Whoever adds one tells of it in docs/OPERATING.md, "Alerts"; tests compare the two.

use super::{Condition, How, Is, Over, Rule, Severity};

/// What a metric is now.
const fn now(over: Over, metric: &'static str, is: Is, than: f64) -> Condition {
    Condition { metric, only: None, how: How::Now, over, is, than }
}

/// By how much a metric has grown within so many seconds.
const fn grows(within_s: u32, metric: &'static str, is: Is, than: f64) -> Condition {
    Condition { metric, only: None, how: How::Grows(within_s), over: Over::Sum, is, than }
}

const fn rule(name: &'static str, severity: Severity, when: Condition, by: &'static [&'static str], for_s: u32) -> Rule {
    Rule { name, severity, when, unless: None, by, for_s, summary: "", runbook: "" }
}

impl Rule {
    const fn says(self, summary: &'static str, runbook: &'static str) -> Rule {
        Rule { summary, runbook, ..self }
    }
}

const PARTITION: &[&str] = &["partition"];
const PARTICIPANT: &[&str] = &["participant"];
const TOPIC: &[&str] = &["topic"];
const STEP: &[&str] = &["definition", "step"];
const ROLE: &[&str] = &["role"];

/// Answers of a participant, good or bad, in time or not.
const ANSWERS: (&str, &[&str]) = ("outcome", &["succeeded", "refused", "failed", "late"]);

/// All of them: what pages first.
pub const RULES: [Rule; 23] = [
    rule("SagaStuck", Severity::Page, now(Over::Sum, "ringmaster_partition_stuck", Is::Above, 0.0), &[], 60).says(
        "Sagas need a person",
        "A step, an undo or an event of these sagas cannot go on by itself: its attempts are used up, or it failed in a way that the \
         definition has no answer to. Nothing is lost, and nothing goes on either. `ringmaster saga list --stuck` names them, the longest \
         first; `ringmaster saga why ID` says of each what went wrong and what can be done. When the cause is gone `ringmaster act retry \
         ID --why TEXT` asks again under the same key; `skip` and `resolve` are for what a person knows better. Many of one cause: \
         `ringmaster batch preview retry --stuck --why TEXT`.",
    ),
    rule("Orphan", Severity::Page, now(Over::Max, "ringmaster_orphans", Is::Above, 0.0), PARTITION, 0).says(
        "Partition {partition} has rows that nothing will ever wake",
        "All rows of the store are looked at now and then (`limits.scrub_every`), and some of this partition wait for something that will not \
         come, or are in an index no more, or their row is gone: a bug, or a store that is damaged. The log of the instance that owns it has \
         the first twenty, and why. The journal has everything: `ringmaster replay journal` says whether the store is what the journal makes. \
         If it is not, stop the instance, move `store` away from its data directory, and start it: the store is made anew. If it is, \
         `ringmaster saga why ID` and `ringmaster act cancel ID --why TEXT` help the saga; keep the log, and the saga's history, for who mends it.",
    ),
    rule("PartitionUnowned", Severity::Page, now(Over::Max, "ringmaster_partition_owned", Is::Below, 1.0), PARTITION, 30).says(
        "Nobody owns partition {partition}: its sagas stand",
        "No instance reads this partition's inputs, fires its timers or takes its answers; its sagas wait, and go on when somebody owns it. \
         `/readyz` of each instance, and its log, say what is missing: the broker, the journal's replay, a version of a definition, or a \
         reason to stop for good. `ringmaster instances` shows who is there and has what. A replay that takes long is seen by \
         `ringmaster_journal_replayed_total` growing; then wait. Otherwise start an instance, or start the one again that has it.",
    ),
    rule("BreakerOpen", Severity::Page, now(Over::Max, "ringmaster_participant_breaker", Is::Above, 2.0), PARTICIPANT, 60).says(
        "{participant} is not asked any more: it failed too often",
        "Of what this participant was asked lately so much failed, or was not answered, that nothing is sent to it but a probe now and \
         then; what sagas want of it is parked, and goes out by itself when a probe is answered well. `ringmaster participant list` says \
         since when, why, and how much waits; `ringmaster saga list --parked --participant NAME` which sagas. Mend the service: the log of \
         the coordinator has its answers. `ringmaster participant resume NAME --why TEXT` lets all out without waiting for a probe.",
    ),
    Rule {
        unless: Some(Condition {
            only: Some(ANSWERS),
            ..grows(60, "ringmaster_participant_ended_total", Is::Above, 0.0)
        }),
        ..rule("ParticipantSilent", Severity::Page, grows(60, "ringmaster_participant_issued_total", Is::Above, 0.0), PARTICIPANT, 60).says(
            "{participant} is asked, and answers nothing",
            "For two minutes commands were sent to this participant, and not one answer came, good or bad. Either no member of it runs or \
             none reads its topic of commands, or its replies do not arrive. `ringmaster participant list` says how many are not answered \
             and since when. Look whether the service runs, whether its consumer group has lag, and whether it may write to the topic of \
             replies. What is not answered in time is sent again under the same key, by each command's own settings; then its breaker opens.",
        )
    },
    rule(
        "Undeliverable",
        Severity::Page,
        now(Over::Sum, "ringmaster_partition_undeliverable_effects", Is::Above, 0.0),
        &[],
        60,
    )
    .says(
        "Commands or events cannot be sent: a topic does not take them",
        "A topic was deleted, may not be written, or takes no records as large as these. What goes there waits, in order, and is tried \
         again every few seconds. `/readyz` and the log name the topic and the reason; `ringmaster topics verify` says what is wrong with \
         topics, and `ringmaster topics apply` makes what is missing. `ringmaster saga why ID` says of a saga that it waits for that.",
    ),
    rule("InputUnreadable", Severity::Page, now(Over::Sum, "ringmaster_input_unreadable", Is::Above, 0.0), TOPIC, 60).says(
        "Partitions of topic {topic} cannot be read",
        "A batch of the topic is damaged, or reading it is not allowed any more. Those partitions of it stand, are tried again every two \
         seconds, and go on where they were; all others go on meanwhile. `/readyz` and the log say which partition and why. Restore the \
         batch from a replica, or the permission; nothing of the topic should be deleted.",
    ),
    rule("InputLag", Severity::Page, now(Over::Max, "ringmaster_input_lag_seconds", Is::Above, 60.0), TOPIC, 60).says(
        "Records of topic {topic} wait for longer than a minute until they are taken",
        "The oldest record of this topic that is not taken was written more than a minute ago. On a topic of events customers wait for their \
         sagas to begin; on the replies commands run out of time though they were answered. `ringmaster_input_lag_records` says how many wait, \
         and in which partition. If StartsHeld fires too, sagas are not started on purpose: a participant is too slow, and \
         `ringmaster participant scaling` says which. If `/readyz` names the topic it cannot be read. Else the coordinator has too little CPU, \
         or has just been started behind a pause: then the lag falls by itself, and more instances or `workers` help where it does not.",
    ),
    rule("SloMissed", Severity::Page, now(Over::Max, "ringmaster_participant_late_seconds", Is::Above, 0.0), PARTICIPANT, 10).says(
        "{participant} answers too late",
        "The oldest command that this participant has not answered is older than its SLO, or it answers nothing for longer than that: `participants.NAME.slo`, or half the shortest timeout \
         of the steps that ask it. Customers wait, and attempts are about to run out of time. `ringmaster participant scaling NAME` says what it \
         can, what is asked of it, and how many members it should have; if it answers nothing at all, ParticipantSilent fires too. Start more \
         members, or mend what makes them slow. Where neither is possible now, `ringmaster participant pause NAME --why TEXT` parks what would \
         be asked, and nothing of it times out. An SLO that is too short for what it does: set a longer one.",
    ),
    rule("RouteGap", Severity::Page, grows(120, "ringmaster_route_gaps_total", Is::Above, 0.0), &[], 300).says(
        "Records of the inbox are missing: what is routed stands",
        "Records that were routed come, and some before them do not: the inbox has lost records, so that what follows is not taken. Start \
         the coordinator again: everything is routed anew from where the journal says, and nothing is taken twice. Then look why the topic \
         `ringmaster.inbox` lost records: its retention, its replicas, `min.insync.replicas`.",
    ),
    rule(
        "OldestUnanswered",
        Severity::Warn,
        now(Over::Max, "ringmaster_participant_oldest_unanswered_seconds", Is::Above, 300.0),
        PARTICIPANT,
        10,
    )
    .says(
        "{participant} has not answered a command for five minutes",
        "The oldest command of this participant that is out, and whose time is not over, is older than five minutes. Where its commands \
         have more time than that, and use it, raise the number in this rule. `ringmaster participant list` says how many are not answered; \
         `ringmaster overview` at which steps. If it answers others it is slow or has too few members: its consumer group's lag tells. If \
         it answers nothing it is down.",
    ),
    rule(
        "ParkedOld",
        Severity::Warn,
        now(Over::Max, "ringmaster_participant_oldest_parked_seconds", Is::Above, 900.0),
        PARTICIPANT,
        0,
    )
    .says(
        "A command for {participant} has been parked for a quarter of an hour",
        "A participant is not asked, since its breaker is open or a person paused it, and what waits for it gets old. Clocks of those sagas \
         stand, and their customers wait. `ringmaster participant list` says who paused it, or why it opened; `ringmaster saga list \
         --parked --participant NAME` which sagas those are. Mend it, or end the pause by `ringmaster participant resume NAME --why TEXT`.",
    ),
    rule("WaitingTooLong", Severity::Warn, now(Over::Sum, "ringmaster_waiting_too_long", Is::Above, 0.0), STEP, 0).says(
        "Sagas of {definition} wait at {step} for longer than is usual",
        "Three times as long as 99 of 100 that ended took since the coordinator was started, as of the last look at all rows \
         (`limits.scrub_every`). Nothing is lost, and each has its timer or is waited for from outside; but somebody may have forgotten it, or \
         an answer that always came does not. `ringmaster saga list --filter 'definition:NAME step:STEP'` names them, \
         `ringmaster saga why ID` says what each waits for and what wakes it. If it is a participant's answer see OldestUnanswered.",
    ),
    rule(
        "ApprovalOld",
        Severity::Warn,
        now(Over::Max, "ringmaster_approvals_oldest_seconds", Is::Above, 86_400.0),
        ROLE,
        0,
    )
    .says(
        "An approval of {role} has been waited for for more than a day",
        "A saga asks somebody of this role for yes or no, and nobody has answered for a day, as of the last look at all rows \
         (`limits.scrub_every`). `ringmaster saga list --filter waits:approval` names the sagas, `ringmaster saga why ID` shows what is \
         asked; whoever may answers by `ringmaster act approve ID --why TEXT` or `refuse`. Tell whoever has the role. If days are \
         usual there, raise the number in this rule; `escalate` in the definition asks others in time.",
    ),
    rule(
        "RetentionTooShort",
        Severity::Warn,
        now(Over::Max, "ringmaster_retention_used_ratio", Is::Above, 0.8),
        PARTITION,
        0,
    )
    .says(
        "A saga of partition {partition} is nearly as old as its participants remember",
        "A saga lives, mostly since it is stuck, parked or paused, for more than four fifths of the time for which a participant that it asks \
         recognises what it did before (`participants.NAME.remembers`). Beyond that a command that is sent again may be carried out twice, \
         and an undo finds nothing to undo. `ringmaster saga list` names those that live, the oldest first, also those that wait for an event or a person. Bring \
         them to their end; or let the service keep its memory for longer, and then raise the setting.",
    ),
    rule("QuarantineGrows", Severity::Warn, grows(300, "ringmaster_inputs_quarantined_total", Is::Above, 0.0), &[], 0).says(
        "Records came that cannot be taken",
        "Within the last five minutes events or answers came that could not be understood or used; they were put aside with the reason, and \
         all else goes on. `ringmaster quarantine list` names them, `ringmaster quarantine show ID` has the reason and what helps. When \
         the schema or the definition is there `ringmaster quarantine redrive` takes them in after all; what is of no use is for \
         `ringmaster quarantine discard`.",
    ),
    rule("CheckpointOld", Severity::Warn, now(Over::Max, "ringmaster_checkpoint_age_seconds", Is::Above, 30.0), PARTITION, 30).says(
        "The store of partition {partition} is not written",
        "Checkpoints come every two seconds, and the last one of this partition that holds what has happened is older than 30. Sagas go on: \
         the journal has everything. But what the API tells is as old, memory grows, and a start has more to replay. Look at the disk of the \
         instance that owns it (`ringmaster instances`): is it full, slow, or failing? The log says what the store answers; an instance \
         whose store cannot be written ends with code 13.",
    ),
    rule("TakeoverFlapping", Severity::Warn, grows(600, "ringmaster_takeovers_total", Is::AtLeast, 4.0), PARTITION, 0).says(
        "Partition {partition} changes its owner again and again",
        "Four times and more within ten minutes an instance became this partition's owner, and each time its sagas stood for a moment. Two \
         processes may run under one name or with different settings, an instance may be starved of CPU so that its session ends, or the \
         broker may be lost again and again. `ringmaster instances` shows who is there; the logs say who took it from whom. One that should \
         not be there: stop it. One that is too slow: more CPU, or a longer `session.timeout.ms` below `[kafka]`.",
    ),
    rule("TopicFault", Severity::Warn, now(Over::Max, "ringmaster_topic_faults", Is::Above, 0.0), TOPIC, 60).says(
        "Topic {topic} is not as it was at the start",
        "The topic was deleted, has more partitions than at the start, or a setting was changed to what a start refuses. What is read goes \
         on; the next start may be refused. `/readyz` and the log say what it is and what helps, `ringmaster topics verify` all that is \
         wrong with topics. More partitions of an input: start the coordinator again, and they are read.",
    ),
    rule("SagaErrors", Severity::Warn, grows(300, "ringmaster_saga_errors_total", Is::Above, 0.0), &[], 0).says(
        "Sagas fail by their own definition",
        "Within the last five minutes an expression of a definition failed, or its data was too big, so that these sagas undo what they did \
         or need a person. The log has a line for each, with the place in the file. Mend the definition, check it by `ringmaster check \
         FILE`, play its scenarios by `ringmaster test`, and deploy it by `ringmaster deploy FILE`: new sagas get it.",
    ),
    rule("StartsHeld", Severity::Warn, now(Over::Max, "ringmaster_partition_held", Is::AtLeast, 1.0), PARTITION, 600).says(
        "No saga is started in partition {partition}: too many wait for answers, or memory is short",
        "For ten minutes a bound was reached: `limits.in_flight_max` sagas wait for answers, or memory is half full. What was begun goes \
         on; new events wait in their topics. Mostly a participant is too slow: `ringmaster participant list` says for whom most is not \
         answered. Give it more members; if the coordinator itself is to hold more, raise `limits.memory` and `limits.in_flight_max`.",
    ),
    rule(
        "SloBreachPredicted",
        Severity::Warn,
        now(Over::Min, "ringmaster_participant_slo_breach_seconds", Is::Below, 300.0),
        PARTICIPANT,
        30,
    )
    .says(
        "{participant} will soon answer too late, if nothing changes",
        "Less is answered by this participant than is asked, and what waits for it grows: in less than five minutes the oldest command will be \
         older than its SLO. No customer notices yet. `ringmaster participant scaling NAME` says what it can, what is asked of it, and how \
         many members it should have. Start more members of it, or mend what makes them slow. Where no more help, hold back what asks it: `ringmaster \
         participant pause NAME --why TEXT` parks what would be asked, and nothing of it times out.",
    ),
    rule(
        "ParticipantSaturated",
        Severity::Warn,
        now(Over::Max, "ringmaster_participant_utilisation_ratio", Is::Above, 0.9),
        PARTICIPANT,
        300,
    )
    .says(
        "{participant} has nearly as much to do as it can",
        "For five minutes more than nine tenths of what this participant can answer were asked of it. It still keeps up, and any more will \
         not be: what waits for it grows then. `ringmaster participant scaling NAME` and its board in Grafana show how it has come to that. Start \
         more members before the next peak; there can be as many at work as its topic of commands has partitions.",
    ),
];
