//! What holds for every saga, whatever happens to it: a law, a function. Stories, random definitions and the simulator check each
//! event, and each state between turns, by them.

mod clocks;
mod entries;
mod events;
mod order;
mod parking;
mod pausing;
mod rest;
mod scopes;
mod waits;

use ringmaster_core::definition::{Definition, Node};
use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{Place, SagaEvent};
use ringmaster_schemas::state::Saga;

pub(crate) use pausing::postponed;
pub(crate) use scopes::{around, asks, is_undone_with};

/// An event, and the states around it.
#[derive(Clone, Copy)]
struct One<'a> {
    definition: &'a Definition,
    before: Option<&'a Saga>,
    event: &'a SagaEvent,
    behind: &'a Saga,
    at: Millis,
}

impl<'a> One<'a> {
    /// The node of the entry at a place.
    fn node(&self, place: Place) -> Option<&'a Node> {
        self.definition.node(self.behind.entry(place)?.node)
    }
}

/// What is broken, if it is.
type Broken = Option<String>;
/// Laws by their numbers, of an event and of a state.
type OfEvent = (&'static str, fn(One<'_>) -> Broken);
type OfState = (&'static str, fn(&Definition, &Saga) -> Broken);

const OF_EVENTS: [OfEvent; 29] = [
    ("L1", events::an_ended_row_goes_when_nothing_of_it_is_open),
    ("L2", entries::work_and_waits_fit),
    ("L2", waits::what_waits_by_itself_is_written_so),
    ("L3", events::nothing_goes_forward_in_what_is_undone),
    ("L4", order::undone_is_what_nothing_later_hangs_on),
    ("L5", events::nothing_on_or_behind_the_pivot_is_undone),
    ("L6", order::a_reaction_finds_nothing_left_behind),
    ("L7", entries::attempts_are_in_order),
    ("L9", events::a_pivot_is_never_given_up),
    ("L10", order::a_reaction_begins_as_often_as_it_may),
    ("L12", entries::entries_stay),
    ("L14", events::the_status_never_goes_back),
    ("L14", events::the_pivot_stays_behind),
    ("L14", events::left_out_is_passed),
    ("L15", clocks::clocks_stand_while_it_is_held),
    ("L15", clocks::nothing_is_due_before_it_waits),
    ("L15", clocks::due_is_what_was_said),
    ("L15", clocks::a_row_stays_as_long_as_its_stray_took),
    ("L15", waits::time_ends_what_waits_for_it),
    ("L16", events::only_a_refusal_is_contradicted),
    ("L18", order::nothing_begins_before_what_stands_before_it),
    ("L18", order::items_begin_once_each),
    ("L18", waits::others_are_asked_in_order),
    ("L19", waits::an_event_is_taken_once),
    ("L21", parking::what_is_parked_says_for_whom),
    ("L21", parking::it_waits_for_whom_it_would_ask),
    ("L22", events::an_end_is_told_once),
    ("L23", pausing::nothing_goes_forward_while_it_is_paused),
    ("L23", pausing::only_what_is_paused_is_held_back),
];

const AT_REST: [OfState; 13] = [
    ("L1", rest::a_saga_that_lives_waits),
    ("L1", rest::a_scope_waits_for_something),
    ("L2", rest::what_waits_is_due_or_held),
    ("L4", order::what_can_be_undone_is),
    ("L12", rest::an_ended_row_is_small),
    ("L14", rest::the_end_is_noted),
    ("L17", rest::compensated_is_undone),
    ("L18", rest::completed_is_done),
    ("L19", waits::nothing_kept_is_waited_for),
    ("L20", waits::who_waits_has_claimed),
    ("L21", parking::nothing_unasked_waits_in_what_is_undone),
    ("L21", parking::what_is_parked_is_told),
    ("L23", pausing::what_is_held_back_is_told),
];

/// The laws that an event breaks: `before` is the state that it met, `behind` what it left, `at` the time of its turn.
pub fn event(definition: &Definition, before: Option<&Saga>, event: &SagaEvent, behind: &Saga, at: Millis) -> Vec<String> {
    let one = One { definition, before, event, behind, at };
    let broken = OF_EVENTS.iter().filter_map(|(law, holds)| Some((law, holds(one)?)));
    broken.map(|(law, what)| format!("{law}: {what} ({event:?} of {})", behind.id)).collect()
}

/// The laws that a state between turns breaks.
pub fn at_rest(definition: &Definition, saga: &Saga) -> Vec<String> {
    let broken = AT_REST.iter().filter_map(|(law, holds)| Some((law, holds(definition, saga)?)));
    broken.map(|(law, what)| format!("{law}: {what} ({})", saga.id)).collect()
}
