//! Leaders that a broker names along with an error (KIP-951) are not taken: librdkafka asks for metadata after such an error anyway,
//! and learns them there.
//!
//! It would take them wrongly. Of partitions without a leader it makes an entry that it never fills (librdkafka issue 5280, open in
//! 2.12 to 2.14): whatever lay in that memory becomes a partition, its leader and its epoch. A broker that starts names such partitions
//! often. Met as a partition that was never read again after a restart of the broker, since its epoch was a number from elsewhere;
//! a negative partition writes outside of the list. `tests/proxied/leaders.rs` makes it happen.

use std::ffi::{c_int, c_void};

use rdkafka_sys::rd_kafka_t;

/// `RD_KAFKA_OP_RES_HANDLED`: the caller frees what was told.
const HANDLED: c_int = 1;

/// Stands for librdkafka's `rd_kafka_metadata_update_op` (linked so by `link.rs`).
// SAFETY: the name is of nothing else, and the signature is that of the function it stands for.
#[unsafe(no_mangle)]
extern "C" fn __wrap_rd_kafka_metadata_update_op(_client: *mut rd_kafka_t, _told: *mut c_void) -> c_int {
    HANDLED
}

unsafe extern "C" {
    fn __real_rd_kafka_metadata_update_op(client: *mut rd_kafka_t, told: *mut c_void) -> c_int;
}

/// A package that forgets `build = ".../bus/link.rs"` cannot be linked.
#[used]
static REPLACED: unsafe extern "C" fn(*mut rd_kafka_t, *mut c_void) -> c_int = __real_rd_kafka_metadata_update_op;
