//! Tokens: `rm_ID_SECRET`. The secret is random, and only its SHA-256 is kept.
//!
//! ```text
//! ringmaster token create -> file (hash, roles, until when) -> looked at every second -> who asks?
//! ```
//!
//! A secret has 256 random bits: nobody tries them out, so one round of SHA-256 is enough, and costs a flood of wrong ones nothing.

mod file;
mod live;

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

pub(crate) use file::private;
pub use file::{Made, TokenFile};
pub use live::Tokens;

use super::allowed::Role;
use super::saga::moment;

/// What every token begins with, so that scanners of leaked secrets know it.
const PREFIX: &str = "rm_";
/// Enough that no two tokens of a file have the same.
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// SHA-256 of a secret.
type Hash = [u8; 32];

/// What is known of a token; its secret is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The middle of the token.
    pub id: String,
    /// Whom it was made for.
    pub name: String,
    /// What they are to the coordinator.
    pub roles: Vec<Role>,
    /// Of its secret.
    hash: Hash,
    /// In milliseconds since 1970.
    pub created: i64,
    /// From then on it is good no more.
    pub expires: i64,
    /// Since then it is good no more.
    pub revoked: Option<i64>,
}

impl Known {
    /// As programs see it.
    pub fn show(&self, now: i64) -> Shown {
        Shown {
            id: self.id.clone(),
            name: self.name.clone(),
            roles: self.roles.iter().map(ToString::to_string).collect(),
            state: self.state(now).to_string(),
            created: moment(self.created),
            expires: moment(self.expires),
            revoked: self.revoked.and_then(moment),
        }
    }

    /// Whether it is good: for people, and as the coordinator sees it.
    pub fn state(&self, now: i64) -> State {
        match self.revoked {
            Some(_) => State::Revoked,
            None if now >= self.expires => State::Expired,
            None => State::Good,
        }
    }
}

/// A token as programs see it: nothing of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct Shown {
    /// What tells it from others.
    pub id: String,
    /// Whose it is.
    pub name: String,
    /// What they may.
    pub roles: Vec<String>,
    /// good, expired or revoked.
    pub state: String,
    /// When it was made.
    pub created: Option<String>,
    /// Until when it is good; null: for ever.
    pub expires: Option<String>,
    /// When it was revoked.
    pub revoked: Option<String>,
}

/// Whether a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Whoever has it may what its roles may.
    Good,
    /// Its time is over.
    Expired,
    /// Somebody said that it is not.
    Revoked,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Good => "good",
            State::Expired => "expired",
            State::Revoked => "revoked",
        })
    }
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(bytes)
}

fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

/// ID and secret of what looks like a token.
fn split(token: &str) -> Option<(&str, &str)> {
    token.strip_prefix(PREFIX)?.split_once('_')
}

#[cfg(test)]
mod tests;
