//! Stands between clients and a broker, and may answer for it.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use ringmaster_bus::kafka::broker::Broker;

/// What a client asked: the request's number and version, and all of its bytes.
pub(crate) struct Asked {
    pub(crate) api: i16,
    pub(crate) version: i16,
    pub(crate) frame: Vec<u8>,
}

/// What becomes of a broker's answer.
pub(crate) enum Answer {
    AsItIs,
    Instead(Vec<u8>),
    /// Nothing, and the connection stays.
    Never,
    /// This, and then the connection ends.
    Last(Vec<u8>),
}

type Judge = dyn Fn(&Asked, &[u8]) -> Answer + Send + Sync;

/// A broker that tells its clients to come by this address.
pub(crate) struct Proxy {
    pub(crate) address: String,
    pub(crate) broker: Broker,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    /// Starts a broker, and what judges each of its answers: correlation number, then the rest.
    pub(crate) fn start(judge: impl Fn(&Asked, &[u8]) -> Answer + Send + Sync + 'static) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (judge, open): (Arc<Judge>, _) = (Arc::new(judge), Arc::<Mutex<Vec<_>>>::default());
        let theirs = open.clone();
        let advertised = ("advertised.listeners".to_owned(), format!("PLAINTEXT://{address}"));
        // Before the broker starts: who asks whether it answers is sent on to here by its first answer.
        let serve = move |port: u16, _| {
            std::thread::spawn(move || {
                for client in listener.incoming() {
                    let (judge, open) = (judge.clone(), theirs.clone());
                    // How a connection ends does not matter: clients make another.
                    std::thread::spawn(move || between(client.expect("a client"), port, &*judge, &open));
                }
            });
            vec![advertised]
        };
        let broker = Broker::start_by(serve).expect("a broker");
        Proxy { address, broker, open }
    }

    /// Ends all connections that there are.
    pub(crate) fn cut(&self) {
        self.open.lock().expect("no panic").drain(..).for_each(|socket| drop(socket.shutdown(Shutdown::Both)));
    }
}

fn between(mut client: TcpStream, port: u16, judge: &Judge, open: &Mutex<Vec<TcpStream>>) -> io::Result<()> {
    let mut broker = TcpStream::connect(("127.0.0.1", port))?;
    let asked: Arc<Mutex<HashMap<i32, Asked>>> = Arc::default();
    open.lock().expect("no panic").extend([client.try_clone()?, broker.try_clone()?]);
    let (mut from_client, mut to_broker, known) = (client.try_clone()?, broker.try_clone()?, asked.clone());
    std::thread::spawn(move || -> io::Result<()> {
        while let Ok(frame) = frame(&mut from_client) {
            let (api, version) = (i16::from_be_bytes([frame[0], frame[1]]), i16::from_be_bytes([frame[2], frame[3]]));
            known.lock().expect("no panic").insert(correlation(&frame[4..]), Asked { api, version, frame: frame.clone() });
            write(&mut to_broker, &frame)?;
        }
        to_broker.shutdown(Shutdown::Both)
    });
    while let Ok(frame) = frame(&mut broker) {
        let what = asked.lock().expect("no panic").remove(&correlation(&frame));
        match what.map_or(Answer::AsItIs, |asked| judge(&asked, &frame)) {
            Answer::AsItIs => write(&mut client, &frame)?,
            Answer::Never => {}
            Answer::Instead(other) => write(&mut client, &other)?,
            Answer::Last(other) => {
                write(&mut client, &other)?;
                break;
            }
        }
    }
    client.shutdown(Shutdown::Both)
}

fn correlation(bytes: &[u8]) -> i32 {
    i32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn frame(from: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut frame = vec![0; i32::from_be_bytes(length) as usize];
    from.read_exact(&mut frame)?;
    Ok(frame)
}

fn write(to: &mut TcpStream, frame: &[u8]) -> io::Result<()> {
    to.write_all(&[&(frame.len() as i32).to_be_bytes(), frame].concat())
}
