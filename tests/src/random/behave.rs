//! Participants that answer as badly as the rules allow: they do each idempotency key once, and remember; what they say may be lost,
//! late, repeated, or the contrary of what they said before.

use std::collections::BTreeMap;

use fastrand::Rng;
use ringmaster_core::saga::code;
use ringmaster_schemas::names::Direction;

use super::generate::{FAILURES, REFUSALS};
use crate::stories::Said;

/// A command as a participant gets it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Command {
    /// The step, with its round.
    pub(super) step: String,
    pub(super) direction: Direction,
    pub(super) attempt: i32,
}

/// An answer on its way.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) to: Command,
    pub(super) said: Said,
    /// Nobody would know of the effect without it.
    pub(super) must_arrive: bool,
}

/// What a participant knows of a key.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// It is done, and not undone.
    pub(super) effect: bool,
    /// Undone, also before it was ever asked: it is refused from then on.
    pub(super) undone: bool,
    /// Its final answer.
    said: Option<Said>,
    /// The attempt that was answered last.
    attempt: i32,
}

/// How often something goes otherwise than it should, in this run.
#[derive(Debug, Clone)]
pub(super) struct Mood {
    pub(super) refuses: f64,
    pub(super) fails: f64,
    pub(super) silent: f64,
    pub(super) forgets: f64,
    pub(super) undo_fails: f64,
    pub(super) undo_refused: f64,
}

impl Mood {
    pub(super) fn draw(random: &mut Rng) -> Mood {
        let mut share = |most: f64| if random.bool() { random.f64() * most } else { 0.0 };
        Mood {
            refuses: share(0.5),
            fails: share(0.5),
            silent: share(0.3),
            forgets: share(0.1),
            undo_fails: share(0.4),
            undo_refused: share(0.1),
        }
    }

    /// Everybody does as asked.
    pub(super) fn calm() -> Mood {
        Mood { refuses: 0.0, fails: 0.0, silent: 0.0, forgets: 0.0, undo_fails: 0.0, undo_refused: 0.0 }
    }
}

/// All participants of a saga, with what they remember.
#[derive(Debug)]
pub(super) struct Participants {
    pub(super) mood: Mood,
    pub(super) accounts: BTreeMap<String, Account>,
}

impl Participants {
    /// A command arrives; what is answered, if anything.
    pub(super) fn take(&mut self, command: &Command, random: &mut Rng) -> Option<Answer> {
        let said = match command.direction {
            Direction::Do => self.asked(command, random),
            Direction::Undo => self.asked_to_undo(command, random),
        };
        Some(Answer { to: command.clone(), said: said?, must_arrive: false })
    }

    fn asked(&mut self, command: &Command, random: &mut Rng) -> Option<Said> {
        let account = self.accounts.entry(command.step.clone()).or_default();
        account.attempt = command.attempt;
        if account.undone {
            return Some(Said::Refused("UNDONE".to_owned()));
        }
        if random.f64() < self.mood.forgets {
            return Some(Said::Failed(code::TOO_OLD.to_owned(), false));
        }
        let first = account.said.is_none();
        let answer = account.said.get_or_insert_with(|| {
            if !account.effect && random.f64() < self.mood.refuses {
                return Said::Refused(REFUSALS[random.usize(..REFUSALS.len())].to_owned());
            }
            Said::Succeeded(Some(format!(r#"{{"n": {}}}"#, random.u32(0..5))))
        });
        let answer = answer.clone();
        // What fails may have been done all the same; it is known at the next attempt.
        let fails = random.f64();
        if fails < self.mood.silent + self.mood.fails {
            if first && random.bool() {
                account.said = None;
            }
            account.effect = matches!(account.said, Some(Said::Succeeded(_)));
            let failed = Said::Failed(FAILURES[random.usize(..FAILURES.len())].to_owned(), random.f64() < 0.7);
            return (fails >= self.mood.silent).then_some(failed);
        }
        account.effect = matches!(answer, Said::Succeeded(_));
        Some(answer)
    }

    fn asked_to_undo(&mut self, command: &Command, random: &mut Rng) -> Option<Said> {
        let account = self.accounts.entry(command.step.clone()).or_default();
        if random.f64() < self.mood.undo_refused {
            return Some(Said::Refused("CANNOT".to_owned()));
        }
        let fails = random.f64() < self.mood.undo_fails;
        if !fails || random.bool() {
            (account.effect, account.undone) = (false, true);
        }
        let failed = Said::Failed(FAILURES[random.usize(..FAILURES.len())].to_owned(), random.f64() < 0.8);
        Some(if fails { failed } else { Said::Succeeded(None) })
    }

    /// Somebody who said no does it all the same, and says so.
    pub(super) fn contradict(&mut self, random: &mut Rng) -> Option<Answer> {
        let refused = |account: &Account| matches!(account.said, Some(Said::Refused(_))) && !account.undone;
        let steps: Vec<&String> = self.accounts.iter().filter(|(_, account)| refused(account)).map(|(step, _)| step).collect();
        let step = random.choice(steps)?.clone();
        let account = self.accounts.get_mut(&step)?;
        let said = Said::Succeeded(Some(r#"{"n": 1}"#.to_owned()));
        (account.effect, account.said) = (true, Some(said.clone()));
        let to = Command { step, direction: Direction::Do, attempt: account.attempt };
        Some(Answer { to, said, must_arrive: true })
    }
}
