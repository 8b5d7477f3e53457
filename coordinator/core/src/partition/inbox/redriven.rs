//! Records that are taken in after all: what lay in quarantine, or was missed, is brought to every partition again by a person, and each
//! takes what of it is its own (PROTOCOL.md section 4: it stands outside the marks).
//!
//! ```text
//! inbox -> what it was -> taken as if it had been read where it was written, once: known sagas and events are known
//!                      -> or back in quarantine, with both reasons
//! ```

use ringmaster_schemas::Millis;
use ringmaster_schemas::journal::{QuarantineReason, Redriven};

use crate::faults::mutated;
use crate::intake::{InputRecord, Refused, beginning};
use crate::partition::input::NoTurn;
use crate::partition::owner::Owner;
use crate::partition::taken::{Came, Taken};
use crate::partition::{Context, Role, Why};
use crate::saga::{ByHand, StartInput};

/// What stands between both reasons. Of one that is brought again and again the last two are told.
const BEFORE_THAT: &str = "; before that, as quarantine ";
/// Bytes of each of them.
const REASON_BYTES_MAX: usize = 1_500;
/// Bytes of what the journal keeps in any case: who and why, where it lay, and why.
const KEPT_BYTES_MAX: usize = 16 * 1024;

impl Owner {
    /// Takes a record of the inbox that says of itself that it is brought again.
    #[inline(never)]
    pub(super) fn take_redriven(&mut self, index: usize, record: &InputRecord<'_>, cx: &mut Context<'_>) -> Result<(), Why> {
        let (next, value) = (record.offset + 1, record.value.unwrap_or_default());
        match Redriven::decode(value) {
            Ok(redriven) => self.take_again(index, (&redriven, value), next, cx)?,
            Err(error) => {
                let detail = format!("only `ringmaster quarantine redrive` writes such a record, and this is none: {error}");
                let refused = Refused::new(QuarantineReason::Undecodable, detail, None);
                self.quarantine(Taken::read(index, record), &refused, cx);
            }
        }
        self.ahead.reads[index].journaled = Some(next);
        Ok(())
    }

    fn take_again(
        &mut self,
        index: usize,
        (redriven, value): (&Redriven, &[u8]),
        next: i64,
        cx: &mut Context<'_>,
    ) -> Result<(), Why> {
        let kept = redriven.without_record().encode();
        let again = InputRecord {
            offset: redriven.offset,
            timestamp: redriven.timestamp,
            key: redriven.key.as_deref(),
            value: redriven.value.as_deref(),
            headers: Some(&redriven.headers),
        };
        let taken = Taken { index, record: &again, came: Came::Redriven(redriven, next, &kept) };
        if kept.len() > KEPT_BYTES_MAX {
            let detail =
                format!("what is said beside the record takes {} bytes, and there is room for {KEPT_BYTES_MAX}", kept.len());
            let taken = Taken { came: Came::Redriven(redriven, next, &[]), ..taken };
            self.quarantine(taken, &Refused::new(QuarantineReason::TooBig, detail, None), cx);
            return Ok(());
        }
        let settings = self.settings.clone();
        let is_replies = settings.inputs.iter().any(|input| *input.name == *redriven.topic && matches!(input.role, Role::Replies));
        let turn = match (&redriven.value, is_replies) {
            (None, _) => Ok(None),
            // An answer is for the partition that it was sent to.
            (Some(_), true) if redriven.partition != settings.number => Ok(None),
            (Some(_), true) => self.take_reply(taken, cx),
            (Some(_), false) => self.take_event(taken, cx),
        };
        cx.counters.unexpected += std::mem::take(&mut self.unexpected);
        match turn {
            // Whoever waits for it finds in each partition what became of it; all of it where something did.
            Ok(None) => self.push_small(taken.turn(), cx),
            Ok(Some(turn)) => self.push_or_fail(turn.keeping(Some((0, value))), Some(taken), cx)?,
            Err(NoTurn::Refused(refused)) if is_replies || taken.tells() || mutated("redriven_told_by_all") => {
                self.quarantine(taken, &refused, cx);
            }
            Err(NoTurn::Refused(_)) => self.push_small(taken.turn(), cx),
            Err(NoTurn::Stop(why)) => return Err(why),
        }
        Ok(())
    }
}

/// What a start that is brought again says beside its event: who and why; and from when it is, unless that is not to matter. One that does
/// not say from when it is may be of any time.
pub(in crate::partition) fn start_again(redriven: &Redriven, start: &mut StartInput) {
    start.by_hand = Some(ByHand { by: cut(&redriven.by).into(), why: cut(&redriven.why).into() });
    let time: Option<Millis> = start.event_time.or(Some(0));
    start.event_time = time.filter(|_| !redriven.accept_old && !mutated("redriven_age_forgotten"));
}

/// Why it cannot be taken now, and why it could not before.
pub(in crate::partition) fn both_reasons(redriven: &Redriven, detail: &str) -> String {
    let Some(was) = &redriven.was else { return detail.to_owned() };
    let before = was.detail.split(BEFORE_THAT).next().unwrap_or_default();
    let (detail, before) = (cut(detail), cut(before));
    format!("{detail}{BEFORE_THAT}{}/{}: {}: {before}", was.partition, was.offset, was.reason)
}

fn cut(text: &str) -> &str {
    beginning(text, REASON_BYTES_MAX)
}
