//! The port: it takes connections, speaks TLS if it is to, and hands requests to the routes; its end ends all of it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Sources;
use super::connections::{Answered, Answering, Answers, Connections, Room};
use super::gate::{self, Gate};
use super::http2;
use super::live::{self, Hub};
use super::routes;
use super::tls::{Tls, agreed_on_http2};
use super::tokens::Tokens;
use super::unread::InTime;
use super::who::Who;
use crate::config::Api;
use crate::telemetry::names::Denied;

/// How often it looks whether certificates and tokens have changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The head of a request is at most so large, so that a flood of halves of them fills no memory.
pub(super) const HEAD_BYTES_MAX: usize = 64 << 10;
/// After this long it tries again to take connections, when the system gives none: there are no more descriptors, mostly.
const PAUSE: Duration = Duration::from_millis(100);
/// At its end connections that can be told so have so long to finish their answers.
const FAREWELL: Duration = Duration::from_millis(250);

/// What a port is like beside its address.
pub struct Port {
    tls: Option<Tls>,
    who: Who,
    limits: Limits,
}

/// How much it takes on at once, and how long it waits for others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Connections at once.
    pub(super) connections: usize,
    /// For a TLS handshake, and for the head of a request, the wait for its first byte included.
    pub(super) head: Duration,
    /// Until an answer is read.
    pub(super) read: Duration,
    /// Bytes of answers that one connection, which may ask for many at once, has not read.
    pub(super) unread: usize,
    /// Of requests.
    pub(super) requests: gate::Limits,
}

impl Limits {
    pub(super) const USUAL: Limits = Limits {
        connections: 256,
        head: Duration::from_secs(5),
        read: Duration::from_secs(30),
        unread: 16 << 20,
        requests: gate::Limits::USUAL,
    };
}

impl Port {
    /// As settings say, where it listens on this address. Errors are for people.
    pub fn open(api: &Api, address: SocketAddr) -> Result<Port, String> {
        let tls = api.tls.as_ref().map(Tls::open).transpose()?;
        let who = match &api.tokens {
            Some(path) => Who::Tokens(Arc::new(Tokens::open(path).map_err(|why| format!("api.tokens: {why}"))?)),
            None if address.ip().is_loopback() => Who::Local,
            None => Who::Anyone,
        };
        Ok(Port { tls, who, limits: Limits::USUAL })
    }

    #[cfg(test)]
    pub(super) fn with(self, limits: Limits) -> Port {
        Port { limits, ..self }
    }

    /// What its address begins with.
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }

    fn look(&self, gate: &Gate) {
        if let Some(tls) = &self.tls {
            tls.look();
        }
        if let Who::Tokens(tokens) = gate.who() {
            tokens.look();
        }
    }
}

/// A running HTTP server; dropping it ends it.
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Takes the address; serving begins with [`serve`]. Split in two, because claims name the address before there is something to show.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Serves on a thread of its own until the server is dropped.
pub fn serve(listener: TcpListener, mut sources: Sources, mut port: Port) -> io::Result<Server> {
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let who = std::mem::replace(&mut port.who, Who::Local);
    if let Who::Tokens(tokens) = &who {
        sources.tokens = Some(tokens.clone());
    }
    let sources = Arc::new(sources);
    let (looked_at, metrics) = (sources.clone(), sources.metrics.clone());
    let look = move |watch: &_, authorization| live::look(&looked_at, watch, authorization);
    let live = Hub::new(port.limits.requests.live, metrics.clone(), look);
    let gate = Arc::new(Gate::new(who, port.limits.requests, live, metrics));
    let router = routes::router(sources, &gate);
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let ending = watch::Sender::new(false);
        let served = Arc::new(Served { port, gate, router, connections: Connections::default(), ending });
        tokio::select! {
            () = served.clone().take(listener) => {}
            // A client that keeps its connection open must not hold the process. An error means that the sender is gone, which is the
            // signal as well.
            _ = stopped => {}
        }
        served.say_farewell().await;
        Ok::<(), io::Error>(())
    };
    let thread = std::thread::Builder::new().name("api".into()).spawn(move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(%error, "the HTTP server ended; sagas go on without it");
        }
        // With the runtime go all connections, and with them the store that they read; who reads it at this moment is waited for.
        drop(runtime);
    })?;
    Ok(Server { address, stop: Some(stop), thread: Some(thread) })
}

impl Server {
    /// Where it listens; the port is the real one even if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Whoever comes behind may rely on it that nothing reads the store any more: a database that is closed while the process
        // ends aborts it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What all connections share.
struct Served {
    port: Port,
    gate: Arc<Gate>,
    router: Router,
    connections: Connections,
    /// Whether it ends. Who listens has a connection that can be told so.
    ending: watch::Sender<bool>,
}

impl Served {
    /// Takes connections for ever.
    async fn take(self: Arc<Self>, listener: tokio::net::TcpListener) {
        let looking = self.clone();
        tokio::spawn(async move {
            loop {
                sleep(LOOK_EVERY).await;
                let looking = looking.clone();
                // Its files may lie on a disk that is slow. An error means that the runtime ends.
                let _ = tokio::task::spawn_blocking(move || looking.port.look(&looking.gate)).await;
            }
        });
        for number in 0.. {
            let (stream, from) = loop {
                match listener.accept().await {
                    Ok(accepted) => break accepted,
                    Err(error) => {
                        tracing::debug!(%error, "no connection was taken");
                        sleep(PAUSE).await;
                    }
                }
            };
            match self.connections.make_room(self.port.limits.connections) {
                Room::Is => {}
                Room::Made(of) => self.gate.denied(Denied::Connections, &of.to_string(), "", "it said nothing, and others came"),
                Room::None => {
                    self.gate.denied(Denied::Connections, &from.ip().to_string(), "", "too many are being answered");
                    continue;
                }
            }
            let answers = Answers::default();
            let task = tokio::spawn(self.clone().speak(number, stream, from, answers.clone()));
            // There is one thread, so that the task has not begun.
            self.connections.add(number, from.ip(), answers, task.abort_handle());
        }
    }

    /// Serves one connection to its end.
    async fn speak(self: Arc<Self>, number: u64, stream: TcpStream, from: SocketAddr, answers: Answers) {
        let _until = Gone(&self.connections, number);
        // Answers are written whole: nothing is gained by waiting for more. An error shows with the first byte as well.
        let _ = stream.set_nodelay(true);
        match &self.port.tls {
            None => self.answer(stream, from, answers).await,
            Some(tls) => match timeout(self.port.limits.head, TlsAcceptor::from(tls.config()).accept(stream)).await {
                Ok(Ok(stream)) if agreed_on_http2(stream.get_ref().1) => self.answer_many(stream, from, answers).await,
                Ok(Ok(stream)) => self.answer(stream, from, answers).await,
                Ok(Err(error)) => tracing::debug!(%from, %error, "no TLS came to be"),
                Err(_) => tracing::debug!(%from, "a TLS handshake took too long"),
            },
        }
    }

    /// By HTTP/1.1: one request after the other.
    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, from: SocketAddr, answers: Answers) {
        let router = TowerToHyperService::new(self.router.clone());
        let service = service_fn(|mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(gate::From(from));
            let (answering, until) = (router.call(request), Answering::new(answers.clone()));
            async move { answering.await.map(|answer| answer.map(|body| Answered::new(body, until))) }
        });
        let stream = TokioIo::new(InTime::new(stream, self.port.limits.read));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.port.limits.head).max_buf_size(HEAD_BYTES_MAX);
        if let Err(error) = http.serve_connection(stream, service).await {
            tracing::debug!(%from, %error, "a connection ended");
        }
    }

    /// By HTTP/2: many at once.
    async fn answer_many<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, from: SocketAddr, answers: Answers) {
        let (limits, router) = (self.port.limits, self.router.clone());
        let terms = http2::Terms { from, limits, router, answers, unread: Default::default() };
        let stream = InTime::new(stream, limits.read);
        if let Err(error) = http2::serve(stream, terms, self.ending.subscribe()).await {
            tracing::debug!(%from, %error, "a connection ended");
        }
    }

    /// Tells all connections that can be told that this is the end, and waits a moment until they have ended.
    async fn say_farewell(&self) {
        self.ending.send_replace(true);
        // An error means that some have not: they are cut off.
        let _ = timeout(FAREWELL, self.ending.closed()).await;
    }
}

/// Takes a connection from those that are open, whatever ends it.
struct Gone<'a>(&'a Connections, u64);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.0.remove(self.1);
    }
}
