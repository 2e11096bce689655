//! One byte stream to a server: TCP, TLS over TCP, or a Unix socket.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::config::{Host, Postgres};

use super::binding;

/// What carries the bytes: the log shows it, so that an operator sees whether TLS is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportKind {
    /// TCP in plain text.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// A Unix socket: the server is on this machine.
    Unix,
}

/// A byte stream to a server.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Socket {
    pub(super) fn kind(&self) -> TransportKind {
        match self {
            Self::Tcp(_) => TransportKind::Tcp,
            Self::Tls(_) => TransportKind::Tls,
            Self::Unix(_) => TransportKind::Unix,
        }
    }

    /// The channel binding data `tls-server-end-point`, where the stream has any.
    pub(super) fn server_end_point(&self) -> Option<Vec<u8>> {
        let Self::Tls(stream) = self else { return None };
        let (_, session) = stream.get_ref();
        binding::server_end_point(session.peer_certificates()?.first()?)
    }
}

/// The path of a Unix socket, if the host is the directory of one.
pub(super) fn unix_path(host: &Host) -> Option<PathBuf> {
    host.host
        .starts_with('/')
        .then(|| PathBuf::from(&host.host).join(format!(".s.PGSQL.{}", host.port)))
}

/// Sets what libpq sets on a TCP connection.
pub(super) fn tune(stream: &TcpStream, postgres: &Postgres) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // 0 is libpq's word for the system's default.
    let mut keepalive = TcpKeepalive::new();
    if !postgres.keepalive_idle.is_zero() {
        keepalive = keepalive.with_time(postgres.keepalive_idle);
    }
    if !postgres.keepalive_interval.is_zero() {
        keepalive = keepalive.with_interval(postgres.keepalive_interval);
    }
    if 0 < postgres.keepalive_count {
        keepalive = keepalive.with_retries(postgres.keepalive_count);
    }
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(postgres.tcp_user_timeout))?;
    Ok(())
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
