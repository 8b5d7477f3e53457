//! The classes of faults: their names, what each does, and what it needs.

use std::fmt;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// `kill -9` of a coordinator.
    KillCoordinator,
    /// `kill -9` of a service.
    KillParticipant,
    /// `kill -9` of a broker.
    KillBroker,
    /// SIGTERM of a coordinator.
    TermCoordinator,
    /// SIGTERM of a service.
    TermParticipant,
    /// SIGTERM of a broker.
    TermBroker,
    /// SIGSTOP of a coordinator, and SIGCONT behind the end of its session.
    FreezeCoordinator,
    /// SIGSTOP of a service, and SIGCONT.
    FreezeParticipant,
    /// SIGSTOP of a broker, and SIGCONT.
    FreezeBroker,
    /// All coordinators, one behind the other.
    RollingRestart,
    /// A service is away for a while.
    ParticipantAbsent,
    /// A service answers later than it is waited for.
    ParticipantSlow,
    /// Answers come twice.
    RepliesRepeated,
    /// Answers never come.
    RepliesLost,
    /// Records that nobody can take.
    Poison,
    /// A coordinator, or the services, cannot reach any broker.
    NetworkCut,
    /// What they and the brokers send each other comes much later.
    NetworkHeld,
    /// All that is sent comes later.
    NetworkSlow,
    /// What brokers answer is lost.
    #[serde(rename = "network-answers-lost")]
    AnswersLost,
    /// A file of a coordinator's store is cut short.
    StoreTruncated,
    /// Bytes of a file are others.
    StoreFlipped,
    /// Files are gone.
    StoreDeleted,
    /// `kill -9` of the broker that is the active controller.
    KillController,
    /// Other brokers lead all partitions.
    LeadersMoved,
    /// A partition of the journal lost its tail.
    TailLost,
    /// A coordinator's disk is full.
    DiskFull,
    /// A coordinator's clock steps.
    ClockStep,
}

/// Whom a class hits, so that what comes at the same moment hits others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hits {
    /// Coordinators, and perhaps services.
    Coordinators,
    /// Services alone.
    Participants,
    /// Brokers, or everybody a little.
    Others,
}

/// Each with whom it hits, its name and what it does.
const CLASSES: [(Class, Hits, &str, &str); 27] = [
    (
        Class::KillCoordinator,
        Hits::Coordinators,
        "kill-coordinator",
        "kill -9, and started again at once or when the others have taken over",
    ),
    (Class::KillParticipant, Hits::Participants, "kill-participant", "kill -9 of a service, and started again"),
    (Class::KillBroker, Hits::Others, "kill-broker", "kill -9, and started again; of three at once, or when others lead"),
    (
        Class::TermCoordinator,
        Hits::Coordinators,
        "term-coordinator",
        "SIGTERM, and started again at once or when the others have taken over",
    ),
    (Class::TermParticipant, Hits::Participants, "term-participant", "SIGTERM of a service, and started again"),
    (Class::TermBroker, Hits::Others, "term-broker", "SIGTERM, and started again; of three at once, or when others lead"),
    (
        Class::FreezeCoordinator,
        Hits::Coordinators,
        "freeze-coordinator",
        "SIGSTOP until its session is over and the others have taken over; SIGCONT",
    ),
    (Class::FreezeParticipant, Hits::Participants, "freeze-participant", "SIGSTOP of a service until its session is over; SIGCONT"),
    (Class::FreezeBroker, Hits::Others, "freeze-broker", "SIGSTOP for some seconds; of three until others lead; SIGCONT"),
    (Class::RollingRestart, Hits::Coordinators, "rolling-restart", "SIGTERM and start of each coordinator, one behind the other"),
    (Class::ParticipantAbsent, Hits::Participants, "participant-absent", "a service is away for 4 to 12 s"),
    (
        Class::ParticipantSlow,
        Hits::Participants,
        "participant-slow",
        "every second answer of a service comes later than its attempt waits",
    ),
    (Class::RepliesRepeated, Hits::Participants, "replies-repeated", "every second answer of a service comes twice"),
    (Class::RepliesLost, Hits::Participants, "replies-lost", "every third first answer of a service never comes"),
    (Class::Poison, Hits::Others, "poison", "bytes that are nothing, and answers that fit nothing, on every topic that is read"),
    (
        Class::NetworkCut,
        Hits::Coordinators,
        "network-cut",
        "a coordinator, or the services, reach no broker until a session is over",
    ),
    (Class::NetworkHeld, Hits::Coordinators, "network-held", "the same, but all that was sent arrives in the end"),
    (Class::NetworkSlow, Hits::Others, "network-slow", "all that is sent comes 20 to 150 ms later"),
    (
        Class::AnswersLost,
        Hits::Coordinators,
        "network-answers-lost",
        "brokers do what they are asked, and their answers are lost, for up to 3 s",
    ),
    (Class::StoreTruncated, Hits::Coordinators, "store-truncated", "kill -9 of a coordinator; a file of its store is cut short"),
    (
        Class::StoreFlipped,
        Hits::Coordinators,
        "store-flipped",
        "kill -9 of a coordinator; 8 bytes of a file of its store are others",
    ),
    (
        Class::StoreDeleted,
        Hits::Coordinators,
        "store-deleted",
        "kill -9 of a coordinator; a file of its store, or all of it, is gone",
    ),
    (
        Class::KillController,
        Hits::Others,
        "kill-controller",
        "kill -9 of the broker that is the active controller, of three, and started again",
    ),
    (Class::LeadersMoved, Hits::Others, "leaders-moved", "every partition of every topic gets another leader, of three brokers"),
    (
        Class::TailLost,
        Hits::Others,
        "tail-lost",
        "kill -9 of the only broker; a partition of the journal lost its last bytes, up to 64 KiB; in rounds without random sagas",
    ),
    (
        Class::DiskFull,
        Hits::Coordinators,
        "disk-full",
        "the disk of a coordinator is full, until its store finds it and for up to 5 s; it is started again when it ends",
    ),
    (
        Class::ClockStep,
        Hits::Coordinators,
        "clock-step",
        "the clock of a coordinator steps, to 20 s before or behind what it was at its start",
    ),
];

impl Class {
    /// All of them.
    pub fn all() -> Vec<Class> {
        CLASSES.iter().map(|(class, ..)| *class).collect()
    }

    /// As it is asked for and shown.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// What it does.
    pub fn meaning(self) -> &'static str {
        self.row().3
    }

    /// Whom it hits.
    pub(super) fn hits(self) -> Hits {
        self.row().1
    }

    fn row(self) -> &'static (Class, Hits, &'static str, &'static str) {
        CLASSES.iter().find(|(class, ..)| *class == self).expect("each is listed")
    }

    /// Those that a name means: one, or all whose names begin with it and a hyphen. An error names all that there are.
    pub fn named(name: &str) -> Result<Vec<Class>, String> {
        let possible = Class::all();
        let is_meant =
            |class: &Class| class.name() == name || class.name().strip_prefix(name).is_some_and(|rest| rest.starts_with('-'));
        let meant: Vec<Class> = possible.iter().copied().filter(is_meant).collect();
        if meant.is_empty() {
            let all: Vec<&str> = possible.iter().map(|class| class.name()).collect();
            return Err(format!("no fault is called '{name}'; there are {}", all.join(", ")));
        }
        Ok(meant)
    }

    /// A line each for `--help`.
    pub fn list() -> String {
        CLASSES.iter().map(|(.., name, meaning)| format!("  {name:<20} {meaning}\n")).collect()
    }
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}
