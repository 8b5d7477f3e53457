//! Runs every input of `fuzz/corpus` through its target: what was ever found is never found again.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ringmaster_hostile::{TARGETS, Target, corpus, seeds};

/// Memory is counted for the whole program: one input at a time.
static ONE: Mutex<()> = Mutex::new(());

/// No input takes so long, even where the machine is busy.
const TIME_MAX: Duration = Duration::from_secs(10);

/// Runs an input, and says what does not hold.
fn replay(target: &Target, bytes: &[u8]) -> Result<(), String> {
    let begun = Instant::now();
    let run = catch_unwind(AssertUnwindSafe(|| target.check(bytes)));
    run.map_err(|panic| panic.downcast::<String>().map_or_else(|_| "it panics".to_owned(), |said| *said))?;
    let taken = begun.elapsed();
    if taken > TIME_MAX { Err(format!("it takes {taken:?}")) } else { Ok(()) }
}

/// Inputs of each target that were kept, with their names.
fn kept(target: &Target) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(corpus(target.name)).unwrap_or_else(|error| panic!("fuzz/corpus/{}: {error}", target.name));
    let files = files.map(|file| file.expect("a file").path());
    let mut kept: Vec<_> = files.map(|file| (file.display().to_string(), fs::read(&file).expect("an input"))).collect();
    kept.sort();
    kept
}

#[test]
fn nothing_that_was_kept_breaks_its_target() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut wrong = Vec::new();
    for target in &TARGETS {
        let inputs = kept(target);
        assert!(inputs.len() >= 10, "only {} inputs of {}: this would prove little", inputs.len(), target.name);
        let broken = inputs.iter().filter_map(|(name, bytes)| Some(format!("{name}: {}", replay(target, bytes).err()?)));
        wrong.extend(broken);
    }
    assert!(wrong.is_empty(), "inputs that do harm:\n  {}", wrong.join("\n  "));
}

/// What the code itself writes today, and what users write, is a beginning for every target.
#[test]
fn nothing_that_is_real_breaks_its_target() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let seeds = seeds();
    for target in &TARGETS {
        let of_it: Vec<_> = seeds.iter().filter(|seed| seed.target == target.name).collect();
        assert!(of_it.len() >= 10, "{} seeds of {}", of_it.len(), target.name);
        for seed in of_it {
            replay(target, &seed.bytes).unwrap_or_else(|wrong| panic!("{} {}: {wrong}", target.name, seed.name));
        }
    }
}

/// A folder without a target, or a target without a folder, would be forgotten.
#[test]
fn every_folder_has_its_target() {
    let folder = corpus("").join(".");
    let mut found: Vec<_> = fs::read_dir(folder).expect("a corpus").map(|entry| entry.expect("an entry").file_name()).collect();
    found.sort();
    let mut names = TARGETS.map(|target| target.name);
    names.sort_unstable();
    assert_eq!(found, names);
    for name in names {
        assert!(corpus("").join(format!("../targets/{name}.rs")).exists(), "no fuzz target {name}");
    }
}

/// One that believes a length, and one that believes an index.
#[test]
fn a_broken_decoder_is_noticed() {
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let of = |run: fn(&[u8])| Target { name: "broken", run, memory_max: 64 << 20 };
    let believes_a_length = of(|bytes| {
        let claimed = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
        drop(std::hint::black_box(Vec::<u8>::with_capacity(claimed)));
    });
    assert!(replay(&believes_a_length, &[0, 0, 0, 16]).is_err_and(|why| why.contains("make it take")));
    assert_eq!(replay(&believes_a_length, &[0, 0, 1, 0]), Ok(()));
    let believes_an_index = of(|bytes| assert_ne!(bytes[usize::from(bytes[0])], 7, "a seven"));
    assert!(replay(&believes_an_index, &[9]).is_err());
    assert!(replay(&believes_an_index, &[1, 7]).is_err_and(|why| why.contains("a seven")));
    assert_eq!(replay(&believes_an_index, &[1, 0]), Ok(()));
}
