//! What the screen is about: what was heard last, and what somebody chose to look at. Pure; the time is an argument.

use std::cmp::Reverse;

use ringmaster_schemas::Millis;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::select::time;
use crate::api::client::Event;
use crate::api::{AlertsOf, AllScaling, Overview, Participant, Participants};

/// Something is heard every second. After so long without anything it is said that nothing is.
const SILENT_MS: Millis = 5_000;

/// What happens to it.
#[derive(Debug)]
pub(super) enum Input {
    Event(Event),
    /// Nobody answers, and why.
    Lost(String),
    Key(Key),
}

/// What somebody typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Up,
    Down,
    Sort,
    Pause,
}

/// By what participants are sorted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Unanswered,
    Oldest,
    Parked,
    Stuck,
    Used,
    Name,
}

impl Sort {
    const ALL: [Sort; 6] = [Sort::Unanswered, Sort::Oldest, Sort::Parked, Sort::Stuck, Sort::Used, Sort::Name];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Sort::Unanswered => "unanswered",
            Sort::Oldest => "oldest",
            Sort::Parked => "parked",
            Sort::Stuck => "stuck",
            Sort::Used => "used",
            Sort::Name => "name",
        }
    }

    fn next(self) -> Sort {
        Sort::ALL[(self as usize + 1) % Sort::ALL.len()]
    }
}

/// What was heard last.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) overview: Option<Overview>,
    pub(super) participants: Participants,
    pub(super) scaling: AllScaling,
    pub(super) alerts: AlertsOf,
    /// When any of it was heard.
    at: Option<Millis>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct Model {
    /// Who tells.
    pub(super) address: String,
    newest: Shown,
    /// What is looked at, while the display is paused.
    held: Option<Shown>,
    /// When anything was heard at all.
    heard_at: Option<Millis>,
    /// Why nothing is heard.
    lost: Option<String>,
    /// What cannot be told (the watch, as it was asked for) and why.
    problem: Option<(String, String)>,
    chosen: Option<String>,
    sort: Sort,
    is_over: bool,
}

impl Model {
    pub(super) fn new(address: String) -> Model {
        Model { address, ..Model::default() }
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, input: Input, now: Millis) {
        match input {
            Input::Event(event) => self.hear(&event, now),
            Input::Lost(why) => self.lost = Some(why),
            Input::Key(Key::Quit) => self.is_over = true,
            Input::Key(Key::Sort) => self.sort = self.sort.next(),
            Input::Key(Key::Pause) => self.held = if self.held.is_some() { None } else { Some(self.newest.clone()) },
            Input::Key(Key::Up) => self.choose(|place| place.saturating_sub(1)),
            Input::Key(Key::Down) => self.choose(|place| place + 1),
        }
    }

    fn hear(&mut self, event: &Event, now: Millis) {
        let is_taken = match &*event.name {
            "overview" => set(&mut self.newest.overview, event),
            "participants" => set(&mut self.newest.participants, event),
            "scaling" => set(&mut self.newest.scaling, event),
            "alerts" => set(&mut self.newest.alerts, event),
            "problem" => {
                let problem: Value = serde_json::from_str(&event.data).unwrap_or_default();
                let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
                self.problem = Some((text("watch"), text("detail")));
                // Somebody answers; what is shown is as old as it was.
                (self.heard_at, self.lost) = (Some(now), None);
                return;
            }
            _ => return,
        };
        if !is_taken {
            self.problem = Some((event.name.clone(), "another version of Ringmaster answers".to_owned()));
            return;
        }
        self.problem.take_if(|(of, _)| *of == event.name);
        (self.newest.at, self.heard_at, self.lost) = (Some(now), Some(now), None);
    }

    /// The participant at another place of those that are shown.
    fn choose(&mut self, to: impl Fn(usize) -> usize) {
        let names: Vec<String> = self.participants().iter().map(|of| of.participant.clone()).collect();
        let place = names.iter().position(|name| Some(name) == self.chosen.as_ref());
        let last = names.len().saturating_sub(1);
        self.chosen = names.get(place.map_or(0, |place| to(place).min(last))).cloned();
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn is_paused(&self) -> bool {
        self.held.is_some()
    }

    pub(super) fn sort(&self) -> Sort {
        self.sort
    }

    pub(super) fn shown(&self) -> &Shown {
        self.held.as_ref().unwrap_or(&self.newest)
    }

    /// How old what is shown is: since it was heard, and how old it was then. None: nothing was heard yet.
    pub(super) fn age_ms(&self, now: Millis) -> Option<i64> {
        let shown = self.shown();
        let then = shown.overview.iter().flat_map(|overview| &overview.as_of).map(|of| of.age_ms).max().unwrap_or(0);
        Some((now - shown.at?).max(0) + then)
    }

    /// What is wrong with what is shown: worst first.
    pub(super) fn troubles(&self, now: Millis) -> Vec<String> {
        let silent = self.heard_at.map(|at| now - at).filter(|silent| *silent >= SILENT_MS);
        let lost = match (&self.lost, silent) {
            (Some(why), _) => Some(format!("CONNECTION LOST, trying again: {why}")),
            (None, Some(silent)) => Some(format!("NOTHING WAS HEARD for {} s, trying again", silent / 1_000)),
            (None, None) => None,
        };
        let problem = self.problem.as_ref().map(|(of, why)| format!("{of} cannot be told: {why}"));
        let missing = self.shown().overview.iter().flat_map(|overview| &overview.missing);
        let missing = missing.map(|of| format!("partition {} is left out: {}", of.partition, of.why));
        lost.into_iter().chain(problem).chain(missing).collect()
    }

    /// The participants that are shown, in order.
    pub(super) fn participants(&self) -> Vec<&Participant> {
        let mut all: Vec<&Participant> = self.shown().participants.participants.iter().collect();
        all.sort_by(|one, other| one.participant.cmp(&other.participant));
        match self.sort {
            Sort::Unanswered => all.sort_by_key(|of| Reverse(of.unanswered)),
            // Who has none comes last.
            Sort::Oldest => all.sort_by_key(|of| since(of.unanswered_since.as_deref()).unwrap_or(Millis::MAX)),
            Sort::Parked => all.sort_by_key(|of| Reverse(of.parked)),
            Sort::Stuck => all.sort_by_key(|of| Reverse(of.stuck)),
            Sort::Used => all.sort_by(|one, other| self.used(&other.participant).total_cmp(&self.used(&one.participant))),
            Sort::Name => {}
        }
        all
    }

    /// What a participant is asked as a share of what it can answer; -1 if that is not known.
    pub(super) fn used(&self, participant: &str) -> f64 {
        let known = self.shown().scaling.participants.iter().find(|of| of.participant == participant);
        known.and_then(|of| of.utilisation).unwrap_or(-1.0)
    }

    /// The one that was chosen, if it still is there.
    pub(super) fn chosen(&self) -> Option<&Participant> {
        let chosen = self.chosen.as_ref()?;
        self.shown().participants.participants.iter().find(|of| of.participant == *chosen)
    }
}

/// Whether it could be read.
fn set<T: DeserializeOwned>(place: &mut T, event: &Event) -> bool {
    serde_json::from_str(&event.data).map(|told| *place = told).is_ok()
}

/// A time that was told.
pub(super) fn since(text: Option<&str>) -> Option<Millis> {
    time(text?).ok()
}
