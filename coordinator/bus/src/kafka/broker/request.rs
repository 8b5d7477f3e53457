//! Requests to a broker that no client library makes: who leads, and who should. Kafka's protocol guide has their layouts; all are of
//! the flexible kind, by a client without a name.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use super::{Broker, CALL_TIMEOUT, PATIENCE};
use crate::kafka::direct::wire::{Get, Malformed, Put};

/// Topic of what controllers agree upon; it has one partition.
const METADATA: &str = "__cluster_metadata";

/// A topic, and the copies of each of its partitions that there should be, the one that should lead first.
pub(super) type Copies = (String, Vec<(i32, Vec<i32>)>);

/// ElectLeaders, version 2: the preferred ones, of all topics.
pub(super) fn elect_preferred(broker: &Broker) -> io::Result<()> {
    let answer = ask(broker, (43, 2), |out| {
        out.i8(0);
        out.null();
        out.i32(timeout());
        out.no_tags();
    })?;
    fine("leaders were not elected", throttled(&answer)?)
}

/// AlterPartitionReassignments, version 0.
pub(super) fn reassign(broker: &Broker, topics: &[Copies]) -> io::Result<()> {
    let answer = ask(broker, (45, 0), |out| {
        out.i32(timeout());
        out.count(topics.len());
        for (topic, partitions) in topics {
            out.string(topic);
            out.count(partitions.len());
            for (partition, copies) in partitions {
                out.i32(*partition);
                out.count(copies.len());
                copies.iter().for_each(|copy| out.i32(*copy));
                out.no_tags();
            }
            out.no_tags();
        }
        out.no_tags();
    })?;
    fine("copies were not moved", throttled(&answer)?)
}

/// DescribeQuorum, version 0: who leads the controllers.
pub(super) fn controller(broker: &Broker) -> io::Result<usize> {
    let answer = ask(broker, (55, 0), |out| {
        out.count(1);
        out.string(METADATA);
        out.count(1);
        out.i32(0);
        (0..3).for_each(|_| out.no_tags());
    })?;
    let mut get = behind_header(&answer)?;
    fine("the controllers do not say who leads them", get.i16()?)?;
    let (_topics, _name, _partitions, _partition) = (get.count()?, get.string()?, get.count()?, get.i32()?);
    fine("the controllers have no leader", get.i16()?)?;
    usize::try_from(get.i32()?).map_err(|_| io::Error::other("the controllers have no leader"))
}

/// Asks, and waits for the answer, with its header.
fn ask(broker: &Broker, (api, version): (i16, i16), body: impl FnOnce(&mut Vec<u8>)) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    request.i16(api);
    request.i16(version);
    // Correlation; a name that is none.
    request.i32(1);
    request.i16(-1);
    request.no_tags();
    body(&mut request);
    let mut socket = TcpStream::connect(broker.address())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&[&(request.len() as u32).to_be_bytes()[..], &request].concat())?;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}

fn behind_header(answer: &[u8]) -> Result<Get<'_>, Malformed> {
    let mut get = Get(answer);
    let _correlation = get.i32()?;
    get.tags()?;
    Ok(get)
}

/// The error of an answer that says first how long the broker held it back.
fn throttled(answer: &[u8]) -> Result<i16, Malformed> {
    let mut get = behind_header(answer)?;
    let _throttled_ms = get.i32()?;
    get.i16()
}

/// An error of Kafka must be none.
fn fine(what: &str, error: i16) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::other(format!("{what}: error {error}"))) }
}

fn timeout() -> i32 {
    CALL_TIMEOUT.as_millis() as i32
}
