//! Statements over a [`Wire`], and their answers: what plain sessions share with none of a walsender.
//!
//! Questions go by the extended protocol, so that values are never part of a statement. Rows come in
//! the form that is asked for, column by column as in the stream, and a portal gives them in portions:
//! who has enough stops asking. (COPY knows one form for all columns and can only be cancelled.)
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY>

use std::ops::Range;
use std::str::FromStr;

use fallible_iterator::FallibleIterator;
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{
    BIND_COMPLETE_TAG, CLOSE_COMPLETE_TAG, COMMAND_COMPLETE_TAG, DATA_ROW_TAG,
    EMPTY_QUERY_RESPONSE_TAG, ERROR_RESPONSE_TAG, Message, NOTICE_RESPONSE_TAG,
    PARAMETER_STATUS_TAG, PARSE_COMPLETE_TAG, PORTAL_SUSPENDED_TAG, READY_FOR_QUERY_TAG,
    ROW_DESCRIPTION_TAG,
};
use postgres_protocol::message::frontend;

use super::super::auth::unsendable;
use super::super::error::{Error, ServerError};
use super::super::input::MESSAGE_BYTES_MAX;
use super::super::report::Report;
use super::super::wire::{Wire, invalid, parse, unexpected};

/// A plain session.
#[derive(Debug)]
pub(super) struct Dialogue {
    wire: Wire,
    /// The questions that the server knows by their names.
    prepared: Vec<&'static str>,
}

/// A value for a question.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) type_oid: u32,
    pub(super) is_binary: bool,
    pub(super) bytes: &'a [u8],
}

/// A row in text form.
pub(super) struct Line(Vec<Option<Vec<u8>>>);

/// What ended an answer, or a portion of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// There are no more rows.
    Complete,
    /// There may be.
    Suspended,
    /// The server's error.
    Refused {
        /// In what.
        stage: Stage,
        /// What it said.
        server: ServerError,
    },
}

/// How far a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is being understood.
    Parse,
    /// Its values are being read, and it is being planned.
    Bind,
    /// It is being answered.
    Run,
}

impl<'a> Value<'a> {
    pub(super) fn text(type_oid: u32, text: &'a str) -> Self {
        Self { type_oid, is_binary: false, bytes: text.as_bytes() }
    }
}

impl Dialogue {
    pub(super) fn new(wire: Wire) -> Self {
        Self { wire, prepared: Vec::new() }
    }

    /// Runs statements without values and without rows.
    pub(super) async fn run(&mut self, statements: &str) -> Result<(), Error> {
        frontend::query(statements, &mut self.wire.output).map_err(unsendable)?;
        self.wire.flush().await?;
        refused(self.ending(|_| Ok(())).await?).map_or(Ok(()), |server| Err(Error::Server(server)))
    }

    /// The rows of a question.
    pub(super) async fn ask(
        &mut self,
        question: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Line>, Error> {
        self.open(UNNAMED, question, values, &[])?;
        self.call(UNNAMED, 0)?;
        self.lines().await
    }

    /// The same for a question that is asked for each chunk: the server, which takes longer to plan
    /// such a question than to answer it, keeps it under its name.
    pub(super) async fn ask_again(
        &mut self,
        name: &'static str,
        question: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Line>, Error> {
        let is_known = self.prepared.contains(&name);
        if !is_known {
            // It may have been understood, and no more.
            frontend::close(b'S', name, &mut self.wire.output).map_err(unsendable)?;
            self.understand(name, question, values)?;
        }
        self.bind(UNNAMED, name, values, &[])?;
        self.call(UNNAMED, 0)?;
        let lines = self.lines().await?;
        if !is_known {
            self.prepared.push(name);
        }
        Ok(lines)
    }

    async fn lines(&mut self) -> Result<Vec<Line>, Error> {
        let mut lines = Vec::new();
        let ending = self.portion(|body| {
            lines.push(line(body)?);
            Ok(())
        });
        refused(ending.await?).map_or(Ok(lines), |server| Err(Error::Server(server)))
    }

    /// The only row of a question.
    pub(super) async fn ask_one(
        &mut self,
        question: &str,
        values: &[Value<'_>],
    ) -> Result<Line, Error> {
        let mut lines = self.ask(question, values).await?;
        match lines.pop() {
            Some(line) if lines.is_empty() => Ok(line),
            _ => Err(Error::Protocol("a question about a table has not one answer".to_owned())),
        }
    }

    /// Opens a portal; each column comes in binary form where `is_binary` says so, all in text form if
    /// that is empty. Sent with the first [`call`](Self::call).
    pub(super) fn open(
        &mut self,
        portal: &str,
        question: &str,
        values: &[Value<'_>],
        is_binary: &[bool],
    ) -> Result<(), Error> {
        self.understand(UNNAMED, question, values)?;
        self.bind(portal, UNNAMED, values, is_binary)
    }

    fn understand(
        &mut self,
        name: &str,
        question: &str,
        values: &[Value<'_>],
    ) -> Result<(), Error> {
        let types = values.iter().map(|value| value.type_oid);
        frontend::parse(name, question, types, &mut self.wire.output).map_err(unsendable)
    }

    fn bind(
        &mut self,
        portal: &str,
        name: &str,
        values: &[Value<'_>],
        is_binary: &[bool],
    ) -> Result<(), Error> {
        let formats = values.iter().map(|value| i16::from(value.is_binary));
        let write = |value: &Value<'_>, buffer: &mut bytes::BytesMut| {
            buffer.extend_from_slice(value.bytes);
            Ok(IsNull::No)
        };
        let results = is_binary.iter().map(|is_binary| i16::from(*is_binary));
        let output = &mut self.wire.output;
        frontend::bind(portal, name, formats, values, write, results, output).map_err(|_| {
            Error::Protocol("a question with more or larger values than can be sent".to_owned())
        })
    }

    /// Asks for the next `rows` of a portal, 0 is all; the answer is one
    /// [`portion`](Self::portion).
    pub(super) fn call(&mut self, portal: &str, rows: i32) -> Result<(), Error> {
        frontend::execute(portal, rows, &mut self.wire.output).map_err(unsendable)?;
        frontend::sync(&mut self.wire.output);
        Ok(())
    }

    /// Runs a statement before what is called next, with whose answer its own comes.
    pub(super) fn before(&mut self, statement: &str) -> Result<(), Error> {
        self.open(UNNAMED, statement, &[], &[])?;
        frontend::execute(UNNAMED, 0, &mut self.wire.output).map_err(unsendable)
    }

    /// Sends what was asked for, and gives the body of each row of the next portion to `take`.
    pub(super) async fn portion(
        &mut self,
        take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Ending, Error> {
        self.wire.flush().await?;
        self.ending(take).await
    }

    /// Ends the session.
    pub(super) async fn close(mut self) {
        frontend::terminate(&mut self.wire.output);
        // The server also notices a connection that just ends.
        if self.wire.flush().await.is_ok() {
            let _ = self.wire.shutdown().await;
        }
    }

    /// Reads up to where the server is ready again; `take` gets the rows.
    async fn ending(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<Ending, Error> {
        let (mut ending, mut stage) = (Ending::Complete, Stage::Parse);
        loop {
            let Some((tag, body)) = self.wire.input.take(MESSAGE_BYTES_MAX)? else {
                match (self.wire.fill().await, refused(ending.clone())) {
                    (Ok(_), _) => continue,
                    // After a FATAL error the server hangs up.
                    (Err(_), Some(server)) => return Err(Error::Server(server)),
                    (Err(error), None) => return Err(error),
                }
            };
            match tag {
                DATA_ROW_TAG => take(self.wire.input.body(body))?,
                PARSE_COMPLETE_TAG if stage == Stage::Parse => stage = Stage::Bind,
                BIND_COMPLETE_TAG => stage = Stage::Run,
                PORTAL_SUSPENDED_TAG => ending = Ending::Suspended,
                CLOSE_COMPLETE_TAG
                | COMMAND_COMPLETE_TAG
                | EMPTY_QUERY_RESPONSE_TAG
                | PARAMETER_STATUS_TAG
                | PARSE_COMPLETE_TAG
                | ROW_DESCRIPTION_TAG => {}
                READY_FOR_QUERY_TAG => return Ok(ending),
                ERROR_RESPONSE_TAG => {
                    let server = self.report(tag, body)?;
                    ending = Ending::Refused { stage, server };
                }
                NOTICE_RESPONSE_TAG => self.notice(tag, body)?,
                _ => return Err(unexpected("the answer to a question")),
            }
        }
    }

    fn report(&self, tag: u8, body: Range<usize>) -> Result<ServerError, Error> {
        match parse(tag, self.wire.input.body(body))? {
            Message::ErrorResponse(body) => Ok(Report::parse(body.fields())?.server),
            _ => Err(unexpected("an error")),
        }
    }

    fn notice(&mut self, tag: u8, body: Range<usize>) -> Result<(), Error> {
        match parse(tag, self.wire.input.body(body))? {
            Message::NoticeResponse(body) => self.wire.notices.on_notice(body.fields()),
            _ => Err(unexpected("a notice")),
        }
    }
}

impl Line {
    /// A column that is not NULL.
    pub(super) fn bytes(&self, index: usize) -> Result<&[u8], Error> {
        self.0.get(index).and_then(|column| column.as_deref()).ok_or_else(|| unreadable(index))
    }

    /// The same as text.
    pub(super) fn text(&self, index: usize) -> Result<&str, Error> {
        std::str::from_utf8(self.bytes(index)?).map_err(|_| unreadable(index))
    }

    /// The same, or `None` for NULL.
    pub(super) fn perhaps(&self, index: usize) -> Result<Option<&str>, Error> {
        match self.0.get(index) {
            Some(None) => Ok(None),
            _ => self.text(index).map(Some),
        }
    }

    /// All columns as text, `None` for NULL and what is not UTF-8.
    pub(super) fn texts(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.iter().map(|column| std::str::from_utf8(column.as_deref()?).ok())
    }

    /// The same as a number, an LSN or the like.
    pub(super) fn parsed<T: FromStr>(&self, index: usize) -> Result<T, Error> {
        self.text(index)?.parse().map_err(|_| unreadable(index))
    }

    /// The same as a boolean.
    pub(super) fn flag(&self, index: usize) -> Result<bool, Error> {
        Ok(self.text(index)? == "t")
    }
}

/// The error, if that ended it.
pub(super) fn refused(ending: Ending) -> Option<ServerError> {
    match ending {
        Ending::Refused { server, .. } => Some(server),
        Ending::Complete | Ending::Suspended => None,
    }
}

/// A list as PostgreSQL's text form of `text[]`.
pub(super) fn array(texts: &[String]) -> String {
    let quoted = |text: &String| {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{text}\"")
    };
    let quoted: Vec<_> = texts.iter().map(quoted).collect();
    format!("{{{}}}", quoted.join(","))
}

/// A row of an answer.
pub(super) fn line(body: &[u8]) -> Result<Line, Error> {
    match parse(DATA_ROW_TAG, body)? {
        Message::DataRow(row) => {
            let buffer = row.buffer();
            let column = |range: Option<Range<usize>>| {
                Ok(range.and_then(|range| buffer.get(range)).map(<[u8]>::to_vec))
            };
            row.ranges().map(column).collect().map(Line).map_err(invalid)
        }
        _ => Err(unexpected("a row")),
    }
}

fn unreadable(index: usize) -> Error {
    Error::Protocol(format!("column {index} of the answer to a question does not read"))
}

/// The statement and the portal that the next ones take the place of.
const UNNAMED: &str = "";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_quoted() {
        let texts = ["plain", r#"a"b"#, r"c\d", "e,{}", ""].map(str::to_owned);
        assert_eq!(array(&texts), r#"{"plain","a\"b","c\\d","e,{}",""}"#);
        assert_eq!(array(&[]), "{}");
    }
}
