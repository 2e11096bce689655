//! Hands a socket of ours to tokio-postgres.
//!
//! The socket is already what `sslmode` wants, with TLS or without. tokio-postgres is told that it
//! speaks direct TLS and that we are the TLS implementation, so it asks the server for nothing, and
//! learns from us what SCRAM can bind the channel to.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::socket::Socket;

/// The «TLS implementation».
#[derive(Clone, Copy, Debug)]
pub(super) struct Handover;

impl TlsConnect<Socket> for Handover {
    type Stream = Secured;
    type Error = Infallible;
    type Future = Ready<Result<Secured, Infallible>>;

    fn connect(self, socket: Socket) -> Self::Future {
        ready(Ok(Secured(socket)))
    }
}

/// A socket that is what `sslmode` wants.
#[derive(Debug)]
pub(super) struct Secured(Socket);

impl TlsStream for Secured {
    fn channel_binding(&self) -> ChannelBinding {
        self.0
            .server_end_point()
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
