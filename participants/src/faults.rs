//! Scripted faults: what a service does wrong on purpose, the same on every run with the same seed.
//!
//! A fault is written `WHAT,WHEN...`, for example `delay=500ms,share=0.05` or `crash_after,keys=*/ord-1?/ship/do` or
//! `fail=retryable,attempts=1` or `down=30s,after=10s`. Without `keys` and `share` it hits every command.

use std::str::FromStr;

use ringmaster_schemas::Millis;

use crate::glob;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// `refuse=CODE`: the do is refused with this code.
    Refuse(String),
    /// `fail=retryable` or `fail=final`: answered `failed`, nothing done, nothing remembered.
    Fail {
        /// Whether the answer says that asking again may help.
        retryable: bool,
    },
    /// `delay=500ms`: the reply is sent that much later.
    Delay(Millis),
    /// `crash_before`: the process ends before the turn's effects are stored, once per key.
    CrashBefore,
    /// `crash_after`: the process ends when they are stored and no reply has been sent, once per key.
    CrashAfter,
    /// `lose_reply`: it is never sent.
    LoseReply,
    /// `repeat_reply`: it is sent twice.
    RepeatReply,
    /// `down=30s` with `after=10s`: reads nothing for that long, that long after the start. Takes no `keys` or `share`.
    Down {
        /// From the first turn on.
        after_ms: Millis,
        /// How long.
        for_ms: Millis,
    },
}

/// One scripted fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Only for idempotency keys that this pattern matches (`*` any text, `?` any one character); none for all.
    pub keys: Option<String>,
    /// Only for this share of keys, chosen by the seed; 1.0 for all.
    pub share: f64,
    /// Only up to this attempt, so that a later one gets through; none for every attempt.
    pub attempts: Option<i32>,
}

/// A fault that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("fault `{text}`: {why}; written for example `delay=500ms,share=0.05` or `crash_after,keys=*/ship/do` (see --help)")]
pub struct FaultError {
    text: String,
    why: String,
}

/// All faults of a service.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// Which.
    pub list: Vec<Fault>,
    /// Chooses keys where a share is asked.
    pub seed: u64,
}

/// What is to go wrong with one command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Script<'a> {
    pub(crate) refuse: Option<&'a str>,
    pub(crate) fail: Option<FailKind>,
    pub(crate) crash_before: Option<usize>,
    pub(crate) crash_after: Option<usize>,
    pub(crate) reply: ReplyScript,
}

/// How a scripted failure is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailKind {
    Retryable,
    Final,
}

/// What is to go wrong with a reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ReplyScript {
    pub(crate) delay_ms: Millis,
    pub(crate) lost: bool,
    pub(crate) repeated: bool,
}

impl Faults {
    /// What is to go wrong with this attempt of this key.
    pub(crate) fn script(&self, key: &str, attempt: i32) -> Script<'_> {
        let mut script = Script::default();
        for (index, fault) in self.list.iter().enumerate().filter(|(index, fault)| self.hits(*index, fault, key, attempt)) {
            match &fault.kind {
                FaultKind::Refuse(code) => script.refuse = Some(code),
                FaultKind::Fail { retryable: true } => script.fail = Some(FailKind::Retryable),
                FaultKind::Fail { retryable: false } => script.fail = Some(FailKind::Final),
                FaultKind::Delay(by) => script.reply.delay_ms = *by,
                FaultKind::CrashBefore => script.crash_before = Some(index),
                FaultKind::CrashAfter => script.crash_after = Some(index),
                FaultKind::LoseReply => script.reply.lost = true,
                FaultKind::RepeatReply => script.reply.repeated = true,
                FaultKind::Down { .. } => {}
            }
        }
        script
    }

    /// True if the process is to end at some command.
    pub(crate) fn crashes(&self) -> bool {
        self.list.iter().any(|fault| matches!(fault.kind, FaultKind::CrashBefore | FaultKind::CrashAfter))
    }

    /// True if the service is to read nothing, so long after its start.
    pub(crate) fn down(&self, since_start_ms: Millis) -> bool {
        self.list.iter().any(|fault| match fault.kind {
            FaultKind::Down { after_ms, for_ms } => (after_ms..after_ms.saturating_add(for_ms)).contains(&since_start_ms),
            _ => false,
        })
    }

    fn hits(&self, index: usize, fault: &Fault, key: &str, attempt: i32) -> bool {
        fault.attempts.is_none_or(|last| attempt <= last)
            && fault.keys.as_deref().is_none_or(|pattern| glob::matches(pattern, key))
            && (fault.share >= 1.0 || share_of(key, self.seed.wrapping_add(index as u64)) < fault.share)
    }
}

/// A number in 0..1 that depends on nothing but the key and the seed (FNV-1a, then a mixer, for equal shares of similar keys).
fn share_of(key: &str, seed: u64) -> f64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^= hash >> 29;
    (hash >> 11) as f64 / (1u64 << 53) as f64
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        parse(text).map_err(|why| FaultError { text: text.to_owned(), why })
    }
}

fn parse(text: &str) -> Result<Fault, String> {
    let mut parts = text.split(',').map(|part| {
        let part = part.trim();
        part.split_once('=').map_or((part, None), |(name, value)| (name.trim(), Some(value.trim())))
    });
    let (what, value) = parts.next().expect("splitting gives at least one part");
    let mut fault = Fault { kind: parse_kind(what, value)?, keys: None, share: 1.0, attempts: None };
    for (name, value) in parts {
        let value = value.ok_or_else(|| format!("`{name}` needs a value"))?;
        match (name, &mut fault.kind) {
            ("after", FaultKind::Down { after_ms, .. }) => *after_ms = millis(value)?,
            ("after", _) => return Err("`after` goes with `down`".to_owned()),
            (_, FaultKind::Down { .. }) => {
                return Err(format!("`down` takes `after` and nothing else, not `{name}`"));
            }
            ("keys", _) => fault.keys = Some(value.to_owned()),
            ("share", _) => {
                let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
                fault.share = share.ok_or_else(|| format!("share `{value}` is not a number from 0 to 1"))?;
            }
            ("attempts", _) => {
                let attempts = value.parse().ok().filter(|&attempts: &i32| attempts > 0);
                fault.attempts = Some(attempts.ok_or_else(|| format!("attempts `{value}` is not a number from 1"))?);
            }
            _ => {
                return Err(format!("unknown word `{name}`; known: keys, share, attempts, after"));
            }
        }
    }
    Ok(fault)
}

fn parse_kind(what: &str, value: Option<&str>) -> Result<FaultKind, String> {
    Ok(match (what, value) {
        ("refuse", Some(code)) if !code.is_empty() => FaultKind::Refuse(code.to_owned()),
        ("fail", Some("retryable")) => FaultKind::Fail { retryable: true },
        ("fail", Some("final")) => FaultKind::Fail { retryable: false },
        ("delay", Some(by)) => FaultKind::Delay(millis(by)?),
        ("crash_before", None) => FaultKind::CrashBefore,
        ("crash_after", None) => FaultKind::CrashAfter,
        ("lose_reply", None) => FaultKind::LoseReply,
        ("repeat_reply", None) => FaultKind::RepeatReply,
        ("down", Some(long)) => FaultKind::Down { after_ms: 0, for_ms: millis(long)? },
        _ => {
            return Err(
                "it begins with refuse=CODE, fail=retryable, fail=final, delay=TIME, crash_before, crash_after, lose_reply, \
                        repeat_reply or down=TIME"
                    .to_owned(),
            );
        }
    })
}

/// A duration as people write it: `250ms`, `5s`, `10m`, `2h`, `30d`.
pub fn millis(text: &str) -> Result<Millis, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[split..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!("`{text}` is not a duration like 250ms, 5s, 10m, 2h or 30d"));
        }
    };
    let count: Millis = text[..split].parse().map_err(|_| format!("`{text}` is not a duration like 250ms or 5s"))?;
    count.checked_mul(unit).ok_or_else(|| format!("`{text}` is too long"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_they_are_written_and_nothing_else_is() {
        let parsed = |text: &str| text.parse::<Fault>().unwrap();
        assert_eq!(parsed("delay=500ms, share=0.05").kind, FaultKind::Delay(500));
        assert_eq!(parsed("down=30s,after=10s").kind, FaultKind::Down { after_ms: 10_000, for_ms: 30_000 });
        let fault = parsed("refuse=NO_SLOT,keys=*/ship/do,attempts=2");
        assert_eq!(
            (fault.kind, fault.keys.as_deref(), fault.attempts),
            (FaultKind::Refuse("NO_SLOT".into()), Some("*/ship/do"), Some(2))
        );
        for bad in [
            "",
            "delay",
            "delay=5",
            "delay=-5s",
            "fail",
            "fail=maybe",
            "crash_before=1",
            "explode",
            "delay=1s,share=2",
            "delay=1s,share",
            "delay=1s,attempts=0",
            "delay=1s,color=red",
            "delay=1s,after=2s",
            "down=1s,share=0.5",
            "delay=99999999999999999d",
        ] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_hits_about_that_share_always_the_same_and_another_by_another_seed() {
        let faults = |seed| Faults { list: vec!["lose_reply,share=0.1".parse().unwrap()], seed };
        let hit = |seed| -> Vec<u32> {
            let faults = faults(seed);
            (0..10_000).filter(|n| faults.script(&format!("order-fulfilment/ord-{n}/ship/do"), 1).reply.lost).collect()
        };
        assert_eq!(hit(1), hit(1));
        assert_ne!(hit(1), hit(2));
        assert!((850..1_150).contains(&hit(1).len()), "{}", hit(1).len());
    }

    /// Keys that differ in their last character only are hit one by one: a share is no share of groups.
    #[test]
    fn similar_keys_share_no_fate() {
        let faults = Faults { list: vec!["lose_reply,share=0.5".parse().unwrap()], seed: 3 };
        let same = (0..100).filter(|group| {
            let hits = (0..10).filter(|n| faults.script(&format!("order-fulfilment/ord-{group}-{n}"), 1).reply.lost).count();
            hits == 0 || hits == 10
        });
        let same = same.count();
        assert!(same <= 3, "{same} of 100; by chance it would be one in five hundred");
    }

    #[test]
    fn patterns_and_attempts_narrow_a_fault() {
        let faults = Faults { list: vec!["fail=retryable,keys=*/ord-1?/*/do,attempts=1".parse().unwrap()], seed: 0 };
        let hit = |key, attempt| faults.script(key, attempt).fail.is_some();
        assert!(hit("s/ord-17/ship/do", 1));
        assert!(!hit("s/ord-17/ship/do", 2) && !hit("s/ord-17/ship/undo", 1) && !hit("s/ord-7/ship/do", 1));
    }

    #[test]
    fn down_is_a_stretch_of_time() {
        let faults = Faults { list: vec!["down=3s,after=1s".parse().unwrap()], seed: 0 };
        assert_eq!([0, 999, 1_000, 3_999, 4_000].map(|at| faults.down(at)), [false, false, true, true, false]);
    }
}
