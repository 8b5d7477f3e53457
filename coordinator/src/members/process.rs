//! The process of one member: started so that it cannot outlive us, its lines passed on with its name before them, asked to end, killed.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, io};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, set_parent_process_death_signal, waitid};

use super::Voice;

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
    /// Starts a member; `name` stands before its lines, which `voice` says. The thread that does this must live as long as the member: its
    /// end kills it.
    pub(super) fn start(name: &str, number: u32, command: &[String], voice: &Voice) -> io::Result<Process> {
        // This program once more, which then becomes the member: what a process asks of the kernel for itself needs no code between
        // fork and exec.
        let mut becomes = Command::new("/proc/self/exe");
        becomes.args([BECOMES, &std::process::id().to_string()]).args(command).env(MEMBER, number.to_string());
        let (name, voice) = (format!("{name}/{number}"), voice.clone());
        Process::spawn(becomes, |pipe| pass_on(name, pipe, voice))
    }

    /// All that can fail besides is done before there is a process: nothing would wait for one that nobody knows.
    fn spawn(mut command: Command, copy: impl FnOnce(PipeReader) -> io::Result<()>) -> io::Result<Process> {
        let (reader, writer) = io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
        copy(reader)?;
        Ok(Process { child: command.spawn()? })
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

    /// How it ended, if it has; then what it had started has ended, too.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if waitid(WaitId::Pid(Pid::from_child(&self.child)), look)?.is_none() {
            return Ok(None);
        }
        // As long as it was only looked at, the number of its group is nobody else's.
        self.kill();
        self.child.wait().map(Some)
    }
}

/// Has `voice` say its lines until there are no more.
fn pass_on(name: String, pipe: PipeReader, voice: Voice) -> io::Result<()> {
    let copy = move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut line = format!("{name}: ").into_bytes();
            let prefix = line.len();
            let read = pipe.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
            if line.len() == prefix || read.is_err() {
                return;
            }
            if line.last() != Some(&b'\n') {
                line.push(b'\n');
            }
            voice.say(line);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn children() -> String {
        std::fs::read_to_string("/proc/thread-self/children").expect("the kernel tells")
    }

    #[test]
    fn no_process_is_there_if_its_lines_cannot_be_passed_on() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let mut before = None;
        let fails = |_| {
            before = Some(children());
            Err(io::Error::other("no thread"))
        };
        assert!(Process::spawn(command, fails).is_err_and(|error| error.to_string() == "no thread"));
        assert_eq!((before.as_deref(), children().as_str()), (Some(""), ""));
    }

    /// The thread that passes lines on ends by itself if there is no process then.
    #[test]
    fn nothing_is_left_of_a_process_that_cannot_be_started() {
        let mut lines = None;
        let keeps = |pipe| {
            lines = Some(pipe);
            Ok(())
        };
        assert!(Process::spawn(Command::new("/no/such/program"), keeps).is_err());
        assert_eq!(io::read_to_string(lines.expect("a pipe")).expect("it ends"), "");
    }
}
