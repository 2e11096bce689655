//! The stream of a slot: CopyBoth frames from and to a walsender.
//!
//! Nothing here knows what a frame means. How often to read is the caller's choice: the walsender
//! makes one `send` a row and is faster when nobody wakes up for each, so a reader that is behind
//! lets bytes gather before it calls [`Stream::fill`], which then takes all that are there.
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY>

use std::time::Duration;

use postgres_protocol::message::backend::{
    COMMAND_COMPLETE_TAG, COPY_DATA_TAG, COPY_DONE_TAG, ERROR_RESPONSE_TAG, Message,
    NOTICE_RESPONSE_TAG, PARAMETER_STATUS_TAG,
};
use postgres_protocol::message::frontend::{self, CopyData};

use crate::edges::{Class, Transport};

use super::auth::unsendable;
use super::error::Error;
use super::input::MESSAGE_BYTES_MAX;
use super::report::Report;
use super::socket::TransportKind;
use super::wire::{Wire, parse, unexpected};

/// How long [`Stream::close`] waits for the walsender to go.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a broken connection is read for what the server said last: it is there, or never comes.
const LAST_WORDS_LIMIT: Duration = Duration::from_millis(500);

/// A running stream; it holds the slot until it is closed or dropped.
#[derive(Debug)]
pub struct Stream {
    wire: Wire,
}

impl Stream {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire }
    }

    /// Ends the connection at once; the walsender notices and gives up the slot.
    pub async fn shutdown(mut self) {
        // A connection that is already broken is as good.
        let _ = self.wire.shutdown().await;
    }

    /// What carries the stream.
    #[must_use]
    pub fn transport_kind(&self) -> TransportKind {
        self.wire.kind()
    }

    /// Why the server has hung up, if it said so. What it sent before that was not taken, and comes
    /// again.
    async fn last_words(&mut self) -> Option<Error> {
        let reading = async {
            loop {
                while self.next_frame()?.is_some() {}
                self.wire.fill().await?;
            }
        };
        let read: Result<Result<(), Error>, _> =
            tokio::time::timeout(LAST_WORDS_LIMIT, reading).await;
        read.ok()?.err().filter(|error| error.sqlstate().is_some())
    }

    /// A message other than CopyData; `Ok` if the stream goes on.
    fn on_other(&mut self, tag: u8, body: std::ops::Range<usize>) -> Result<(), Error> {
        match tag {
            COPY_DONE_TAG | COMMAND_COMPLETE_TAG => return Err(Error::StreamEnded),
            // A setting can change while we stream; none of them matters here.
            PARAMETER_STATUS_TAG => return Ok(()),
            ERROR_RESPONSE_TAG | NOTICE_RESPONSE_TAG => {}
            _ => {
                let text = format!("a message '{}' in the stream", tag.escape_ascii());
                return Err(Error::Protocol(text));
            }
        }
        match parse(tag, self.wire.input.body(body))? {
            Message::ErrorResponse(body) => Err(Report::parse(body.fields())?.into_error()),
            Message::NoticeResponse(body) => self.wire.notices.on_notice(body.fields()),
            _ => Err(unexpected("the stream")),
        }
    }
}

impl Transport for Stream {
    type Error = Error;

    fn next_frame(&mut self) -> Result<Option<&[u8]>, Error> {
        loop {
            match self.wire.input.take(MESSAGE_BYTES_MAX)? {
                None => return Ok(None),
                Some((COPY_DATA_TAG, body)) => return Ok(Some(self.wire.input.body(body))),
                Some((tag, body)) => self.on_other(tag, body)?,
            }
        }
    }

    /// Waits until there are bytes, then takes all that are there, as far as the buffer goes; 0
    /// only if the buffer is full of frames that were not taken.
    async fn fill(&mut self) -> Result<usize, Error> {
        self.wire.fill().await
    }

    fn nap(&self) -> Duration {
        match self.wire.kind() {
            // The buffer is counted in rows here, each with its overhead: 120 of a few hundred bytes.
            TransportKind::Unix => Duration::from_micros(500),
            TransportKind::Tcp | TransportKind::Tls => Duration::from_millis(3),
        }
    }

    /// Cancel-safe: what a dropped call did not send goes out with the next.
    async fn send(&mut self, frame: &[u8]) -> Result<(), Error> {
        CopyData::new(frame).map_err(unsendable)?.write(&mut self.wire.output);
        match self.wire.flush().await {
            Err(error @ Error::Io(_)) => Err(self.last_words().await.unwrap_or(error)),
            sent => sent,
        }
    }

    /// Ends the stream in good order and waits, for a moment, until the walsender has gone and the
    /// slot is free. Frames that are still under way are dropped.
    async fn close(mut self) {
        frontend::copy_done(&mut self.wire.output);
        frontend::terminate(&mut self.wire.output);
        let goodbye = async {
            self.wire.flush().await?;
            self.wire.shutdown().await?;
            loop {
                while self.wire.input.take(MESSAGE_BYTES_MAX)?.is_some() {}
                self.wire.fill().await?;
            }
        };
        // It ends with an error by its nature: the server hangs up.
        let _: Result<Result<(), Error>, _> = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
    }

    fn class(error: &Error) -> Class {
        error.class()
    }
}
