//! Tells each change of an alert to whoever listens at an address: signed, tried again until it is taken, and nobody waits for it.
//!
//! ```text
//! rules -> tell -> queue (256, the oldest goes) -> a thread of its own -> POST, header X-Ringmaster-Signature
//! ```

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use ring::hmac;
use ringmaster_schemas::names::hex;
use serde_json::json;

use super::{Alert, Target};
use crate::api::AlertShown;
use crate::api::client::{Means, agent, explain, private, spread};
use crate::telemetry::Metrics;
use crate::telemetry::names::Delivery;

/// So many changes wait at most; more are of no use to anybody.
const WAITING_MAX: usize = 256;
/// Whoever guesses a shorter secret than this could sign.
const SECRET_BYTES_MIN: usize = 16;
/// Where the signature stands.
pub const SIGNATURE: &str = "X-Ringmaster-Signature";

/// Where alerts are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where it listens.
    pub to: Target,
    /// The file with the secret that signs.
    pub secret_file: PathBuf,
}

/// How long it waits until it tries again, at first and at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) first: Duration,
    pub(super) max: Duration,
}

impl Pace {
    const USUAL: Pace = Pace { first: Duration::from_secs(1), max: Duration::from_secs(60) };
}

/// Somebody who tells alerts; dropping it ends that, whatever waits.
pub struct Telling {
    shared: Arc<Shared>,
    instance: String,
}

struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Waiting {
    bodies: VecDeque<String>,
    ends: bool,
}

impl Webhook {
    /// Begins to tell what this instance says. Errors are for people, and say nothing of what is secret.
    pub fn start(&self, instance: &str, metrics: Arc<Metrics>) -> Result<Telling, String> {
        self.start_at(instance, metrics, Pace::USUAL)
    }

    pub(super) fn start_at(&self, instance: &str, metrics: Arc<Metrics>, pace: Pace) -> Result<Telling, String> {
        secret(&self.secret_file)?;
        let agent = agent(self.to.address(), &Means::default())?;
        let shared = Arc::new(Shared { waiting: Mutex::default(), changed: Condvar::new(), metrics });
        let sender = Sender { agent, webhook: self.clone(), shared: shared.clone(), pace };
        // It is not waited for at the end: who does not answer would hold that up.
        let started: io::Result<_> = std::thread::Builder::new().name("webhook".into()).spawn(move || sender.run());
        started.map_err(|error| error.to_string())?;
        Ok(Telling { shared, instance: instance.to_owned() })
    }
}

impl Telling {
    /// Tells a change, soon.
    pub fn tell(&self, change: &Alert) {
        let body = body(&AlertShown::of(change, &self.instance));
        let mut waiting = self.shared.waiting.lock().expect("nobody panics with it");
        waiting.bodies.push_back(body);
        while waiting.bodies.len() > WAITING_MAX {
            waiting.bodies.pop_front();
            self.shared.metrics.delivery(Delivery::Dropped);
        }
        self.shared.changed.notify_all();
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.shared.waiting.lock().expect("nobody panics with it").ends = true;
        self.shared.changed.notify_all();
    }
}

/// What is sent. One change has one `id`, however often it is sent.
fn body(of: &AlertShown) -> String {
    let AlertShown { name, severity, state, since, labels, value, threshold, summary, runbook, instance } = of;
    let change = json!([instance, name, labels, state, since]).to_string();
    let id = hex(&ring::digest::digest(&ring::digest::SHA256, change.as_bytes()).as_ref()[..16]);
    json!({
        "id": id, "instance": instance, "alert": name, "severity": severity, "state": state, "since": since, "labels": labels,
        "value": value, "threshold": threshold, "summary": summary, "runbook": runbook,
    })
    .to_string()
}

/// What a body is signed with, read each time: it may be changed while this runs. Errors name the file, and nothing that is in it.
fn secret(path: &Path) -> Result<hmac::Key, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("alerts.secret_file: {}: {why}", path.display());
    private(&std::fs::metadata(path).map_err(|error| wrong(&error))?).map_err(|why| wrong(&why))?;
    let secret = std::fs::read(path).map_err(|error| wrong(&error))?;
    let secret = secret.trim_ascii();
    if secret.len() < SECRET_BYTES_MIN {
        return Err(wrong(&format_args!("a secret has at least {SECRET_BYTES_MIN} bytes: openssl rand -hex 32")));
    }
    Ok(hmac::Key::new(hmac::HMAC_SHA256, secret))
}

/// Why a change was not taken.
enum Untaken {
    /// The other side has seen it, and does not want it.
    Refused(u16),
    /// It may be taken later.
    Failed(String),
}

struct Sender {
    agent: ureq::Agent,
    webhook: Webhook,
    shared: Arc<Shared>,
    pace: Pace,
}

impl Sender {
    fn run(&self) {
        while let Some(body) = self.next() {
            self.deliver(&body);
        }
    }

    /// The oldest that waits; none at the end.
    fn next(&self) -> Option<String> {
        let mut waiting = self.shared.waiting.lock().expect("nobody panics with it");
        loop {
            if waiting.ends {
                return None;
            }
            if let Some(body) = waiting.bodies.pop_front() {
                return Some(body);
            }
            waiting = self.shared.changed.wait(waiting).expect("nobody panics with it");
        }
    }

    /// Until it is taken or refused, or until the end.
    fn deliver(&self, body: &str) {
        let (to, mut pause, mut tried) = (&self.webhook.to, self.pace.first, 0);
        loop {
            tried += 1;
            match self.send(body) {
                Ok(()) => {
                    if tried > 1 {
                        tracing::info!(webhook = %to, tried, "an alert was told at last");
                    }
                    return self.shared.metrics.delivery(Delivery::Delivered);
                }
                Err(Untaken::Refused(status)) => {
                    tracing::warn!(webhook = %to, status, "the webhook refuses an alert: it is not told again");
                    return self.shared.metrics.delivery(Delivery::Refused);
                }
                Err(Untaken::Failed(why)) => {
                    // Once, and then once in a while: it is tried again for ever.
                    if tried == 1 || tried % 60 == 0 {
                        tracing::warn!(webhook = %to, tried, "an alert could not be told, and is tried again: {why}");
                    }
                }
            }
            if self.ends_within(spread(pause)) {
                return;
            }
            pause = (pause * 2).min(self.pace.max);
        }
    }

    fn send(&self, body: &str) -> Result<(), Untaken> {
        let key = secret(&self.webhook.secret_file).map_err(Untaken::Failed)?;
        let signature = format!("sha256={}", hex(hmac::sign(&key, body.as_bytes()).as_ref()));
        let request =
            self.agent.post(self.webhook.to.url()).header("content-type", "application/json").header(SIGNATURE, signature);
        let request = match self.webhook.to.authorization() {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        };
        let answer = request.send(body).map_err(|error| Untaken::Failed(explain(&error)))?;
        match answer.status().as_u16() {
            200..=299 => Ok(()),
            // These may be mended there or in the settings: no right, no such path, not now.
            status @ (401 | 403 | 404 | 408 | 425 | 429) => Err(Untaken::Failed(format!("it answers {status}"))),
            status @ 400..=499 => Err(Untaken::Refused(status)),
            status => Err(Untaken::Failed(format!("it answers {status}"))),
        }
    }

    /// Waits; true if it is to end.
    fn ends_within(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut waiting = self.shared.waiting.lock().expect("nobody panics with it");
        while !waiting.ends {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { return false };
            waiting = self.shared.changed.wait_timeout(waiting, left).expect("nobody panics with it").0;
        }
        true
    }
}

#[cfg(test)]
mod tests;
