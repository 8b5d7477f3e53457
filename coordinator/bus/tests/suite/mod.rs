//! What every bus must do, as one suite: `run_all` on a [`Rig`].
#![allow(clippy::print_stdout, clippy::type_complexity, unreachable_pub)]

mod again;
pub mod heard;
mod limits;
mod reading;
mod sending;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ringmaster_bus::Bus;

use again::*;
use limits::*;
use reading::*;
use sending::*;

/// Cases that run beside each other.
const AT_ONCE: usize = 4;

/// A log, and clients of it.
pub trait Rig {
    /// What it is called in messages.
    fn name(&self) -> &str;
    /// A new client.
    fn client(&self) -> Box<dyn Bus + Send>;
    /// Deletes a topic with everything in it.
    fn delete(&self, topic: &str);
    /// Makes the log forget the records of a partition below this offset, as retention would; `false` if it cannot.
    fn forget(&self, topic: &str, partition: i32, below: i64) -> bool;
    /// Lets a topic take records and batches of so many bytes only; `false` if the log cannot change that.
    fn narrow(&self, topic: &str, bytes: usize) -> bool;
    /// How long a bus that has nothing to say is listened to, to be sure of it.
    fn silence(&self) -> Duration;
}

/// Runs everything.
pub fn run_all(rig: &(dyn Rig + Sync)) {
    let cases: [(&str, fn(&dyn Rig)); 29] = [
        // The longest first.
        ("unknown_topic_is_refused_and_unreadable", unknown_topic_is_refused_and_unreadable),
        ("any_seek_is_exact", any_seek_is_exact),
        ("create_and_describe", create_and_describe),
        ("order_tags_and_contiguous_offsets", order_tags_and_contiguous_offsets),
        ("everything_comes_back_as_it_was", everything_comes_back_as_it_was),
        ("reads_from_an_offset_and_seeks", reads_from_an_offset_and_seeks),
        ("pause_loses_nothing", pause_loses_nothing),
        ("a_full_poll_is_full", a_full_poll_is_full),
        ("large_records_fill_a_poll", large_records_fill_a_poll),
        ("any_pauses_lose_and_repeat_nothing", any_pauses_lose_and_repeat_nothing),
        ("stopped_is_silent", stopped_is_silent),
        ("caught_up_comes_at_the_end", caught_up_comes_at_the_end),
        ("bounds_and_offset_at_a_time", bounds_and_offset_at_a_time),
        ("out_of_range_is_said", out_of_range_is_said),
        ("what_is_deleted_is_gone_and_no_more", what_is_deleted_is_gone_and_no_more),
        ("identity_changes_with_the_topic", identity_changes_with_the_topic),
        ("nothing_is_read_of_a_topic_made_again", nothing_is_read_of_a_topic_made_again),
        ("nothing_is_read_of_a_topic_made_again_unseen", nothing_is_read_of_a_topic_made_again_unseen),
        ("group_commits_and_resumes", group_commits_and_resumes),
        ("a_group_reads_all_of_a_topic_made_again", a_group_reads_all_of_a_topic_made_again),
        ("a_member_reads_all_of_a_topic_made_again", a_member_reads_all_of_a_topic_made_again),
        ("a_limit_that_falls_is_taken", a_limit_that_falls_is_taken),
        ("waker_ends_a_poll", waker_ends_a_poll),
        ("a_flush_lets_go", a_flush_lets_go),
        ("clients_see_each_other", clients_see_each_other),
        ("two_writers_interleave_without_loss", two_writers_interleave_without_loss),
        ("closed_sender_sends_nothing", closed_sender_sends_nothing),
        ("oversized_is_refused_and_the_next_goes_on", oversized_is_refused_and_the_next_goes_on),
        ("a_large_record_is_taken_where_the_topic_takes_it", a_large_record_is_taken_where_the_topic_takes_it),
    ];
    // They wait more than they compute, and each has topics of its own.
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, case)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    println!("{} {name}", rig.name());
                    case(rig);
                    println!("{} {name}: {:?}", rig.name(), begun.elapsed());
                }
            });
        }
    });
}
