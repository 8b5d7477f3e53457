//! An event queue of a client, and its events.

use std::ffi::{CStr, c_void};
use std::os::raw::c_char;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::Duration;

use rdkafka_sys as sys;

use crate::signal::Signal;

/// A queue that raises a signal when it stops being empty.
pub(super) struct Queue {
    queue: NonNull<sys::rd_kafka_queue_t>,
    /// The callback has a pointer to it.
    _signal: Arc<Signal>,
}

// SAFETY: librdkafka's queues may be used from any thread, and `Signal` is `Send + Sync`.
unsafe impl Send for Queue {}

impl Queue {
    /// Takes over a queue handle.
    ///
    /// # Safety
    /// `queue` is a handle that nobody else destroys; its client outlives the result.
    pub(super) unsafe fn new(queue: NonNull<sys::rd_kafka_queue_t>, signal: Arc<Signal>) -> Self {
        let opaque = Arc::as_ptr(&signal).cast_mut().cast::<c_void>();
        // SAFETY: the handle is valid; the signal lives until the callback is taken away in `drop`, which waits for a callback that
        // runs, since librdkafka calls and replaces it under one lock.
        unsafe { sys::rd_kafka_queue_cb_event_enable(queue.as_ptr(), Some(raise), opaque) };
        Self { queue, _signal: signal }
    }

    /// The next event, if there is one; never waits.
    pub(super) fn next(&self) -> Option<Event> {
        // SAFETY: the handle is valid; the event that is returned is ours.
        NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.queue.as_ptr(), 0) }).map(|event| Event { event })
    }

    /// The next event, for which it waits at most so long.
    pub(super) fn wait(&self, at_most: Duration) -> Option<Event> {
        let wait_ms = i32::try_from(at_most.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the handle is valid; the event that is returned is ours.
        NonNull::new(unsafe { sys::rd_kafka_queue_poll(self.queue.as_ptr(), wait_ms) }).map(|event| Event { event })
    }

    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_queue_t {
        self.queue.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and destroyed once.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue.as_ptr(), None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

unsafe extern "C" fn raise(_: *mut sys::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: `opaque` is the signal that the queue keeps alive.
    unsafe { &*opaque.cast::<Signal>() }.raise();
}

/// An event, taken off a queue.
pub(super) struct Event {
    event: NonNull<sys::rd_kafka_event_t>,
}

impl Event {
    pub(super) fn as_ptr(&self) -> *mut sys::rd_kafka_event_t {
        self.event.as_ptr()
    }

    pub(super) fn kind(&self) -> i32 {
        // SAFETY: the event is valid.
        unsafe { sys::rd_kafka_event_type(self.as_ptr()) }
    }

    pub(super) fn error(&self) -> sys::RDKafkaErrorCode {
        // SAFETY: the event is valid.
        unsafe { sys::rd_kafka_event_error(self.as_ptr()) }.into()
    }

    /// What the event says of its error, for people.
    pub(super) fn error_text(&self) -> String {
        // SAFETY: the event is valid and owns the string, which is copied.
        unsafe { text(sys::rd_kafka_event_error_string(self.as_ptr())) }
    }

    pub(super) fn is_fatal(&self) -> bool {
        // SAFETY: the event is valid and, as the caller saw, an error.
        unsafe { sys::rd_kafka_event_error_is_fatal(self.as_ptr()) != 0 }
    }

    /// The next message of a fetch or delivery event.
    pub(super) fn next_message(&mut self) -> Option<&sys::rd_kafka_message_t> {
        // SAFETY: the event is valid and owns the message, which is not changed while the event lives.
        unsafe { sys::rd_kafka_event_message_next(self.as_ptr()).as_ref() }
    }

    /// Passes a line of librdkafka's log on, and returns it; it is its view of one connection, so a warning at most.
    pub(super) fn log(&self) -> String {
        let (mut facility, mut line, mut level) = (ptr::null::<c_char>(), ptr::null::<c_char>(), 0);
        // SAFETY: the event is valid and owns the strings, which are copied.
        let (facility, line) = unsafe {
            if sys::rd_kafka_event_log(self.as_ptr(), &raw mut facility, &raw mut line, &raw mut level) != 0 {
                return String::new();
            }
            (text(facility), text(line))
        };
        match level {
            0..=4 => tracing::warn!(target: "librdkafka", facility, "{}", line.trim()),
            _ => tracing::debug!(target: "librdkafka", facility, "{}", line.trim()),
        }
        line
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event is ours and destroyed once.
        unsafe { sys::rd_kafka_event_destroy(self.as_ptr()) }
    }
}

/// A copy of a C string.
///
/// # Safety
/// `string` is null or a valid C string.
pub(super) unsafe fn text(string: *const c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: by the caller.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}
