//! Which members of one participant run, which end, and when one that fell is started again.

use std::mem::discriminant;

use crate::api::{AllScaling, Missing, ParticipantScaling};

/// Asked to end, a member has so long for it; then it is killed.
const END_WITHIN_MS: i64 = 20_000;
/// A member that ran for so long before it fell has not fallen at its start: it is started again at once.
const RAN_WELL_MS: i64 = 30_000;
/// From its second fall on it waits, each time twice as long as before,
const AGAIN_FIRST_MS: i64 = 1_000;
/// but not longer than this.
const AGAIN_MAX_MS: i64 = 60_000;

/// How many members may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Fewer never do.
    pub min: u32,
    /// More never do.
    pub max: u32,
}

/// What the coordinators say of a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It should have so many members, and why.
    Wants(u32, String),
    /// The same by some partitions alone: there may be work in the others. Why, and which are left out.
    AtLeast(u32, String),
    /// They answer, and cannot tell how many; why.
    Unknown(String),
    /// They do not answer; why.
    Silent(String),
}

/// What an answer says of the participant of this name.
pub fn told(name: &str, answer: &Result<AllScaling, String>) -> Told {
    let all = match answer {
        Ok(all) => all,
        Err(why) => return Told::Silent(why.clone()),
    };
    match all.participants.iter().find(|of| of.participant == name) {
        Some(ParticipantScaling { wanted_members: Some(members), reason, .. }) => match left_out(&all.missing) {
            None => Told::Wants(*members, reason.clone()),
            Some(left_out) => Told::AtLeast(*members, format!("{reason} ({left_out})")),
        },
        Some(of) => Told::Unknown(of.reason.clone()),
        None => Told::Unknown(crate::api::scaling_not_found(name, &all.participants)),
    }
}

/// Which partitions an answer leaves out, if it does.
fn left_out(missing: &[Missing]) -> Option<String> {
    let Missing { partition, why } = missing.first()?;
    let others = match missing.len() {
        1 => String::new(),
        many => format!(", and {} others", many - 1),
    };
    Some(format!("partition {partition} is left out: {why}{others}"))
}

/// What is to be done with the member of this number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Its process is to be started.
    Start(u32),
    /// It is to be asked to end.
    End(u32),
    /// It has not done so in time.
    Kill(u32),
}

/// How a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It does not run, and is not started before this.
    Out { until_ms: i64 },
    /// It runs.
    Runs { since_ms: i64 },
    /// It was asked to end, and is killed then; none: it was killed.
    Ends { kill_at_ms: Option<i64> },
}

#[derive(Debug, Clone, Copy)]
struct Place {
    standing: Standing,
    /// So many times in a row it fell soon after its start.
    falls: u32,
}

/// The members of one participant. Members 1 to n run where n are to: so the last goes first.
#[derive(Debug, Clone)]
pub struct Crew {
    bounds: Bounds,
    /// So many are to run.
    goal: u32,
    /// What was told last.
    last: Option<Told>,
    /// None is to run any more.
    is_over: bool,
    places: Vec<Place>,
}

impl Crew {
    /// None runs; the fewest are to until more is known.
    pub fn new(bounds: Bounds) -> Crew {
        let place = Place { standing: Standing::Out { until_ms: i64::MIN }, falls: 0 };
        Crew { bounds, goal: bounds.min, last: None, is_over: false, places: vec![place; bounds.max as usize] }
    }

    /// So many are to run.
    pub fn goal(&self) -> u32 {
        self.goal
    }

    /// Takes what the coordinators say. What they cannot tell changes nothing: whoever does not answer takes no member away, be it only a
    /// partition. What is new in it, for people.
    pub fn take(&mut self, told: Told) -> Option<String> {
        let before = self.goal;
        let bounded = |wanted: u32| wanted.clamp(self.bounds.min, self.bounds.max);
        match &told {
            Told::Wants(wanted, _) => self.goal = bounded(*wanted),
            Told::AtLeast(wanted, _) => self.goal = before.max(bounded(*wanted)),
            Told::Unknown(_) | Told::Silent(_) => {}
        }
        let is_same = self.last.as_ref().is_some_and(|last| discriminant(last) == discriminant(&told));
        let goal = self.goal;
        let news = match &told {
            Told::AtLeast(wanted, reason) if goal == before && *wanted < goal => {
                (!is_same).then(|| format!("{goal} members as before, at least {wanted} are wanted: {reason}"))
            }
            Told::Wants(wanted, reason) | Told::AtLeast(wanted, reason) if goal != before || !is_same => {
                let bound = match wanted.cmp(&goal) {
                    std::cmp::Ordering::Greater => format!(" ({wanted} are wanted, and no more may be)"),
                    std::cmp::Ordering::Less => format!(" ({wanted} are wanted, and no fewer may be)"),
                    std::cmp::Ordering::Equal => String::new(),
                };
                Some(format!("{before} -> {goal} members{bound}: {reason}"))
            }
            Told::Unknown(why) | Told::Silent(why) if !is_same => Some(format!("{goal} members as before: {why}")),
            _ => None,
        };
        self.last = Some(told);
        news
    }

    /// None is to run any more: all are asked to end.
    pub fn end(&mut self) {
        self.is_over = true;
    }

    /// Those that were asked to end have no time left.
    pub fn hurry(&mut self, now_ms: i64) {
        for place in &mut self.places {
            if let Standing::Ends { kill_at_ms: Some(at_ms) } = &mut place.standing {
                *at_ms = now_ms;
            }
        }
    }

    /// So many are to run, unless none is any more.
    fn wanted(&self) -> u32 {
        if self.is_over { 0 } else { self.goal }
    }

    /// What is to be done now; it counts as done.
    pub fn orders(&mut self, now_ms: i64) -> Vec<Order> {
        let mut orders = Vec::new();
        let goal = self.wanted();
        for (number, place) in (1..).zip(&mut self.places) {
            let (standing, order) = match place.standing {
                Standing::Out { until_ms } if number <= goal && until_ms <= now_ms => {
                    (Standing::Runs { since_ms: now_ms }, Order::Start(number))
                }
                Standing::Runs { .. } if number > goal => {
                    (Standing::Ends { kill_at_ms: Some(now_ms + END_WITHIN_MS) }, Order::End(number))
                }
                Standing::Ends { kill_at_ms: Some(at_ms) } if at_ms <= now_ms => {
                    (Standing::Ends { kill_at_ms: None }, Order::Kill(number))
                }
                _ => continue,
            };
            place.standing = standing;
            orders.push(order);
        }
        orders
    }

    /// When there is something to do if nothing happens before.
    pub fn due_ms(&self) -> Option<i64> {
        let goal = self.wanted();
        let of = |(number, place): (u32, &Place)| match place.standing {
            Standing::Out { until_ms } if number <= goal => Some(until_ms),
            Standing::Ends { kill_at_ms } => kill_at_ms,
            _ => None,
        };
        (1..).zip(&self.places).filter_map(of).min()
    }

    /// A member has ended, or could not be started; what follows, for people.
    pub fn ended(&mut self, number: u32, now_ms: i64) -> String {
        let is_wanted = number <= self.wanted();
        let place = &mut self.places[number as usize - 1];
        let Standing::Runs { since_ms } = place.standing else {
            *place = Place { standing: Standing::Out { until_ms: now_ms }, falls: 0 };
            return "as it was asked to".to_owned();
        };
        let falls = if now_ms - since_ms >= RAN_WELL_MS { 1 } else { place.falls.saturating_add(1) };
        let pause_ms = pause_ms(falls);
        *place = Place { standing: Standing::Out { until_ms: now_ms + pause_ms }, falls };
        match pause_ms {
            _ if !is_wanted => "not started again: it is not wanted any more".to_owned(),
            0 => "started again at once".to_owned(),
            _ => format!("fell {falls} times in a row, started again in {} s", pause_ms / 1_000),
        }
    }

    /// None runs, and none is to.
    pub fn is_gone(&self) -> bool {
        self.is_over && self.places.iter().all(|place| matches!(place.standing, Standing::Out { .. }))
    }
}

/// How long a member waits that fell so many times in a row.
fn pause_ms(falls: u32) -> i64 {
    match falls {
        0 | 1 => 0,
        more => AGAIN_FIRST_MS.saturating_mul(1 << (more - 2).min(30)).min(AGAIN_MAX_MS),
    }
}

#[cfg(test)]
mod tests;
