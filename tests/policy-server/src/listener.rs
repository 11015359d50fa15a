//! Connections: counted, and perhaps with TLS.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::Shared;

/// What TLS needs.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    /// The certificate, which a client must trust.
    pub(crate) ca_pem: String,
}

impl Tls {
    /// With a new certificate for `localhost`.
    pub(crate) fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the versions of ring")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a certificate with its key");
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem: made.cert.pem() }
    }
}

/// A listener that counts what it accepts.
pub(crate) struct Counted {
    listener: TcpListener,
    tls: Option<Tls>,
    shared: Arc<Shared>,
}

impl Counted {
    pub(crate) fn new(listener: TcpListener, tls: Option<Tls>, shared: Arc<Shared>) -> Self {
        Self { listener, tls, shared }
    }
}

impl axum::serve::Listener for Counted {
    type Io = Connection;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Connection, Self::Addr) {
        loop {
            let Ok((stream, addr)) = self.listener.accept().await else {
                // Out of descriptors: the next connection may fare better.
                tokio::task::yield_now().await;
                continue;
            };
            let open = Open::new(&self.shared);
            let io: Box<dyn Io> = match &self.tls {
                None => Box::new(stream),
                // One handshake after the other is enough here.
                Some(tls) => match tls.acceptor.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => continue,
                },
            };
            return (Connection { io, _open: open }, addr);
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Counts one connection for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.record.opened();
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.record.closed();
    }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// An accepted connection.
pub(crate) struct Connection {
    io: Box<dyn Io>,
    _open: Open,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
