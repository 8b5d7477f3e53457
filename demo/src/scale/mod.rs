//! The demo of `ringmaster scale`: more is asked of a service than one member can do, and members come, are killed, and go.
//!
//! ```text
//! load (open loop) -> orders -> coordinator <-> fraud 1..8, started and stopped by `ringmaster scale` -> order-outcomes -> load counts
//! ```
//!
//! Coordinator, scaler and members are the real programs, on a real broker. What each member does takes 20 ms, one command after the other:
//! one can answer 50 a second, and 300 come.

mod load;
mod site;
mod story;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use load::Load;
use site::Site;
use story::Story;

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Orders a second.
    pub rate: f64,
    /// For so long.
    pub load: Duration,
    /// How long is watched how members go, behind it.
    pub tail: Duration,
    /// A member is killed this often while orders come, from when members have come on; none: none is.
    pub kill_every: Option<Duration>,
    /// A member carries out one command in this time.
    pub service_ms: u64,
}

/// So little comes at first that one member does it, so that it is known how long one takes.
const CALM_PER_S: f64 = 10.0;
const CALM: Duration = Duration::from_secs(20);
/// A line this often.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// Members are killed from then on: before, it is measured how fast they come.
const KILLS_AFTER: Duration = Duration::from_secs(90);
/// How long nothing may come of orders that are there.
const STILL_MAX: Duration = Duration::from_secs(120);

/// Runs the demo; whether every order was scored exactly once. An error if it could not run, or a signal has set `stop`.
pub fn run(options: &Options, stop: &Arc<AtomicBool>) -> Result<bool> {
    let mut site = Site::start(options.service_ms, stop.clone())?;
    let mut load = Load::open(site.broker())?;
    let mut story = Story::new(options);
    story.say(&format!("{CALM_PER_S}/s come for {} s, which one member does", CALM.as_secs()));
    load.go_at(CALM_PER_S);
    watch(&mut site, &mut load, &mut story, None, |_, since| since < CALM)?;
    story.load_begins();
    story.say(&format!("{}/s come for {} s", options.rate, options.load.as_secs()));
    load.go_at(options.rate);
    watch(&mut site, &mut load, &mut story, options.kill_every, |_, since| since < options.load)?;
    load.go_at(0.0);
    story.say("no more come; what has piled up is done");
    watch(&mut site, &mut load, &mut story, None, |load, _| load.finished() < load.issued())?;
    story.say(&format!("nothing is left to do; members go, one a minute: watched for {} s", options.tail.as_secs()));
    watch(&mut site, &mut load, &mut story, None, |_, since| since < options.tail)?;
    let counted = site.counted(load.issued())?;
    site.stop()?;
    // What came twice would have come by now.
    load.turn(Duration::from_millis(500))?;
    Ok(story.end(&load, &counted))
}

/// Goes on as long as it is to, tells of it, and kills members.
fn watch(
    site: &mut Site,
    load: &mut Load,
    story: &mut Story,
    kill_every: Option<Duration>,
    goes_on: impl Fn(&Load, Duration) -> bool,
) -> Result<()> {
    let begun = Instant::now();
    let mut told = begun;
    let mut kill_at = kill_every.map(|_| begun + KILLS_AFTER);
    while goes_on(load, begun.elapsed()) {
        load.turn(Duration::from_millis(5))?;
        site.check_signal()?;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            site.check()?;
            story.tell(&site.scaling()?, &site.members(), load);
        }
        if let (Some(at), Some(every)) = (kill_at, kill_every)
            && Instant::now() >= at
        {
            kill_at = Some(at + every);
            if let Some(victim) = site.kill_one()? {
                story.killed(victim);
            }
        }
        if load.still_for() > STILL_MAX {
            bail!(
                "no order was scored for {} s; {} of {} are\n{}",
                STILL_MAX.as_secs(),
                load.finished(),
                load.issued(),
                site.said()
            );
        }
    }
    Ok(())
}
