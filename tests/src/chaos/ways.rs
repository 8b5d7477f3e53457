//! The network between clients and brokers: every client of a kind has a way of its own to each broker, and what passes there can be
//! cut off, held, slowed down, or lost.
//!
//! ```text
//! client -> way (a port of ours, which the broker gives out as its own) -> the broker's listener for that way
//! ```

mod pump;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ringmaster_bus::kafka::broker::free_ports;

pub(super) use pump::Weather;
use pump::{Air, join};

/// Who has ways of their own: each coordinator, and the services together.
const CLIENTS: [&str; 4] = ["blue", "green", "red", SERVICES];
/// The way of all services.
pub(super) const SERVICES: &str = "services";
/// How late the end of a way is seen.
const ACCEPT_EVERY: Duration = Duration::from_millis(20);

/// All ways; they end with this.
pub(super) struct Ways {
    ways: Vec<Way>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The way of one kind of client to one broker.
struct Way {
    client: &'static str,
    broker: usize,
    /// The port that clients know.
    port: u16,
    /// The broker's own.
    listener_port: u16,
    air: Arc<Air>,
}

impl Ways {
    /// Opens ways to so many brokers, which do not run yet.
    pub(super) fn open(brokers: usize) -> io::Result<Ways> {
        let mut ways = Ways { ways: Vec::new(), stop: Arc::default(), threads: Vec::new() };
        let mut listener_ports = free_ports(brokers * CLIENTS.len())?.into_iter();
        for broker in 1..=brokers {
            for client in CLIENTS {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let port = listener.local_addr()?.port();
                let listener_port = listener_ports.next().expect("one for each");
                let way = Way { client, broker, port, listener_port, air: Arc::default() };
                ways.threads.push(serve(listener, &way, ways.stop.clone())?);
                ways.ways.push(way);
            }
        }
        Ok(ways)
    }

    /// What a broker on these ports must know of them.
    pub(super) fn properties(&self, broker: usize, port: u16, controller_port: u16) -> Vec<(String, String)> {
        let (mut listeners, mut told, mut kinds) = (String::new(), String::new(), String::new());
        for way in self.ways.iter().filter(|way| way.broker == broker) {
            let name = way.client.to_uppercase();
            listeners += &format!(",{name}://127.0.0.1:{}", way.listener_port);
            told += &format!(",{name}://127.0.0.1:{}", way.port);
            kinds += &format!(",{name}:PLAINTEXT");
        }
        let direct = format!("PLAINTEXT://127.0.0.1:{port}");
        vec![
            ("listeners".to_owned(), format!("{direct},CONTROLLER://127.0.0.1:{controller_port}{listeners}")),
            ("advertised.listeners".to_owned(), format!("{direct}{told}")),
            ("listener.security.protocol.map".to_owned(), format!("CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT{kinds}")),
        ]
    }

    /// Of all brokers, for clients of this kind.
    pub(super) fn address(&self, client: &str) -> String {
        self.of(client).map(|way| format!("127.0.0.1:{}", way.port)).collect::<Vec<_>>().join(",")
    }

    /// Lets this happen on all ways of a kind of client.
    pub(super) fn set(&self, client: &str, weather: Weather) {
        self.of(client).for_each(|way| way.air.set(weather));
    }

    /// Lets this happen on all ways.
    pub(super) fn set_all(&self, weather: Weather) {
        self.ways.iter().for_each(|way| way.air.set(weather));
    }

    fn of(&self, client: &str) -> impl Iterator<Item = &Way> {
        self.ways.iter().filter(move |way| way.client == client)
    }
}

impl Drop for Ways {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.ways.iter().for_each(|way| way.air.set(Weather::Cut));
        self.threads.drain(..).for_each(|thread| {
            let _ = thread.join();
        });
    }
}

/// Takes connections, and joins each to one to the broker.
fn serve(listener: TcpListener, way: &Way, stop: Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let (air, to) = (way.air.clone(), way.listener_port);
    std::thread::Builder::new().name(format!("way-{}-{}", way.client, way.broker)).spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            match listener.accept() {
                // One that is cut off ends at once.
                Ok((client, _)) if air.weather() != Weather::Cut => {
                    if let Ok(broker) = TcpStream::connect(("127.0.0.1", to)) {
                        let _ = join(client, broker, &air);
                    }
                }
                Ok(_) => {}
                Err(_) => std::thread::sleep(ACCEPT_EVERY),
            }
        }
    })
}
