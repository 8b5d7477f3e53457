//! `top`: a screen of what is going on, drawn anew as it changes.
//!
//! ```text
//! coordinator -> Listening (a thread) -> Input -> Model -> picture -> the terminal, five times a second
//! keys ---------------------------------^
//! ```

mod model;
mod picture;

use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ringmaster_bus::clock::wall;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::asking::address;
use super::exit::{Exit, Failure};
use super::listening::{Heard, Listening};
use crate::api::client::Address;
use crate::config::Config;
use model::{Input, Key, Model};

/// How long it waits for a key before it draws again.
const DRAW_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
/// What is heard and not taken in yet; whoever tells waits then.
const INPUTS_MAX: usize = 64;
/// All that the screen shows.
const WATCHED: &str = "watch=overview&watch=participants&watch=scaling&watch=alerts";

/// `ringmaster top`
pub(super) fn top(config: &Config, api: Option<&Address>) -> Result<(), Failure> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let other = "programs ask `ringmaster overview --json` or `ringmaster saga list`";
        return Err(Failure::new(Exit::Usage, format_args!("top draws on a terminal, and this is none: {other}")));
    }
    // Whoever is impatient meanwhile ends it as ever.
    let listening = Listening::begin(config, api, WATCHED, None)?;
    let is_ended = Arc::new(AtomicBool::new(false));
    // Not SIGHUP: of a terminal that is gone nothing is put back.
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, is_ended.clone()).map_err(failed)?;
    }
    let (told, inputs) = sync_channel(INPUTS_MAX);
    std::thread::Builder::new().name("listens".to_owned()).spawn(move || listen(listening, &told)).map_err(failed)?;
    let mut model = Model::new(address(config, api)?.to_string());
    // From here on a panic puts the terminal back as well.
    let mut terminal = ratatui::try_init().map_err(failed)?;
    let result = show(&mut terminal, &mut model, &inputs, &is_ended);
    ratatui::restore();
    result
}

fn failed(error: io::Error) -> Failure {
    Failure::new(Exit::Failed, format_args!("the terminal: {error}"))
}

/// Tells what is heard, until nobody wants to know or nothing more can be.
fn listen(mut listening: Listening, told: &SyncSender<Result<Input, Failure>>) {
    loop {
        let heard = listening.next().map(|heard| match heard {
            Heard::Event(event) => Input::Event(event),
            Heard::Lost(why) => Input::Lost(why),
            Heard::Over => Input::Lost("the time is over".to_owned()),
        });
        let is_last = heard.is_err();
        if told.send(heard).is_err() || is_last {
            return;
        }
    }
}

/// Draws until somebody has seen enough.
fn show(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    inputs: &Receiver<Result<Input, Failure>>,
    is_ended: &AtomicBool,
) -> Result<(), Failure> {
    while !model.is_over() && !is_ended.load(Ordering::Relaxed) {
        terminal.draw(|frame| picture::draw(frame, model, wall())).map_err(failed)?;
        if is_typed().map_err(failed)? {
            while event::poll(Duration::ZERO).map_err(failed)? {
                if let Some(key) = key(&event::read().map_err(failed)?) {
                    model.take(Input::Key(key), wall());
                }
            }
        }
        for input in inputs.try_iter() {
            model.take(input?, wall());
        }
    }
    Ok(())
}

/// Waits for a key, not for long. A terminal that is gone is an error here: whoever reads keys (crossterm) would read its end again and
/// again, for ever.
fn is_typed() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut looked = [PollFd::new(&stdin, PollFlags::IN)];
    match rustix::event::poll(&mut looked, Some(&DRAW_EVERY)) {
        Ok(_) | Err(Errno::INTR) => (),
        Err(error) => return Err(error.into()),
    }
    let found = looked[0].revents();
    if found.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Err(io::Error::other("it is gone"));
    }
    Ok(found.contains(PollFlags::IN))
}

/// What a key means here. A new size of the terminal means nothing: it is drawn anew anyway.
fn key(event: &Event) -> Option<Key> {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return None };
    Some(match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Key::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Key::Quit,
        KeyCode::Up | KeyCode::Char('k') => Key::Up,
        KeyCode::Down | KeyCode::Char('j') => Key::Down,
        KeyCode::Tab | KeyCode::Char('s') => Key::Sort,
        KeyCode::Char('p') => Key::Pause,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
