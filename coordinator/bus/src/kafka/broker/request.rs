//! Requests to a broker that no client library makes: who leads, and who should. Kafka's protocol guide has their layouts; all are of
//! the flexible kind, by a client without a name.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;

use super::{Broker, CALL_TIMEOUT, PATIENCE};

/// Topic of what controllers agree upon; it has one partition.
const METADATA: &str = "__cluster_metadata";
/// An answer begins with its correlation, and no tags.
const HEADER: usize = 4 + 1;
/// Then, in most, how long the broker held it back.
const THROTTLED: usize = 4;

/// A topic, and the copies of each of its partitions that there should be, the one that should lead first.
pub(super) type Copies = (String, Vec<(i32, Vec<i32>)>);

/// ElectLeaders, version 2: the preferred ones, of all topics.
pub(super) fn elect_preferred(broker: &Broker) -> io::Result<()> {
    let mut body = vec![0, 0];
    body.extend_from_slice(&timeout());
    body.push(0);
    let answer = ask(broker, 43, 2, &body)?;
    fine("leaders were not elected", &answer, HEADER + THROTTLED)
}

/// AlterPartitionReassignments, version 0.
pub(super) fn reassign(broker: &Broker, topics: &[Copies]) -> io::Result<()> {
    let mut body = timeout().to_vec();
    count(&mut body, topics.len());
    for (topic, partitions) in topics {
        text(&mut body, topic);
        count(&mut body, partitions.len());
        for (partition, copies) in partitions {
            body.extend_from_slice(&partition.to_be_bytes());
            count(&mut body, copies.len());
            copies.iter().for_each(|copy| body.extend_from_slice(&copy.to_be_bytes()));
            body.push(0);
        }
        body.push(0);
    }
    body.push(0);
    let answer = ask(broker, 45, 0, &body)?;
    fine("copies were not moved", &answer, HEADER + THROTTLED)
}

/// DescribeQuorum, version 0: who leads the controllers.
pub(super) fn controller(broker: &Broker) -> io::Result<usize> {
    let mut body = Vec::new();
    count(&mut body, 1);
    text(&mut body, METADATA);
    count(&mut body, 1);
    body.extend_from_slice(&0_i32.to_be_bytes());
    body.extend_from_slice(&[0, 0, 0]);
    let answer = ask(broker, 55, 0, &body)?;
    fine("the controllers do not say who leads them", &answer, HEADER)?;
    // Counts and the name are a byte each in front, then the partition's number, its error, and the leader.
    let error = HEADER + 2 + 1 + 1 + METADATA.len() + 1 + 4;
    fine("the controllers have no leader", &answer, error)?;
    let leader = i32::from_be_bytes(at(&answer, error + 2..error + 6)?.try_into().expect("four bytes"));
    usize::try_from(leader).map_err(|_| io::Error::other("the controllers have no leader"))
}

fn ask(broker: &Broker, api: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut request = [api.to_be_bytes(), version.to_be_bytes()].concat();
    // Correlation, no name, no tags.
    request.extend_from_slice(&[0, 0, 0, 1, 0xff, 0xff, 0]);
    request.extend_from_slice(body);
    let mut socket = TcpStream::connect(broker.address())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&[&(request.len() as u32).to_be_bytes()[..], &request].concat())?;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}

/// An error of Kafka there, two bytes, must be none.
fn fine(what: &str, answer: &[u8], place: usize) -> io::Result<()> {
    match i16::from_be_bytes(at(answer, place..place + 2)?.try_into().expect("two bytes")) {
        0 => Ok(()),
        error => Err(io::Error::other(format!("{what}: error {error}"))),
    }
}

fn at(answer: &[u8], range: Range<usize>) -> io::Result<&[u8]> {
    answer.get(range).ok_or_else(|| io::Error::other("the broker's answer is too short"))
}

fn timeout() -> [u8; 4] {
    (CALL_TIMEOUT.as_millis() as u32).to_be_bytes()
}

/// How many there are, and one more: seven bits in each byte, the lowest first.
fn count(out: &mut Vec<u8>, count: usize) {
    let mut left = count + 1;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

fn text(out: &mut Vec<u8>, text: &str) {
    count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}
