//! What says how many members are wanted, as the test has it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use ringmaster::api::{AllScaling, Missing, ParticipantScaling};

/// What it answers.
struct Says {
    wanted: AtomicU32,
    /// A partition is left out.
    is_partial: AtomicBool,
}

/// What says how many members are wanted, in a coordinator's place.
pub(super) struct Api {
    pub(super) address: SocketAddr,
    says: Arc<Says>,
    stop: mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Api {
    pub(super) fn start(wanted: u32) -> Api {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let says = Arc::new(Says { wanted: AtomicU32::new(wanted), is_partial: AtomicBool::new(false) });
        let (stop, stopped) = mpsc::channel();
        let answers = says.clone();
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.try_recv().is_ok() {
                    return;
                }
                // Whoever asks may have gone.
                let _ = connection.and_then(|stream| answer(stream, &answers));
            }
        });
        Api { address, says, stop, thread: Some(thread) }
    }

    /// From now on nobody listens there.
    pub(super) fn stop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.stop.send(()).expect("it runs");
        let _ = TcpStream::connect(self.address);
        thread.join().expect("it ends");
    }

    pub(super) fn wants(&self, members: u32) {
        self.says.wanted.store(members, Ordering::Relaxed);
    }

    pub(super) fn leaves_out(&self, is_partial: bool) {
        self.says.is_partial.store(is_partial, Ordering::Relaxed);
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.stop();
    }
}

fn answer(mut stream: TcpStream, says: &Says) -> std::io::Result<()> {
    let (wanted, is_partial) = (says.wanted.load(Ordering::Relaxed), says.is_partial.load(Ordering::Relaxed));
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let fraud = ParticipantScaling {
        participant: "fraud".to_owned(),
        members: Some(1),
        wanted_members: Some(wanted),
        reason: format!("the test says {wanted}"),
        ..ParticipantScaling::default()
    };
    let missing = is_partial.then(|| Missing { partition: 3, why: "nobody owns it".to_owned() });
    let body = serde_json::to_string(&AllScaling {
        participants: vec![fraud],
        missing: missing.into_iter().collect(),
        ..AllScaling::default()
    })
    .expect("it is JSON");
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close", body.len());
    write!(stream, "{head}\r\n\r\n{body}")
}
