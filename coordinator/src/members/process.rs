//! The process of one member: started so that it cannot outlive us, its lines passed on with its name before them, asked to end, killed.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, io};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

/// Which member it is, from 1: for names of files, static membership, ports.
const MEMBER: &str = "RINGMASTER_MEMBER";
/// The command line of this program that becomes a member: the word, who starts it, the program, its arguments.
const BECOMES: &str = "become-member-of";
/// A longer line is passed on in pieces.
const LINE_BYTES_MAX: u64 = 16 << 10;

/// A process that runs, in a process group of its own: what a terminal sends is for us.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts a member; `name` stands before its lines. The thread that does this must live as long as the member: its end kills it.
    pub(super) fn start(name: &str, number: u32, command: &[String]) -> io::Result<Process> {
        // This program once more, which then becomes the member: what a process asks of the kernel for itself needs no code between
        // fork and exec.
        let mut child = Command::new("/proc/self/exe")
            .args([BECOMES, &std::process::id().to_string()])
            .args(command)
            .env(MEMBER, number.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        for pipe in [child.stdout.take().map(boxed), child.stderr.take().map(boxed)].into_iter().flatten() {
            pass_on(format!("{name}/{number}"), pipe)?;
        }
        Ok(Process { child })
    }

    /// Asks it to end, and what it has started.
    pub(super) fn end(&self) {
        self.send(Signal::TERM);
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        self.send(Signal::KILL);
    }

    fn send(&self, signal: Signal) {
        // It is our child until it was waited for, so that the number is nobody else's; an error says that it has ended.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }
}

fn boxed(pipe: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(pipe)
}

/// Copies lines to standard error until there are no more.
fn pass_on(name: String, pipe: Box<dyn Read + Send>) -> io::Result<()> {
    let copy = move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            line.extend_from_slice(name.as_bytes());
            line.extend_from_slice(b": ");
            let prefix = line.len();
            let read = pipe.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            if line.len() == prefix || read.is_err() {
                return;
            }
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            // In one piece, so that lines of several members stay lines. Nobody need listen.
            let _ = io::stderr().lock().write_all(&line);
        }
    };
    std::thread::Builder::new().name("member's lines".to_owned()).spawn(copy).map(|_| ())
}

/// If this process was started to become a member: becomes it, to be killed when whoever started it ends. What went wrong, if that
/// returns; none: it was started for something else.
pub fn become_member(mut arguments: impl Iterator<Item = OsString>) -> Option<String> {
    arguments.by_ref().nth(1).filter(|word| word == BECOMES)?;
    let (parent, program) = (arguments.next()?, arguments.next()?);
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return Some(format!("the kernel does not end it with whoever starts it: {error}"));
    }
    // Who ended before that was asked ends nobody.
    if OsString::from(parent_id().to_string()) != parent {
        return Some("who started it has ended".to_owned());
    }
    let error = Command::new(&program).args(arguments).exec();
    Some(format!("{} cannot be started: {error}", program.display()))
}

/// Whether there is such a program: a path, or a name that is looked for as a shell does.
pub fn is_there(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
