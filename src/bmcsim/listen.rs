//! Sockets: one listener for all, or one a BMC; plain or TLS.

use super::fleet::Fleet;
use super::http;
use super::machine::Machine;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// A thousand clients may knock at the same moment; the kernel drops what does not fit and the client waits a second.
const BACKLOG: u32 = 4096;

/// Who does not finish the handshake by then is cut off.
const HANDSHAKE: Duration = Duration::from_secs(10);

pub(super) fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(at).map_err(|e| io::Error::new(e.kind(), format!("cannot listen on `{at}`: {e}")))?;
    socket.listen(BACKLOG)
}

/// Every fleet member holds a socket or two: as many files as the system lets this process have.
pub(super) fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // If it does not work, a listener or a connection says so later.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// `first`, and on, without the addresses that look like a network or a broadcast.
pub(super) fn addresses(first: Ipv4Addr) -> impl Iterator<Item = Ipv4Addr> {
    (u32::from(first)..=u32::MAX).map(Ipv4Addr::from).filter(|a| !matches!(a.octets()[3], 0 | 255))
}

#[derive(Clone)]
pub(super) struct Door {
    pub fleet: Arc<Fleet>,
    pub own: Option<Arc<Machine>>,
    pub tls: Option<TlsAcceptor>,
    pub stop: watch::Receiver<bool>,
}

impl Door {
    /// Accept until told to stop.
    pub(super) async fn open(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                _ = self.stop.wait_for(|stop| *stop) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => drop(tokio::spawn(self.clone().until_stopped(stream))),
                Err(error) => {
                    // Out of files, mostly: it passes.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn until_stopped(self, stream: TcpStream) {
        let mut stop = self.stop.clone();
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => {}
            () = self.greet(stream) => {}
        }
    }

    async fn greet(self, stream: TcpStream) {
        // Without it small answers wait for acknowledgements.
        let _ = stream.set_nodelay(true);
        match self.tls.clone() {
            None => self.serve(stream).await,
            Some(tls) => match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                Ok(Ok(stream)) => self.serve(stream).await,
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            },
        }
    }

    async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, stream: S) {
        let Door { fleet, own, .. } = self;
        let service = service_fn(move |request: Request<Incoming>| http::answer(fleet.clone(), own.clone(), request));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        if let Err(error) = connection.await {
            tracing::trace!(%error, "connection ended");
        }
    }
}
