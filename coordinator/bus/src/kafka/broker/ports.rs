//! Ports for brokers that stay theirs while they are down.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// Lowest port that is given out.
const LOWEST: u16 = 10_000;
/// Tries until so many free ones are found.
const TRIES: usize = 1000;

/// Two ports that are free now: for clients, for controllers.
pub(super) fn pair() -> io::Result<(u16, u16)> {
    let ports = free_ports(2)?;
    Ok((ports[0], ports[1]))
}

/// What this process has asked for: whoever has asked may not listen yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// So many different ports that are free now, none of which this process was given before.
///
/// The system gives none of them to a client as its own end of a connection. Such a port could be taken while its broker is down: by
/// any client, and by one that looks for this very broker, which then meets itself (a TCP simultaneous open). The broker could not start.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let below = ephemeral_from();
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut held = Vec::with_capacity(count);
    for _ in 0..TRIES {
        if held.len() == count {
            break;
        }
        let port = fastrand::u16(LOWEST..below);
        if given.contains(&port) {
            continue;
        }
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            given.insert(port);
            held.push(listener);
        }
    }
    if held.len() < count {
        return Err(io::Error::other(format!("no {count} free ports between {LOWEST} and {below}")));
    }
    held.iter().map(|held| Ok(held.local_addr()?.port())).collect()
}

/// First port of those that the system gives to clients; Linux's default if it does not say.
fn ephemeral_from() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let from = range.split_whitespace().next().and_then(|from| from.parse().ok());
    from.filter(|&from| from > LOWEST).unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_gets_a_port_of_a_broker() {
        let ports = free_ports(20).expect("they are free");
        let from = ephemeral_from();
        assert!(ports.iter().all(|port| (LOWEST..from).contains(port)), "{ports:?} below {from}");
        let mut different = ports.clone();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), ports.len(), "each is given out once");
    }

    /// A broker could not start once: two questions had one answer, before either was used.
    #[test]
    fn no_port_is_given_twice() {
        let mut ports: Vec<u16> = (0..300).flat_map(|_| free_ports(2).expect("they are free")).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 600);
    }
}
