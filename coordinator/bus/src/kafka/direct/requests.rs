//! Requests that any client makes and those of a producer, and their answers; a reader's are in `fetches.rs`.
//!
//! By <https://kafka.apache.org/protocol>: versions that brokers take from Kafka 2.8 to 4.x.

use ringmaster_schemas::journal::TopicId;

use super::wire::{Get, Malformed, Put};

/// As brokers log it.
const CLIENT: &str = "ringmaster";
/// Milliseconds that a broker may wait for its replicas.
const REPLICAS_MS: i32 = 30_000;

/// What can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Produce,
    /// Topics by their identity.
    Fetch,
    /// Topics by their name.
    FetchByName,
    Offsets,
    Metadata,
    Handshake,
    Versions,
    Identity,
    Authenticate,
    /// Who coordinates a group.
    Coordinator,
    /// A member leaves its group.
    Leave,
}

impl Api {
    /// Without [`Api::Fetch`], which brokers take from Kafka 3.1 on, those of SASL, which have their own errors, and those of groups,
    /// which are asked by the way.
    const NEEDED: [Api; 6] = [Api::Produce, Api::FetchByName, Api::Offsets, Api::Metadata, Api::Versions, Api::Identity];

    pub(super) fn key(self) -> i16 {
        match self {
            Api::Produce => 0,
            Api::Fetch | Api::FetchByName => 1,
            Api::Offsets => 2,
            Api::Metadata => 3,
            Api::Handshake => 17,
            Api::Versions => 18,
            Api::Identity => 22,
            Api::Authenticate => 36,
            Api::Coordinator => 10,
            Api::Leave => 13,
        }
    }

    fn version(self) -> i16 {
        match self {
            Api::Produce => 9,
            Api::Fetch => 13,
            Api::FetchByName => 12,
            Api::Offsets => 6,
            Api::Metadata => 10,
            Api::Versions => 3,
            Api::Identity => 4,
            Api::Handshake => 1,
            Api::Authenticate => 2,
            Api::Coordinator => 3,
            Api::Leave => 4,
        }
    }
}

/// Begins a request; what is returned is for [`end`].
pub(super) fn begin(out: &mut Vec<u8>, api: Api, correlation: i32) -> usize {
    let at = out.len();
    out.i32(0);
    out.i16(api.key());
    out.i16(api.version());
    out.i32(correlation);
    out.i16(CLIENT.len() as i16);
    out.put(CLIENT.as_bytes());
    // Of a form that is older than tags.
    if api != Api::Handshake {
        out.no_tags();
    }
    at
}

/// Writes the length of a request in front of it.
pub(super) fn end(out: &mut [u8], at: usize) {
    let length = i32::try_from(out.len() - at - 4).expect("a request is below 2 GiB");
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Behind the correlation id; [`Api::Versions`] has no tags there, so that any client can read it, and [`Api::Handshake`] is older.
pub(super) fn body(api: Api, get: &mut Get<'_>) -> Result<(), Malformed> {
    if matches!(api, Api::Versions | Api::Handshake) { Ok(()) } else { get.tags() }
}

pub(super) fn put_versions(out: &mut Vec<u8>) {
    out.string(CLIENT);
    out.string(env!("CARGO_PKG_VERSION"));
    out.no_tags();
}

/// What a broker can that not every one can.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Able {
    /// It takes [`Api::Fetch`].
    pub(super) takes_ids: bool,
}

/// What a broker can, or why it cannot be used, for people.
pub(super) fn versions(get: &mut Get<'_>) -> Result<Result<Able, String>, Malformed> {
    let error = get.i16()?;
    let too_old = "it is older than Kafka 2.8, which our own client needs; kafka.client = librdkafka takes older ones";
    if error != 0 {
        return Ok(Err(format!("{too_old} (ApiVersions: error {error})")));
    }
    let (mut missing, mut takes_ids): (Vec<Api>, _) = (Api::NEEDED.into(), false);
    for _ in 0..get.count()? {
        let (key, min, max) = (get.i16()?, get.i16()?, get.i16()?);
        get.tags()?;
        let has = |api: Api| api.key() == key && (min..=max).contains(&api.version());
        takes_ids |= has(Api::Fetch);
        missing.retain(|api| !has(*api));
    }
    if takes_ids {
        missing.retain(|api| *api != Api::FetchByName);
    }
    let Some(api) = missing.first() else { return Ok(Ok(Able { takes_ids })) };
    Ok(Err(format!("{too_old}, or too new: it does not take version {} of {api:?}", api.version())))
}

/// The mechanism by which a client is going to say who it is.
pub(super) fn put_handshake(out: &mut Vec<u8>, mechanism: &str) {
    out.i16(mechanism.len() as i16);
    out.put(mechanism.as_bytes());
}

/// An error, and the mechanisms that the broker takes.
pub(super) fn handshake<'a>(get: &mut Get<'a>) -> Result<(i16, Vec<&'a str>), Malformed> {
    let (error, count) = (get.i16()?, get.i32()?);
    let mut mechanisms = Vec::new();
    for _ in 0..count {
        let length = usize::try_from(get.i16()?).map_err(|_| Malformed)?;
        mechanisms.push(std::str::from_utf8(get.take(length)?).map_err(|_| Malformed)?);
    }
    Ok((error, mechanisms))
}

/// A step of a mechanism.
pub(super) fn put_authenticate(out: &mut Vec<u8>, message: &[u8]) {
    out.count(message.len());
    out.put(message);
    out.no_tags();
}

/// An answer to [`put_authenticate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Authenticated<'a> {
    pub(super) error: i16,
    /// Why, for people; empty if nothing is said.
    pub(super) message: &'a str,
    /// The mechanism's own.
    pub(super) bytes: &'a [u8],
    /// For so long the broker takes it; 0 for ever.
    pub(super) session_ms: i64,
}

pub(super) fn authenticate<'a>(get: &mut Get<'a>) -> Result<Authenticated<'a>, Malformed> {
    let (error, message, bytes) = (get.i16()?, get.bytes()?, get.bytes()?);
    let message = std::str::from_utf8(message.unwrap_or_default()).map_err(|_| Malformed)?;
    let answer = Authenticated { error, message, bytes: bytes.unwrap_or_default(), session_ms: get.i64()? };
    get.tags()?;
    Ok(answer)
}

/// A new producer's identity; no transactions.
pub(super) fn put_identity(out: &mut Vec<u8>) {
    out.null();
    out.i32(REPLICAS_MS);
    out.i64(-1);
    out.i16(-1);
    out.no_tags();
}

/// An answer to [`put_identity`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// For so long the broker wants to hear nothing.
    pub(super) throttle_ms: i32,
    /// Id and epoch, or the error.
    pub(super) found: Result<(i64, i16), i16>,
}

pub(super) fn identity(get: &mut Get<'_>) -> Result<Identity, Malformed> {
    let (throttle_ms, error, id, epoch) = (get.i32()?, get.i16()?, get.i64()?, get.i16()?);
    let found = match error {
        // Negative ones mean a producer whose batches may be written twice.
        0 if id < 0 || epoch < 0 => return Err(Malformed),
        0 => Ok((id, epoch)),
        error => Err(error),
    };
    Ok(Identity { throttle_ms, found })
}

pub(super) fn put_metadata<'a>(out: &mut Vec<u8>, topics: impl ExactSizeIterator<Item = &'a str>) {
    out.count(topics.len());
    for topic in topics {
        // By its name, whichever it is.
        out.put(&TopicId::default());
        out.string(topic);
        out.no_tags();
    }
    // No topic is made, no authorizations are told.
    out.put(&[0, 0, 0]);
    out.no_tags();
}

/// What the cluster is.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata<'a> {
    /// For so long the broker wants to hear nothing.
    pub(super) throttle_ms: i32,
    /// Number, host, port.
    pub(super) brokers: Vec<(i32, &'a str, u16)>,
    pub(super) topics: Vec<TopicFound<'a>>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TopicFound<'a> {
    pub(super) name: &'a str,
    pub(super) id: TopicId,
    pub(super) error: i16,
    /// Number, the number of its leader (none if it has none now), and for the how manieth time it is led.
    pub(super) partitions: Vec<(i32, Option<i32>, i32)>,
}

pub(super) fn metadata<'a>(get: &mut Get<'a>) -> Result<Metadata<'a>, Malformed> {
    let mut found = Metadata { throttle_ms: get.i32()?, ..Metadata::default() };
    for _ in 0..get.count()? {
        let (number, host, port) = (get.i32()?, get.string()?, get.i32()?);
        get.bytes()?;
        get.tags()?;
        found.brokers.push((number, host, u16::try_from(port).map_err(|_| Malformed)?));
    }
    get.bytes()?;
    get.i32()?;
    for _ in 0..get.count()? {
        let (error, name, id, _) = (get.i16()?, get.string()?, get.id()?, get.i8()?);
        let mut partitions = Vec::new();
        for _ in 0..get.count()? {
            let (_, number, leader, epoch) = (get.i16()?, get.i32()?, get.i32()?, get.i32()?);
            for _ in 0..3 {
                for _ in 0..get.count()? {
                    get.i32()?;
                }
            }
            get.tags()?;
            partitions.push((number, (leader >= 0).then_some(leader), epoch));
        }
        get.i32()?;
        get.tags()?;
        found.topics.push(TopicFound { name, id, error, partitions });
    }
    Ok(found)
}

/// The begin of a produce request, for all replicas; so many topics follow.
pub(super) fn put_produce(out: &mut Vec<u8>, topics: usize) {
    out.null();
    out.i16(-1);
    out.i32(REPLICAS_MS);
    out.count(topics);
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Produced<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) error: i16,
    /// The offset of its first record; negative if the broker does not know it.
    pub(super) base: i64,
}

/// Visits what became of each batch; returns for how many milliseconds the broker wants to hear nothing.
pub(super) fn produced<'a>(
    get: &mut Get<'a>,
    visit: &mut dyn FnMut(Produced<'a>) -> Result<(), Malformed>,
) -> Result<i32, Malformed> {
    for _ in 0..get.count()? {
        let topic = get.string()?;
        for _ in 0..get.count()? {
            let (partition, error, base) = (get.i32()?, get.i16()?, get.i64()?);
            // The time of the log and its beginning.
            get.take(16)?;
            for _ in 0..get.count()? {
                get.i32()?;
                get.bytes()?;
                get.tags()?;
            }
            get.bytes()?;
            get.tags()?;
            visit(Produced { topic, partition, error, base })?;
        }
        get.tags()?;
    }
    get.i32()
}
