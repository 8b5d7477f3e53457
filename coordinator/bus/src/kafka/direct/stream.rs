//! What a connection's bytes go through: a socket, or TLS over it. Nothing waits.

use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

use mio::net::TcpStream;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::refusal::refusal;
use super::tls::explain;

/// A socket, bare or with TLS.
pub(super) struct Stream {
    pub(super) socket: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Stream {
    pub(super) fn bare(socket: TcpStream) -> Self {
        Stream { socket, tls: None }
    }

    /// To a broker that must be of this name. rustls holds what it was given only up to a bound, 64 KiB a direction.
    pub(super) fn secured(socket: TcpStream, config: &Arc<ClientConfig>, host: &str) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| refusal(format!("'{host}' is no name that TLS can check")))?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(|error| refusal(explain(&error)))?;
        Ok(Stream { socket, tls: Some(Box::new(session)) })
    }

    pub(super) fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// True while TLS is not agreed on.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// As of a socket that does not block; 0 is the end.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // An end without TLS's own goodbye is an end: lengths of answers say whether it came too early.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                other => return other,
            }
            tls.read_tls(&mut self.socket)?;
            if let Err(error) = tls.process_new_packets() {
                // What is wrong is told to the other side, if it takes it.
                let _told = tls.write_tls(&mut self.socket);
                return Err(refusal(explain(&error)));
            }
        }
    }

    /// As of a socket that does not block.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.socket.write(bytes) };
        match tls.writer().write(bytes)? {
            0 => {
                flush(tls, &mut self.socket)?;
                // There may be room now.
                tls.writer()
                    .write(bytes)
                    .and_then(|count| if count == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) })
            }
            count => Ok(count),
        }
    }

    /// Lets go of what TLS holds, its own messages too, as far as the socket takes it.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        flush(tls, &mut self.socket)
    }
}

fn flush(tls: &mut ClientConnection, socket: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        match tls.write_tls(socket) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
