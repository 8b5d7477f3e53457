//! One connection on a way: bytes are carried in both directions, as the weather lets them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// How late a change of the weather is seen by a connection on which nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// At most so many bytes are carried at once.
const CHUNK: usize = 64 << 10;

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::chaos) enum Weather {
    /// It comes at once.
    #[default]
    Clear,
    /// Connections end, and new ones do.
    Cut,
    /// Nothing comes; when the weather changes all of it does, however late.
    Held,
    /// Everything comes so much later.
    Slow(Duration),
    /// What brokers answer is lost, though they did what they were asked; those connections end when the weather changes.
    AnswersLost,
}

/// The weather on a way.
#[derive(Debug, Default)]
pub(super) struct Air {
    weather: Mutex<Weather>,
    changed: Condvar,
}

impl Air {
    pub(super) fn set(&self, weather: Weather) {
        *self.lock() = weather;
        self.changed.notify_all();
    }

    pub(super) fn weather(&self) -> Weather {
        *self.lock()
    }

    /// Waits as long as it is so, at most for so long.
    fn while_it_is(&self, weather: Weather, most: Duration) {
        let until = Instant::now() + most;
        let mut now = self.lock();
        while *now == weather {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            now = self.changed.wait_timeout(now, left).expect("no holder panics").0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Weather> {
        self.weather.lock().expect("no holder panics")
    }
}

/// One direction.
struct Pump {
    from: TcpStream,
    to: TcpStream,
    /// From the broker to the client.
    is_answers: bool,
    air: Arc<Air>,
    /// Something of the connection was lost: it cannot go on.
    is_torn: Arc<AtomicBool>,
}

/// Carries what two ends send each other, until one ends.
pub(super) fn join(client: TcpStream, broker: TcpStream, air: &Arc<Air>) -> io::Result<()> {
    let is_torn = Arc::new(AtomicBool::new(false));
    for socket in [&client, &broker] {
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LOOK_EVERY))?;
    }
    let (asking, answering) = ((client.try_clone()?, broker.try_clone()?), (broker, client));
    for ((from, to), is_answers) in [(asking, false), (answering, true)] {
        let pump = Pump { from, to, is_answers, air: air.clone(), is_torn: is_torn.clone() };
        std::thread::Builder::new().name("way".into()).spawn(move || pump.run())?;
    }
    Ok(())
}

impl Pump {
    fn run(mut self) {
        let mut chunk = vec![0; CHUNK];
        while self.goes_on() {
            match self.from.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => {
                    if !self.carry(&chunk[..count]) {
                        break;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {}
                Err(_) => break,
            }
        }
        // Either end may have gone.
        let _ = self.from.shutdown(Shutdown::Both);
        let _ = self.to.shutdown(Shutdown::Both);
    }

    fn goes_on(&self) -> bool {
        match self.air.weather() {
            Weather::Cut => false,
            Weather::AnswersLost => true,
            _ => !self.is_torn.load(Ordering::Relaxed),
        }
    }

    /// Carries these bytes; false if the connection cannot go on.
    fn carry(&mut self, bytes: &[u8]) -> bool {
        loop {
            match self.air.weather() {
                Weather::Cut => return false,
                Weather::AnswersLost if self.is_answers => {
                    self.is_torn.store(true, Ordering::Relaxed);
                    return true;
                }
                Weather::Held => self.air.while_it_is(Weather::Held, Duration::from_secs(3600)),
                slow @ Weather::Slow(by) => {
                    self.air.while_it_is(slow, by);
                    break;
                }
                Weather::Clear | Weather::AnswersLost => break,
            }
        }
        self.to.write_all(bytes).is_ok()
    }
}
