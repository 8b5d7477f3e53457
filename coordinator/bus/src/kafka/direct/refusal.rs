//! Why a client and a broker do not come together although both are there, for people.

use std::io;

/// What they are set to does not fit. It is said once, and tried again: settings of brokers change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refusal(String);

/// An error that is for people to mend.
pub(super) fn refusal(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, Refusal(why.into()))
}

/// True if a person must change something.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Refusal>())
}

/// What others said, for a line of a log: no control characters, and no more than a few hundred characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(300).collect()
}
