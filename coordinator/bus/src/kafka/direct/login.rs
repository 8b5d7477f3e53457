//! What is said on a new connection before it is of use: what the broker can, and who this client is (SASL).
//!
//! ```text
//! ApiVersions -> [SaslHandshake: the mechanism -> SaslAuthenticate, once (PLAIN) or twice (SCRAM)] -> open
//! ```

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::connection::Connection;
use super::refusal::{plain, refusal};
use super::requests::{self, Able, Api};
use super::scram::{Hash, Scram, nonce};
use super::wire::Get;

/// SASL_AUTHENTICATION_FAILED
const REFUSED: i16 = 58;
/// UNSUPPORTED_SASL_MECHANISM
const NO_MECHANISM: i16 = 33;
/// ILLEGAL_SASL_STATE, UNSUPPORTED_VERSION, INVALID_REQUEST: what a listener without SASL says to it.
const NO_SASL: [i16; 3] = [34, 35, 42];
/// Of the time for which a broker takes a login, so much is used: then there is another connection.
const USED: f64 = 0.8;
/// No broker takes a login for less.
const SESSION_MIN: Duration = Duration::from_secs(1);

/// How a client says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Mechanism {
    Plain,
    Scram(Hash),
}

impl Mechanism {
    const ALL: [(&str, Mechanism); 3] = [
        ("PLAIN", Mechanism::Plain),
        ("SCRAM-SHA-256", Mechanism::Scram(Hash::Sha256)),
        ("SCRAM-SHA-512", Mechanism::Scram(Hash::Sha512)),
    ];

    /// By its name; none for those that only librdkafka knows.
    pub(in crate::kafka) fn of(name: &str) -> Option<Self> {
        Mechanism::ALL.into_iter().find_map(|(known, mechanism)| (known == name).then_some(mechanism))
    }

    fn name(self) -> &'static str {
        Mechanism::ALL.into_iter().find_map(|(name, known)| (known == self).then_some(name)).expect("each has a name")
    }
}

/// Who a client is.
#[derive(Clone)]
pub(in crate::kafka) struct Credentials {
    pub(in crate::kafka) mechanism: Mechanism,
    pub(in crate::kafka) user: String,
    pub(in crate::kafka) password: String,
}

/// Without the password.
impl fmt::Debug for Credentials {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "Credentials({} as {})", self.user, self.mechanism.name())
    }
}

/// How far a new connection is, and what its broker can.
#[derive(Default)]
pub(super) struct Login {
    step: Step,
    able: Able,
}

#[derive(Default)]
enum Step {
    #[default]
    Versions,
    Handshake,
    Plain,
    Scram(Box<Scram>),
}

/// A connection is of use.
pub(super) struct Opened {
    /// What the broker can.
    pub(super) able: Able,
    /// From then on the broker may end it; none if it never does.
    pub(super) renew_at: Option<Instant>,
}

impl Login {
    /// True if the broker has not said yet what it can.
    pub(super) fn is_first(&self) -> bool {
        matches!(self.step, Step::Versions)
    }

    /// Moves what can be moved; says something once the connection is of use.
    pub(super) fn work(
        &mut self,
        connection: &mut Connection,
        who: Option<&Credentials>,
        now: Instant,
    ) -> io::Result<Option<Opened>> {
        // Whoever refuses says so and closes the connection: both may be there at once.
        let worked = connection.work(now);
        while let Some((_, answer)) = connection.next()? {
            let answer = connection.bytes(answer).to_vec();
            if let Some(opened) = self.take(connection, &mut Get(&answer), who, now)? {
                return worked.map(|()| Some(opened));
            }
        }
        worked.map(|()| None)
    }

    fn take(
        &mut self,
        connection: &mut Connection,
        answer: &mut Get<'_>,
        who: Option<&Credentials>,
        now: Instant,
    ) -> io::Result<Option<Opened>> {
        if self.is_first() {
            self.able = requests::versions(answer)?.map_err(refusal)?;
        }
        let able = self.able;
        let Some(who) = who else { return Ok(Some(Opened { able, renew_at: None })) };
        match &mut self.step {
            Step::Versions => {
                connection.ask(Api::Handshake, now, |out| requests::put_handshake(out, who.mechanism.name()))?;
                self.step = Step::Handshake;
            }
            Step::Handshake => {
                let (error, mechanisms) = requests::handshake(answer)?;
                check_handshake(error, &mechanisms, who.mechanism)?;
                let message = match who.mechanism {
                    Mechanism::Plain => {
                        self.step = Step::Plain;
                        format!("\0{}\0{}", who.user, who.password).into_bytes()
                    }
                    Mechanism::Scram(hash) => {
                        let scram = Scram::new(hash, &who.user, nonce().map_err(refusal)?);
                        let first = scram.first();
                        self.step = Step::Scram(Box::new(scram));
                        first
                    }
                };
                connection.ask(Api::Authenticate, now, |out| requests::put_authenticate(out, &message))?;
            }
            step @ (Step::Plain | Step::Scram(_)) => {
                let answer = requests::authenticate(answer)?;
                if answer.error != 0 {
                    return Err(refusal(refused(answer.error, answer.message, who)));
                }
                if let Step::Scram(scram) = step
                    && let Some(message) = scram.answer(&who.password, answer.bytes).map_err(|why| distrusted(&why, who))?
                {
                    connection.ask(Api::Authenticate, now, |out| requests::put_authenticate(out, &message))?;
                    return Ok(None);
                }
                let session = u64::try_from(answer.session_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis);
                let renew_at = session.and_then(|session| now.checked_add(session.max(SESSION_MIN).mul_f64(USED)));
                return Ok(Some(Opened { able, renew_at }));
            }
        }
        Ok(None)
    }
}

fn check_handshake(error: i16, mechanisms: &[&str], wanted: Mechanism) -> io::Result<()> {
    let name = wanted.name();
    match error {
        0 => Ok(()),
        NO_MECHANISM => {
            let others = plain(&mechanisms.join(", "));
            Err(refusal(format!("it does not take {name}, but {others}; set sasl.mechanism to one of them, or enable it there")))
        }
        error if NO_SASL.contains(&error) => {
            Err(refusal("this listener takes no SASL; security.protocol is plaintext or ssl for it".to_owned()))
        }
        error => Err(refusal(format!("it does not take {name} (SaslHandshake: error {error})"))),
    }
}

fn refused(error: i16, message: &str, who: &Credentials) -> String {
    let (name, said) = (who.mechanism.name(), plain(message));
    match error {
        REFUSED => {
            format!("it does not know {} with this password by {name} ({said}); see sasl.username and sasl.password", who.user)
        }
        error => format!("it does not take the login of {} by {name} (SaslAuthenticate: error {error}, {said})", who.user),
    }
}

fn distrusted(why: &str, who: &Credentials) -> io::Error {
    refusal(format!("its answer to the login of {} by {} is not to be trusted: {why}", who.user, who.mechanism.name()))
}
