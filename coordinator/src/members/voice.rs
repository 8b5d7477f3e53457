//! Lines to standard error, written by a thread of their own: nobody waits for whoever reads them, or does not.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

/// Lines that are not written yet; more are left out.
const LINES_MAX: usize = 1_024;

/// Says lines, and never waits: those that nobody takes in are left out, and counted.
#[derive(Debug, Clone)]
pub struct Voice {
    lines: Sender<Vec<u8>>,
    left_out: Arc<AtomicU64>,
}

/// What is said is being written.
#[derive(Debug)]
pub struct Spoken {
    /// Closed when all is written and nobody can say anything more.
    writes: Receiver<()>,
}

impl Voice {
    /// One that writes to this.
    ///
    /// # Errors
    /// If there can be no thread for it.
    pub fn new(mut out: impl Write + Send + 'static) -> io::Result<(Voice, Spoken)> {
        let (sender, lines) = bounded::<Vec<u8>>(LINES_MAX);
        let (is_writing, writes) = bounded(0);
        let left_out = Arc::new(AtomicU64::new(0));
        let count = left_out.clone();
        let write = move || {
            let _is_writing: Sender<()> = is_writing;
            // Nobody need listen.
            for line in lines {
                let _ = out.write_all(&line);
                let left_out = count.swap(0, Ordering::Relaxed);
                if left_out > 0 {
                    let _ = writeln!(out, "{left_out} lines are left out about here: nobody took them in");
                }
            }
        };
        std::thread::Builder::new().name("voice".to_owned()).spawn(write)?;
        Ok((Voice { lines: sender, left_out }, Spoken { writes }))
    }

    /// Says a line, which has its end.
    pub fn say(&self, line: Vec<u8>) {
        // Its thread lives as long as anybody can say anything, so that an error is always that there are too many.
        if self.lines.try_send(line).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Spoken {
    /// Waits until all is written and every [`Voice`] is gone, but not longer than this; whether it is.
    pub fn wait(self, patience: Duration) -> bool {
        self.writes.recv_timeout(patience) == Err(crossbeam_channel::RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Takes in one piece whenever it is let, and says when it is about to.
    struct Slow {
        begins: Sender<()>,
        goes_on: Receiver<()>,
        text: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.begins.send(());
            // Once nobody holds it up any more it goes on.
            let _ = self.goes_on.recv();
            self.text.lock().expect("nobody panics").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Says so many lines while nobody takes them in; what is written when somebody does.
    fn said(count: usize) -> Vec<String> {
        let (begins, begun) = bounded(LINES_MAX * 2);
        let (go_on, goes_on) = bounded(0);
        let text = Arc::<Mutex<Vec<u8>>>::default();
        let (voice, spoken) = Voice::new(Slow { begins, goes_on, text: text.clone() }).expect("a thread");
        voice.say(b"first\n".to_vec());
        begun.recv().expect("it is about to be written");
        (0..count).for_each(|line| voice.say(format!("line {line}\n").into_bytes()));
        assert_eq!(text.lock().expect("nobody panics").len(), 0, "nobody has waited for it");
        drop((voice, go_on));
        assert!(spoken.wait(Duration::from_secs(60)), "all is written");
        let text = String::from_utf8(text.lock().expect("nobody panics").clone()).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn nobody_waits_for_whoever_does_not_read_and_what_is_left_out_is_counted() {
        let all = said(LINES_MAX);
        assert_eq!((all.len(), all.last().map(String::as_str)), (LINES_MAX + 1, Some("line 1023")));
        let most = said(LINES_MAX + 7);
        assert_eq!(most[..2], ["first", "7 lines are left out about here: nobody took them in"]);
        assert_eq!((most.len(), most.last().map(String::as_str)), (LINES_MAX + 2, Some("line 1023")));
    }

    /// Whoever has a voice may still say something; and who does not take it in is not waited for for ever.
    #[test]
    fn the_end_is_waited_for_and_not_for_ever() {
        let (voice, spoken) = Voice::new(io::sink()).expect("a thread");
        assert!(!spoken.wait(Duration::from_millis(1)), "somebody may say something");
        drop(voice);
    }
}
