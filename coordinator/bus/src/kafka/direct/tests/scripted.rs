//! Brokers that keep a log as Kafka does, and misbehave by a script.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::super::requests::Api;
use super::super::wire::{Get, Put};
pub(super) use super::acts::Act;
use super::acts::{Stream, give};
use super::guard::{Caller, Guard};
use super::log::{Written, append};
use super::shelf::{self, Shelf};

#[derive(Default)]
pub(super) struct State {
    pub(super) logs: HashMap<(String, i32), Written>,
    /// What is to happen, by kind of request.
    pub(super) script: HashMap<i16, VecDeque<Act>>,
    /// Requests that came, by kind.
    pub(super) asked: HashMap<i16, usize>,
    /// Produce requests by broker and partition.
    pub(super) produced: HashMap<(i32, String, i32), usize>,
    /// Who leads a partition; broker 1, if nothing is said, and nobody for -1.
    pub(super) leaders: HashMap<(String, i32), i32>,
    /// Topics that are not there.
    pub(super) missing: HashSet<String>,
    /// What readers find; nothing, if nothing is said.
    pub(super) shelves: HashMap<(String, i32), Shelf>,
    /// Offsets that were fetched from, by broker and partition.
    pub(super) fetched: HashMap<(i32, String, i32), Vec<i64>>,
    /// Topics that were asked for.
    pub(super) known_topics: BTreeSet<String>,
    /// How often a topic was made anew.
    pub(super) made: HashMap<String, u8>,
    /// It is older than topics' identities.
    pub(super) has_no_ids: bool,
    /// A broker that gives no answer to a fetch before it is released.
    pub(super) silent: Option<i32>,
    /// How many fetches wait for that.
    pub(super) held_count: usize,
    /// The last version of a fetch that is taken.
    pub(super) fetch_max: i16,
    /// Answers with [`Act::Hold`] are given.
    pub(super) is_released: bool,
    /// The largest batch that is taken.
    pub(super) batch_bytes_max: usize,
    /// Who is let in.
    pub(super) guard: Guard,
    /// Connections that came, and those that were let in.
    pub(super) connections: usize,
    pub(super) logins: usize,
    addresses: Vec<String>,
    next_producer: i64,
}

impl State {
    /// The next request of this kind meets this.
    pub(super) fn push(&mut self, api: Api, act: Act) {
        self.script.entry(api.key()).or_default().push_back(act);
    }

    /// A partition as readers find it.
    pub(super) fn shelf(&self, topic: &str, partition: i32) -> Shelf {
        self.shelves.get(&(topic.to_owned(), partition)).cloned().unwrap_or_default()
    }

    /// The same, to append to.
    pub(super) fn shelf_mut(&mut self, topic: &str, partition: i32) -> &mut Shelf {
        self.shelves.entry((topic.to_owned(), partition)).or_default()
    }

    pub(super) fn leader(&self, topic: &str, partition: i32) -> i32 {
        self.leaders.get(&(topic.to_owned(), partition)).copied().unwrap_or(1)
    }
}

pub(super) struct Scripted {
    shared: Arc<(Mutex<State>, Condvar)>,
    stop: Arc<AtomicBool>,
}

pub(super) const PARTITIONS: i32 = 12;
/// So long a fetch waits for records.
const FETCH_WAIT: Duration = Duration::from_millis(30);

impl Scripted {
    /// One broker.
    pub(super) fn start(acts: &[(Api, Act)]) -> Self {
        Scripted::cluster(1, acts)
    }

    /// Brokers from 1 on, of one cluster.
    pub(super) fn cluster(count: usize, acts: &[(Api, Act)]) -> Self {
        let listeners: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free port")).collect();
        let addresses = listeners.iter().map(|listener| listener.local_addr().expect("an address").to_string()).collect();
        let mut state = State { addresses, batch_bytes_max: usize::MAX, fetch_max: 18, ..State::default() };
        acts.iter().for_each(|(api, act)| state.push(*api, act.clone()));
        let (shared, stop) = (Arc::new((Mutex::new(state), Condvar::new())), Arc::new(AtomicBool::new(false)));
        for (listener, me) in listeners.into_iter().zip(1..) {
            let (shared, stopped) = (shared.clone(), stop.clone());
            std::thread::spawn(move || {
                for socket in listener.incoming() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let shared = shared.clone();
                    // How a connection ends is what is tried.
                    std::thread::spawn(move || {
                        let socket = socket.expect("a connection");
                        socket.set_nodelay(true)?;
                        let guard = {
                            let mut state = shared.0.lock().expect("no broker panicked");
                            state.connections += 1;
                            state.guard.next()
                        };
                        guard.over(socket, |stream| serve(stream, &shared, me))
                    });
                }
            });
        }
        Scripted { shared, stop }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().expect("no broker panicked")
    }

    /// Where a client begins.
    pub(super) fn address(&self) -> String {
        self.state().addresses.join(",")
    }

    /// One of them alone.
    pub(super) fn address_of(&self, broker: usize) -> String {
        self.state().addresses[broker - 1].clone()
    }

    /// Appends to a partition that is read.
    pub(super) fn append(&self, topic: &str, partition: i32, count: i32) {
        self.state().shelf_mut(topic, partition).append(count);
        self.shared.1.notify_all();
    }

    /// What was held is answered.
    pub(super) fn release(&self) {
        self.state().is_released = true;
        self.shared.1.notify_all();
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let Ok(mut state) = self.shared.0.lock() else { return };
        state.is_released = true;
        self.shared.1.notify_all();
        for address in &state.addresses {
            let _woken = TcpStream::connect(address);
        }
    }
}

fn serve(socket: &mut dyn Stream, shared: &(Mutex<State>, Condvar), me: i32) -> io::Result<()> {
    let mut caller = Caller::default();
    loop {
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        // As brokers do, for whom this is a mistake or worse.
        let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| *length <= 100 << 20);
        let mut request = vec![0; length.ok_or_else(|| io::Error::other("too large"))?];
        socket.read_exact(&mut request)?;
        let mut get = Get(&request);
        let header = |get: &mut Get<'_>| {
            let (api, version, correlation) = (get.i16()?, get.i16()?, get.i32()?);
            let client = get.i16()?;
            get.take(client as usize)?;
            if api != Api::Handshake.key() {
                get.tags()?;
            }
            Ok::<_, io::Error>((api, version, correlation))
        };
        let (api, version, correlation) = header(&mut get)?;
        let (act, answer) = {
            let mut state = shared.0.lock().expect("no broker panicked");
            *state.asked.entry(api).or_default() += 1;
            if api == Api::Fetch.key() {
                // As a broker waits for records.
                let sought = shelf::parse(&state, &mut get.clone(), version)?.1;
                let is_quiet = |state: &mut State| !sought.iter().flatten().any(|sought| shelf::has_news(state, sought, me));
                let waited = shared.1.wait_timeout_while(state, FETCH_WAIT, is_quiet);
                state = waited.expect("no broker panicked").0;
            }
            let act = state.script.get_mut(&api).and_then(VecDeque::pop_front).unwrap_or(Act::Honest);
            let answer = answer(&mut state, &mut caller, (api, version), correlation, &mut get, &act, me)?;
            let is_silent = api == Api::Fetch.key() && state.silent == Some(me);
            state.held_count += usize::from(is_silent);
            if matches!(act, Act::Hold | Act::HoldError(_)) || is_silent {
                let _released = shared.1.wait_while(state, |state| !state.is_released).expect("no broker panicked");
            }
            (act, answer)
        };
        give(socket, &act, answer)?;
        if caller.is_refused || matches!(act, Act::Cut { .. } | Act::Half(_)) {
            return Ok(());
        }
    }
}

fn answer(
    state: &mut State,
    caller: &mut Caller,
    (api, version): (i16, i16),
    correlation: i32,
    get: &mut Get<'_>,
    act: &Act,
    me: i32,
) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    out.i32(if matches!(act, Act::WrongCorrelation) { correlation + 1 } else { correlation });
    if api != Api::Versions.key() && api != Api::Handshake.key() {
        out.no_tags();
    }
    let code = if let Act::Error { code, .. } | Act::HoldError(code) = act { *code } else { 0 };
    let throttle_ms = if let Act::Throttle(ms) = act { *ms } else { 0 };
    let is_said_before = [Api::Versions, Api::Handshake, Api::Authenticate].map(Api::key).contains(&api);
    if !is_said_before && !caller.is_in(&state.guard) {
        return Err(io::Error::other("it did not say who it is"));
    }
    match api {
        17 => caller.handshake(&state.guard, get, &mut out, code)?,
        36 => {
            let was_in = caller.is_in(&state.guard);
            caller.authenticate(&state.guard, get, &mut out, code)?;
            state.logins += usize::from(!was_in && caller.is_in(&state.guard));
        }
        0 => produce(state, get, &mut out, act, me)?,
        1 => shelf::fetch(state, get, &mut out, act, me, version)?,
        2 => shelf::offsets(state, get, &mut out, act, me)?,
        3 => metadata(state, get, &mut out, code, throttle_ms)?,
        18 => {
            out.i16(code);
            let known: [(i16, i16); 6] = [(0, 13), (1, state.fetch_max), (2, 11), (3, 13), (18, 4), (22, 5)];
            out.count(known.len());
            for (api, max) in known {
                out.i16(api);
                out.i16(if api == 0 { 3 } else { 0 });
                out.i16(max);
                out.no_tags();
            }
            out.i32(0);
            out.no_tags();
        }
        22 => {
            state.next_producer += 1;
            out.i32(throttle_ms);
            out.i16(code);
            out.i64(if code == 0 { state.next_producer } else { -1 });
            out.i16(0);
            out.no_tags();
        }
        other => panic!("request {other} was not expected"),
    }
    Ok(out)
}

fn metadata(state: &mut State, get: &mut Get<'_>, out: &mut Vec<u8>, code: i16, throttle_ms: i32) -> io::Result<()> {
    out.i32(throttle_ms);
    out.count(state.addresses.len());
    for (address, number) in state.addresses.iter().zip(1..) {
        let (host, port) = address.rsplit_once(':').expect("host and port");
        out.i32(number);
        out.string(host);
        out.i32(port.parse().expect("a port"));
        out.null();
        out.no_tags();
    }
    out.null();
    out.i32(1);
    let count = get.count()?;
    out.count(count);
    for _ in 0..count {
        get.take(16)?;
        let name = get.string()?;
        get.tags()?;
        let code = if state.missing.contains(name) { 3 } else { code };
        out.i16(code);
        out.string(name);
        out.put(&shelf::id_of(state, name));
        state.known_topics.insert(name.to_owned());
        out.i8(0);
        let partitions = if code == 0 { PARTITIONS } else { 0 };
        out.count(partitions as usize);
        for partition in 0..partitions {
            out.i16(0);
            out.i32(partition);
            out.i32(state.leader(name, partition));
            out.i32(0);
            for _ in 0..3 {
                out.count(0);
            }
            out.no_tags();
        }
        out.i32(i32::MIN);
        out.no_tags();
    }
    out.i32(i32::MIN);
    out.no_tags();
    Ok(())
}

fn produce(state: &mut State, get: &mut Get<'_>, out: &mut Vec<u8>, act: &Act, me: i32) -> io::Result<()> {
    let (code, done) = match act {
        Act::Error { code, done } => (*code, *done),
        Act::Cut { done } => (0, *done),
        _ => (0, true),
    };
    get.bytes()?;
    get.i16()?;
    get.i32()?;
    let topics = get.count()?;
    out.count(topics);
    for _ in 0..topics {
        let topic = get.string()?;
        out.string(topic);
        let partitions = get.count()?;
        out.count(partitions);
        for _ in 0..partitions {
            let partition = get.i32()?;
            let batch = get.bytes()?.expect("a batch");
            get.tags()?;
            *state.produced.entry((me, topic.to_owned(), partition)).or_default() += 1;
            let (said, base) = if state.missing.contains(topic) {
                (3, -1)
            } else if state.leader(topic, partition) != me {
                (6, -1)
            } else if batch.len() > state.batch_bytes_max {
                (10, -1)
            } else if done {
                append(state.logs.entry((topic.to_owned(), partition)).or_default(), batch)
            } else {
                (0, -1)
            };
            let (said, base) = if code == 0 { (said, base) } else { (code, -1) };
            out.i32(partition);
            out.i16(said);
            out.i64(if let Act::Base(base) = act { *base } else { base });
            out.i64(-1);
            out.i64(0);
            out.count(0);
            out.null();
            out.no_tags();
        }
        get.tags()?;
        out.no_tags();
    }
    out.i32(if let Act::Throttle(ms) = act { *ms } else { 0 });
    out.no_tags();
    Ok(())
}
