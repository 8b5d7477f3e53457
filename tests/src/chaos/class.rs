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

/// Each with its name and what it does.
const CLASSES: [(Class, &str, &str); 27] = [
    (Class::KillCoordinator, "kill-coordinator", "kill -9, and started again at once or when the others have taken over"),
    (Class::KillParticipant, "kill-participant", "kill -9 of a service, and started again"),
    (Class::KillBroker, "kill-broker", "kill -9, and started again; of three at once, or when others lead"),
    (Class::TermCoordinator, "term-coordinator", "SIGTERM, and started again at once or when the others have taken over"),
    (Class::TermParticipant, "term-participant", "SIGTERM of a service, and started again"),
    (Class::TermBroker, "term-broker", "SIGTERM, and started again; of three at once, or when others lead"),
    (Class::FreezeCoordinator, "freeze-coordinator", "SIGSTOP until its session is over and the others have taken over; SIGCONT"),
    (Class::FreezeParticipant, "freeze-participant", "SIGSTOP of a service until its session is over; SIGCONT"),
    (Class::FreezeBroker, "freeze-broker", "SIGSTOP for some seconds; of three until others lead; SIGCONT"),
    (Class::RollingRestart, "rolling-restart", "SIGTERM and start of each coordinator, one behind the other"),
    (Class::ParticipantAbsent, "participant-absent", "a service is away for 4 to 12 s"),
    (Class::ParticipantSlow, "participant-slow", "every second answer of a service comes later than its attempt waits"),
    (Class::RepliesRepeated, "replies-repeated", "every second answer of a service comes twice"),
    (Class::RepliesLost, "replies-lost", "every third first answer of a service never comes"),
    (Class::Poison, "poison", "bytes that are nothing, and answers that fit nothing, on every topic that is read"),
    (Class::NetworkCut, "network-cut", "a coordinator, or the services, reach no broker until a session is over"),
    (Class::NetworkHeld, "network-held", "the same, but all that was sent arrives in the end"),
    (Class::NetworkSlow, "network-slow", "all that is sent comes 20 to 150 ms later"),
    (Class::AnswersLost, "network-answers-lost", "brokers do what they are asked, and their answers are lost, for up to 3 s"),
    (Class::StoreTruncated, "store-truncated", "kill -9 of a coordinator; a file of its store is cut short"),
    (Class::StoreFlipped, "store-flipped", "kill -9 of a coordinator; 8 bytes of a file of its store are others"),
    (Class::StoreDeleted, "store-deleted", "kill -9 of a coordinator; a file of its store, or all of it, is gone"),
    (Class::KillController, "kill-controller", "kill -9 of the broker that is the active controller, of three, and started again"),
    (Class::LeadersMoved, "leaders-moved", "every partition of every topic gets another leader, of three brokers"),
    (
        Class::TailLost,
        "tail-lost",
        "kill -9 of the only broker; a partition of the journal lost its last bytes, up to 64 KiB; in rounds without random sagas",
    ),
    (
        Class::DiskFull,
        "disk-full",
        "the disk of a coordinator is full, until its store finds it and for up to 5 s; it is started again when it ends",
    ),
    (Class::ClockStep, "clock-step", "the clock of a coordinator steps, to 20 s before or behind what it was at its start"),
];

impl Class {
    /// All of them.
    pub fn all() -> Vec<Class> {
        CLASSES.iter().map(|(class, ..)| *class).collect()
    }

    /// As it is asked for and shown.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What it does.
    pub fn meaning(self) -> &'static str {
        self.row().2
    }

    /// True if it hits coordinators.
    pub(super) fn is_of_coordinators(self) -> bool {
        use Class::{
            AnswersLost, ClockStep, DiskFull, FreezeCoordinator, KillCoordinator, NetworkCut, NetworkHeld, RollingRestart,
            StoreDeleted, StoreFlipped, StoreTruncated, TermCoordinator,
        };
        let stores = matches!(self, StoreTruncated | StoreFlipped | StoreDeleted | DiskFull);
        let networks = matches!(self, NetworkCut | NetworkHeld | AnswersLost);
        stores || networks || matches!(self, KillCoordinator | TermCoordinator | FreezeCoordinator | RollingRestart | ClockStep)
    }

    /// True if it hits services, and nothing else.
    pub(super) fn is_of_participants(self) -> bool {
        use Class::{
            FreezeParticipant, KillParticipant, ParticipantAbsent, ParticipantSlow, RepliesLost, RepliesRepeated, TermParticipant,
        };
        let processes = matches!(self, KillParticipant | TermParticipant | FreezeParticipant | ParticipantAbsent);
        processes || matches!(self, ParticipantSlow | RepliesRepeated | RepliesLost)
    }

    fn row(self) -> &'static (Class, &'static str, &'static str) {
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
        CLASSES.iter().map(|(_, name, meaning)| format!("  {name:<20} {meaning}\n")).collect()
    }
}

impl fmt::Display for Class {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}
