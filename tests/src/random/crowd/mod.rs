//! A crowd: many sagas of random definitions at once, on real brokers and real coordinators. Who starts them, answers, tells them events
//! and acts on them is one thread here; what became of them it reads in their journal, and all of it is held to the laws.
//!
//! ```text
//! Definitions (drawn, written to a folder) -> coordinators -> commands -> participants here -> replies
//!                                                     journal -> Stories (of one row, or a Family) -> judge: the laws, what was sent, the rows of a store
//! ```

mod definitions;
mod family;
mod journal;
mod judge;
mod people;
mod run;

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use definitions::Definitions;
pub use judge::Judged;
use ringmaster_schemas::names::Topics;
use run::Run;

/// What a crowd is asked to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Of all brokers.
    pub address: String,
    /// Names of the internal topics.
    pub topics: Topics,
    /// Chooses what comes when.
    pub seed: u64,
    /// Sagas a second: each event starts one of each definition.
    pub rate: f64,
    /// Participants keep back their answers for so long at most.
    pub answer_within: Duration,
}

#[derive(Debug)]
struct State {
    stop: bool,
    /// What lies there is read, and then it ends.
    ends: bool,
    /// No more is started, and everybody does as asked.
    calm: bool,
    rests: bool,
    /// Since when nothing new was seen.
    seen: Instant,
    /// Why it cannot go on.
    trouble: Option<String>,
    /// Sagas that were started, and those of them that are in the journal.
    started: usize,
    found: usize,
    /// Some that have not come to rest.
    restless: Vec<String>,
}

type Shared = Arc<Mutex<State>>;

/// The thread, and how it is.
pub struct Crowd {
    state: Shared,
    thread: Option<JoinHandle<Run>>,
}

impl Crowd {
    /// Begins to start sagas.
    pub fn open(definitions: Definitions, settings: Settings) -> Crowd {
        let state = State {
            stop: false,
            ends: false,
            calm: false,
            rests: false,
            seen: Instant::now(),
            trouble: None,
            started: 0,
            found: 0,
            restless: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = state.clone();
        let run = move || {
            let mut run = Run::new(definitions, settings, shared);
            run.go_on();
            run
        };
        let thread = std::thread::Builder::new().name("crowd".into()).spawn(run).expect("a thread can be started");
        Crowd { state, thread: Some(thread) }
    }

    /// Starts no more; everybody does as asked from now on, and people help where they are needed.
    pub fn calm(&self) {
        self.lock().calm = true;
    }

    /// All that was started is in the journal, and waits for nothing but a person who has helped already.
    pub fn rests(&self) -> bool {
        self.lock().rests
    }

    /// Why it cannot go on, if so.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// What it waits for, in words.
    pub fn left(&self) -> String {
        let state = self.lock();
        let restless = state.restless.join("; ");
        format!("{} of {} sagas of random definitions are in the journal; no rest: {restless}", state.found, state.started)
    }

    /// Ends it; what it saw, to be judged.
    pub fn end(mut self) -> Judged {
        self.lock().ends = true;
        let run = self.thread.take().expect("it ends once").join().expect("the crowd's thread ends well");
        run.judged()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder panics")
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.stop = true;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
