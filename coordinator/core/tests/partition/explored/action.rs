//! What can happen, and how often.

/// How often something may happen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Claims, of both owners.
    pub(super) claims: usize,
    /// Records of the input.
    pub(super) inputs: i64,
    /// A record is in the log, and nobody says so.
    pub(super) lost: usize,
    /// A record fails for its sender, and comes into the log later.
    pub(super) late: usize,
    /// An acknowledgement does not say where the record is.
    pub(super) blind: usize,
    /// An owner dies.
    pub(super) crashes: usize,
    /// A state is stored.
    pub(super) checkpoints: usize,
    /// What is sent is on its way until the broker has it, and an owner that has nothing to do writes how far that is.
    pub(super) drains: usize,
}

impl Bounds {
    pub(super) const CALM: Bounds =
        Bounds { claims: 2, inputs: 1, lost: 0, late: 0, blind: 0, crashes: 0, checkpoints: 0, drains: 0 };
}

/// Something that happens, to one of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// It claims.
    Claim(usize),
    /// The oldest of its records that are on their way comes into the log.
    Append(usize),
    /// It hears of the oldest that is there, and where.
    Acknowledge(usize),
    /// It hears of it, and not where.
    AcknowledgeBlindly(usize),
    /// It never hears of it.
    Lose(usize),
    /// One that was given up comes into the log, late.
    Late(usize),
    /// It gives up one that is on its way.
    GiveUp(usize),
    /// It reads what the log holds by now.
    Read(usize),
    /// It reads one record of the input, and its poll ends.
    Input(usize),
    /// It stores what is confirmed.
    Store(usize),
    /// It dies, and another begins with what it has stored.
    Crash(usize),
    /// The broker has the oldest that it sent, and it hears of that.
    Deliver(usize),
    /// It writes how far what it sent is delivered.
    Drain(usize),
}

impl Action {
    /// To whom it happens.
    pub(super) fn owner(self) -> usize {
        let (Action::Claim(owner)
        | Action::Append(owner)
        | Action::Acknowledge(owner)
        | Action::AcknowledgeBlindly(owner)
        | Action::Lose(owner)
        | Action::Late(owner)
        | Action::GiveUp(owner)
        | Action::Read(owner)
        | Action::Input(owner)
        | Action::Store(owner)
        | Action::Crash(owner)
        | Action::Deliver(owner)
        | Action::Drain(owner)) = self;
        owner
    }
}
