//! The tests as they are without a slip: how long each takes and which slips it comes to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::compile::{Binary, Built};
use crate::run::{End, Room, tests};

/// These look at sources, not at what they do; rewritten ones are not nice.
const LEFT_OUT: [&str; 1] = ["tests tidy"];
/// A test that takes longer without a slip is none.
const TEST_MAX: Duration = Duration::from_secs(1800);

/// A test.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    /// Its binary, in [`Suite::binaries`].
    pub(crate) binary: usize,
    pub(crate) name: String,
    pub(crate) takes: Duration,
}

/// All tests that pass, and who comes where.
#[derive(Debug, Default)]
pub(crate) struct Suite {
    pub(crate) binaries: Vec<Binary>,
    pub(crate) tests: Vec<Test>,
    /// By a slip's number: the tests that come to it, the quickest first.
    pub(crate) reached: HashMap<u32, Vec<usize>>,
    /// Tests that fail without any slip.
    pub(crate) failing: Vec<String>,
}

/// Milliseconds that a test took, and what it came to; nothing if it fails.
type Passed = Option<(u64, Vec<u32>)>;

/// What a binary's tests did, by name, kept until it is built anew.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    stamp: String,
    tests: BTreeMap<String, Passed>,
}

/// Runs every test once, alone, and writes down what it comes to.
pub(crate) fn record(built: &Built, room: &Room, numbers: u32, memory: &Path) -> Result<Suite> {
    let mut known: BTreeMap<String, Kept> =
        std::fs::read(memory).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let programs = built.programs.iter().map(|path| stamp(path)).collect::<Result<Vec<_>>>()?.join(" ");
    let mut suite = Suite::default();
    let begun = Instant::now();
    let mut binaries: Vec<&Binary> = built.tests.iter().filter(|binary| !LEFT_OUT.contains(&binary.name.as_str())).collect();
    binaries.sort_by(|a, b| a.name.cmp(&b.name).then(a.path.cmp(&b.path)));
    let mut kept_now = BTreeMap::new();
    for (index, binary) in binaries.iter().enumerate() {
        let id = binary.path.display().to_string();
        let stamp = format!("{} {programs}", stamp(&binary.path)?);
        let kept = match known.remove(&id) {
            Some(kept) if kept.stamp == stamp => kept,
            _ => {
                let (at, of) = (index + 1, binaries.len());
                eprintln!("mutants: tests without a slip: {} ({at} of {of}, {} s)", binary.name, begun.elapsed().as_secs());
                Kept { stamp, tests: measure(binary, room, numbers)? }
            }
        };
        suite.take(binary, &kept);
        kept_now.insert(id, kept);
        crate::tree::write(memory, &serde_json::to_vec(&kept_now)?)?;
    }
    let tests = &suite.tests;
    suite.reached.values_mut().for_each(|reaching| reaching.sort_by_key(|&test| tests[test].takes));
    ensure!(!suite.tests.is_empty(), "no test passes without a slip");
    Ok(suite)
}

/// Runs each test of a binary.
fn measure(binary: &Binary, room: &Room, numbers: u32) -> Result<BTreeMap<String, Passed>> {
    let mut all = BTreeMap::new();
    let record = room.record();
    for name in tests(binary)? {
        std::fs::write(&record, vec![0; numbers as usize])?;
        let (end, took) = room.run(binary, &[&name], &format!("record:{}", record.display()), TEST_MAX)?;
        let seen = std::fs::read(&record)?;
        let numbers = seen.iter().enumerate().filter(|(_, mark)| **mark != 0).map(|(number, _)| number as u32).collect();
        all.insert(name, (end == End::Passed).then_some((took.as_millis() as u64, numbers)));
    }
    Ok(all)
}

impl Suite {
    fn take(&mut self, binary: &Binary, kept: &Kept) {
        for (name, passed) in &kept.tests {
            let Some((ms, numbers)) = passed else {
                self.failing.push(format!("{}: {name}", binary.name));
                continue;
            };
            for number in numbers {
                self.reached.entry(*number).or_default().push(self.tests.len());
            }
            let takes = Duration::from_millis(*ms);
            self.tests.push(Test { binary: self.binaries.len(), name: name.clone(), takes });
        }
        self.binaries.push(binary.clone());
    }

    /// The tests of some names together, by binary.
    pub(crate) fn by_binary(&self, tests: &[usize]) -> Vec<(usize, Vec<usize>)> {
        let mut together: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &test in tests {
            together.entry(self.tests[test].binary).or_default().push(test);
        }
        let mut all: Vec<_> = together.into_iter().collect();
        all.sort_by_key(|(_, tests)| self.takes(tests));
        all
    }

    /// How long tests take one after the other.
    pub(crate) fn takes(&self, tests: &[usize]) -> Duration {
        tests.iter().map(|&test| self.tests[test].takes).sum()
    }

    /// Slips that some test comes to.
    pub(crate) fn reached(&self) -> BTreeSet<u32> {
        self.reached.keys().copied().collect()
    }
}

/// A file's size and time of change.
fn stamp(path: &Path) -> Result<String> {
    let about = std::fs::metadata(path)?;
    Ok(format!("{}-{}", about.len(), about.modified()?.duration_since(UNIX_EPOCH)?.as_nanos()))
}
