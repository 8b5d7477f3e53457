//! The loop: an answer of the coordinators, a signal, or the end of a member comes; what follows is done.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use ringmaster_bus::clock::now;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::process::Process;
use super::{Bounds, Crew, Order, Voice, told};
use crate::api::AllScaling;
use crate::config::Scale;

/// The coordinators are asked this often.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// What has come and was not looked at yet: signals and answers, of which new ones tell the same.
const EVENTS_MAX: usize = 16;
/// With nothing to do it looks this often all the same.
const LOOK_EVERY_MS: i64 = 60_000;

enum Event {
    Signal(i32),
    Answer(Result<AllScaling, String>),
}

/// How people are told something: lines of members as they come, and our own.
#[derive(Clone, Copy)]
struct Speech<'a> {
    voice: &'a Voice,
    say: &'a dyn Fn(&str),
}

/// The members of one participant.
struct Team<'a> {
    name: &'a str,
    command: &'a [String],
    crew: Crew,
    processes: BTreeMap<u32, Process>,
    speech: Speech<'a>,
}

/// Runs members of all these participants by what `ask` says, until SIGTERM, SIGINT or SIGHUP; then ends them in order. A second signal
/// kills them. `voice` says their lines, `say` ours. To be called by a thread that lives as long as the process: members end with it.
///
/// # Errors
/// If signals cannot be waited for, or a process cannot be waited for.
pub fn run(
    scale: &BTreeMap<String, Scale>,
    mut ask: impl FnMut() -> Result<AllScaling, String> + Send + 'static,
    voice: &Voice,
    say: &dyn Fn(&str),
) -> io::Result<()> {
    let (sender, events) = bounded(EVENTS_MAX);
    pass_on_signals(sender.clone())?;
    let asking = move || {
        while sender.send(Event::Answer(ask())).is_ok() {
            std::thread::sleep(ASK_EVERY);
        }
    };
    std::thread::Builder::new().name("asking".to_owned()).spawn(asking)?;
    let mut teams: Vec<Team<'_>> = scale.iter().map(|of| Team::new(of, Speech { voice, say })).collect();
    let mut is_ending = false;
    loop {
        for team in &mut teams {
            team.look()?;
        }
        if teams.iter().all(|team| team.crew.is_gone()) {
            return Ok(());
        }
        match next(&events, &teams) {
            Some(Event::Answer(answer)) => teams.iter_mut().for_each(|team| team.take(&answer)),
            Some(Event::Signal(SIGCHLD)) | None => {}
            Some(Event::Signal(_)) if is_ending => teams.iter_mut().for_each(|team| team.crew.hurry(now().steady)),
            Some(Event::Signal(_)) => {
                is_ending = true;
                say("all members are asked to end; who has not in 20 s is killed, and so are all by a second signal");
                teams.iter_mut().for_each(|team| team.crew.end());
            }
        }
    }
}

/// What comes next; none: nothing, and something is to be done all the same.
fn next(events: &Receiver<Event>, teams: &[Team<'_>]) -> Option<Event> {
    let due_ms = teams.iter().filter_map(|team| team.crew.due_ms()).min();
    events.recv_timeout(until(due_ms, now().steady)).ok()
}

/// How long nothing need be done that is due then.
fn until(due_ms: Option<i64>, now_ms: i64) -> Duration {
    let wait_ms = due_ms.map_or(LOOK_EVERY_MS, |due_ms| due_ms.saturating_sub(now_ms).clamp(0, LOOK_EVERY_MS));
    Duration::from_millis(wait_ms.unsigned_abs())
}

fn pass_on_signals(sender: Sender<Event>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGCHLD])?;
    let pass_on = move || {
        for signal in signals.forever() {
            if sender.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(pass_on).map(|_| ())
}

impl<'a> Team<'a> {
    fn new((name, scale): (&'a String, &'a Scale), speech: Speech<'a>) -> Team<'a> {
        let bounds = Bounds { min: scale.min, max: scale.max };
        Team { name, command: &scale.command, crew: Crew::new(bounds), processes: BTreeMap::new(), speech }
    }

    fn take(&mut self, answer: &Result<AllScaling, String>) {
        if let Some(news) = self.crew.take(told(self.name, answer)) {
            (self.speech.say)(&format!("{}: {news}", self.name));
        }
    }

    /// Sees who has ended, and does what is to be done.
    fn look(&mut self) -> io::Result<()> {
        let mut ended = Vec::new();
        for (number, process) in &mut self.processes {
            if let Some(status) = process.ended()? {
                ended.push((*number, status.to_string()));
            }
        }
        for (number, how) in ended {
            self.processes.remove(&number);
            self.has_ended(number, &how);
        }
        for order in self.crew.orders(now().steady) {
            self.carry_out(order);
        }
        Ok(())
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Start(number) => match Process::start(self.name, number, self.command, self.speech.voice) {
                Ok(process) => {
                    self.processes.insert(number, process);
                }
                Err(error) => self.has_ended(number, &format!("it cannot be started: {error}")),
            },
            Order::End(number) => self.processes[&number].end(),
            Order::Kill(number) => {
                (self.speech.say)(&format!("{}/{number} has not ended in time: it is killed", self.name));
                self.processes[&number].kill();
            }
        }
    }

    fn has_ended(&mut self, number: u32, how: &str) {
        let follows = self.crew.ended(number, now().steady);
        (self.speech.say)(&format!("{}/{number} has ended ({how}): {follows}", self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_done_then_though_nothing_comes() {
        let waits = [None, Some(i64::MIN), Some(4_999), Some(5_000), Some(7_500), Some(i64::MAX)].map(|due| until(due, 5_000));
        assert_eq!(waits.map(|wait| wait.as_millis()), [60_000, 0, 0, 0, 2_500, 60_000]);
    }
}
