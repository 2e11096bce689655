//! Messages over a [`Socket`]: what start-up, the walsender's commands and the stream share.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use bytes::BytesMut;
use postgres_protocol::message::backend::Message;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use super::error::Error;
use super::input::Input;
use super::report::Notices;
use super::socket::{Socket, TransportKind};

/// A connection: its socket, what was read and not taken, what is to be sent.
pub(super) struct Wire {
    pub(super) input: Input,
    /// Bytes to send; what a cancelled [`Self::flush`] left is sent by the next.
    pub(super) output: BytesMut,
    pub(super) notices: Notices,
    socket: Socket,
}

impl Wire {
    pub(super) fn new(socket: Socket) -> Self {
        Self { input: Input::new(), output: BytesMut::new(), notices: Notices::default(), socket }
    }

    /// Sends what is in `output`. Cancel-safe.
    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        while !self.output.is_empty() {
            self.socket.write_buf(&mut self.output).await.map_err(Error::Io)?;
        }
        self.socket.flush().await.map_err(Error::Io)
    }

    /// Waits until the socket has bytes, then reads all that are there, as far as the buffer goes;
    /// returns how many. 0 means that the buffer is full of messages not taken. Cancel-safe.
    pub(super) async fn fill(&mut self) -> Result<usize, Error> {
        let mut buffer = ReadBuf::new(self.input.space());
        if buffer.remaining() == 0 {
            return Ok(0);
        }
        let socket = &mut self.socket;
        let read = poll_fn(|context| {
            loop {
                let before = buffer.filled().len();
                let polled = Pin::new(&mut *socket).poll_read(context, &mut buffer);
                let is_more = before < buffer.filled().len();
                match polled {
                    Poll::Ready(Ok(())) if is_more && 0 < buffer.remaining() => {}
                    Poll::Ready(Ok(())) => return Poll::Ready(Ok(buffer.filled().len())),
                    // What came before an error is delivered first; the error comes again.
                    _ if 0 < before => return Poll::Ready(Ok(before)),
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let count = read.await.map_err(Error::Io)?;
        if count == 0 {
            return Err(Error::Closed);
        }
        self.input.filled(count);
        Ok(count)
    }

    /// The next message other than a notice, of at most `limit` bytes.
    pub(super) async fn message(&mut self, limit: u64) -> Result<Message, Error> {
        loop {
            let Some((tag, body)) = self.input.take(limit)? else {
                self.fill().await?;
                continue;
            };
            match parse(tag, self.input.body(body))? {
                Message::NoticeResponse(notice) => self.notices.on_notice(notice.fields())?,
                message => return Ok(message),
            }
        }
    }

    /// Closes the sending side.
    pub(super) async fn shutdown(&mut self) -> Result<(), Error> {
        self.socket.shutdown().await.map_err(Error::Io)
    }

    pub(super) fn kind(&self) -> TransportKind {
        self.socket.kind()
    }

    pub(super) fn server_end_point(&self) -> Option<Vec<u8>> {
        self.socket.server_end_point()
    }
}

impl fmt::Debug for Wire {
    /// Never the bytes: rows come in and passwords go out (I7).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("kind", &self.kind()).finish_non_exhaustive()
    }
}

/// Parses one message of any kind but those of replication.
pub(super) fn parse(tag: u8, body: &[u8]) -> Result<Message, Error> {
    let length = u32::try_from(body.len() + 4)
        .map_err(|_| Error::Protocol("a message longer than 4 GiB".to_owned()))?;
    let mut bytes = BytesMut::with_capacity(body.len() + 5);
    bytes.extend_from_slice(&[tag]);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(body);
    let message = Message::parse(&mut bytes).map_err(invalid)?;
    message.ok_or_else(|| Error::Protocol("a message cut short".to_owned()))
}

/// A message that does not read as its tag says. The parser's texts hold tags and lengths only.
pub(super) fn invalid(error: std::io::Error) -> Error {
    Error::Protocol(error.to_string())
}

/// A message that has no place here.
pub(super) fn unexpected(doing: &'static str) -> Error {
    Error::Protocol(format!("a message that does not belong into {doing}"))
}
