//! Answers that are at least as new as what whoever asks has seen: `at_least=PARTITION:OFFSET`, as acts answer it.
//!
//! ```text
//! is it stored up to there? -> the answer; else a moment later again, for two seconds, and no thread waits meanwhile -> behind
//! ```

use std::time::Duration;

use axum::http::Uri;
use axum::response::Response;

use super::Sources;
use super::problem::{Problem, Refusal};

/// A store is written at least so often: this long it is asked again.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// And as often as this.
pub(super) const AGAIN_AFTER: Duration = Duration::from_millis(50);

/// A place in a partition of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AtLeast {
    partition: i32,
    offset: i64,
}

impl AtLeast {
    /// What was asked for of a partition.
    pub(super) fn of(text: &str, partition: i32) -> Result<AtLeast, Refusal> {
        let parts = text.split_once(':').and_then(|(of, offset)| Some((of.parse::<i32>().ok()?, offset.parse::<i64>().ok()?)));
        match parts.filter(|(of, offset)| *of >= 0 && *offset >= 0) {
            None => Err(Problem::BadRequest.because(format!("at_least={text} is not PARTITION:OFFSET, such as 3:1234"))),
            Some((of, _)) if of != partition => {
                let why = format!("at_least={text} is of partition {of}, and the saga lives in partition {partition}");
                Err(Problem::BadRequest.because(why))
            }
            Some((partition, offset)) => Ok(AtLeast { partition, offset }),
        }
    }

    /// Whether the store is as far as that: what is read of it from now on is.
    pub(super) fn is_stored(self, sources: &Sources) -> Result<(), Refusal> {
        let AtLeast { partition, offset } = self;
        let checkpoint = sources.store.checkpoint(partition).map_err(|error| Problem::Failed.because(error.to_string()))?;
        let stored = checkpoint.map_or(0, |checkpoint| checkpoint.journal_offset);
        if stored > offset {
            return Ok(());
        }
        Err(Problem::Behind.because(format!("partition {partition} is stored up to offset {stored}, and {offset} is asked for")))
    }
}

/// Whether it may be worth while to ask again.
pub(super) fn waits(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|pair| pair.starts_with("at_least=")))
}

/// Whether an answer says that it is not stored yet.
pub(super) fn is_behind(answer: &Response) -> bool {
    answer.extensions().get::<Problem>() == Some(&Problem::Behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_of_the_sagas_partition() {
        assert_eq!(AtLeast::of("3:1234", 3), Ok(AtLeast { partition: 3, offset: 1_234 }));
        for wrong in ["", "3", "3:", ":7", "3:x", "3:-1", "-3:1", "3:1:2", "4:1234"] {
            assert_eq!(AtLeast::of(wrong, 3).map_err(|refusal| refusal.told().0), Err(400), "{wrong}");
        }
    }
}
