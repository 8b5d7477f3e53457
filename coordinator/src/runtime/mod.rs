//! What runs: workers that own partitions, and the instance that starts and stops them.
//!
//! ```text
//! worker.turn() = poll the bus -> partitions decide -> append, send, read as they wish -> checkpoint
//! ```
//!
//! A worker owns its partitions, its bus and its producer, on one thread; no task elsewhere touches saga state. `turn()` has no
//! thread, no clock and no randomness of its own, so that the simulator runs it as it is.

mod asked;
mod candidate;
mod clock;
mod deploy;
mod diary;
mod effects;
mod folder;
mod follow;
mod group;
mod instance;
mod knowledge;
mod lag;
mod memory;
mod news;
mod rebuild;
mod rows;
mod said;
mod scrub;
mod sent;
mod setup;
mod snapshots;
mod status;
mod threads;
mod totals;
mod upkeep;
mod versions;
mod watch;
mod worker;

pub use asked::{AskedBoard, PartitionAsked};
pub use clock::{Now, now, wall};
pub use deploy::{Change, DeployError, Deploying, Plan, at_next_start, deploy, load_knowledge};
pub use folder::find_schemas;
pub use follow::{Follower, Following};
pub use group::{AskWho, Holding, Order, Shares, Standby, to_follow};
pub use instance::{Instance, InstanceSettings, Parts, Report, Stopped};
pub use knowledge::{
    CompileOptions, Knowledge, KnowledgeError, Newest, Records, SchemasOfSagas, compile_files, definition_files, deployed_records,
    read_knowledge, read_text,
};
pub use lag::{Lag, Lags, ReadStatus};
pub use memory::resident_bytes;
pub use news::{InForce, News};
pub use rebuild::{Difference, Rebuild, Restore, differences, verify};
pub use rows::StoredRows;
pub use scrub::{Judge, Scrubbed, Scrubber, Usual, scrub};
pub use sent::Sent;
pub use setup::{InputOptions, Setup, SetupError, SetupSettings, TYPE_FIELD, prepare};
pub use snapshots::{SnapshotSettings, SnapshotTaker, Taken, View};
pub use status::{FollowedStatus, NOT_CLAIMED, PartitionStatus, RestoredStatus, SnapshotStatus, Status};
pub use totals::{ParticipantTotals, Totals, VersionTotals, Waiting};
pub use versions::{Deployed, versions_of};
pub use watch::{Rules, TopicLost, TopicStatus, Trouble, Use, Watched};
pub use worker::{Gone, Stop, Turn, Worker, WorkerSettings};
