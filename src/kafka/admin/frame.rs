//! Frames of Kafka's protocol: a request goes out, its answer comes in.
//!
//! ```text
//!  request: length i32 │ api key i16 │ version i16 │ correlation id i32 │ client id │ body
//!  answer:  length i32 │ correlation id i32 │ body
//! ```
//!
//! kafka-protocol writes and reads the bodies. It makes room for as many elements as a count of an
//! answer says, so each answer is measured first, by the layout that its versions have: then every
//! count is one of elements that are there. Only versions without tagged fields are used, since they
//! have one layout for all brokers.
//!
//! Source: <https://kafka.apache.org/protocol.html>

use std::fmt;
use std::io::{self, Read, Write};
use std::marker::PhantomData;

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, CreateTopicsRequest, CreateTopicsResponse,
    DescribeConfigsRequest, DescribeConfigsResponse, MetadataRequest, MetadataResponse,
    RequestHeader, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use kafka_protocol::protocol::{
    Decodable, Encodable, StrBytes, VersionRange, encode_request_header_into_buffer,
};

/// The largest answer, bytes: the settings of a hundred topics are less than one MiB.
const ANSWER_BYTES_MAX: u32 = 16 << 20;

/// A request, and how its answer is laid out in the versions that we speak.
pub(super) struct Api<Q, A> {
    pub(super) key: ApiKey,
    pub(super) versions: VersionRange,
    answer: &'static [Field],
    types: PhantomData<fn(Q) -> A>,
}

/// A part of an answer.
enum Field {
    /// So many of what follows.
    Array(&'static [Self]),
    /// A length of 32 bits, and so many bytes.
    Blob,
    /// So many bytes.
    Fixed(usize),
    /// A length of 16 bits, and so many bytes.
    Text,
}

use Field::{Array, Blob, Fixed, Text};

pub(super) const API_VERSIONS: Api<ApiVersionsRequest, ApiVersionsResponse> =
    Api::new(ApiKey::ApiVersions, 0, 0, &[Fixed(2), Array(&[Fixed(6)])]);

/// From version 4 on partitions and replicas may be the brokers' defaults.
pub(super) const CREATE_TOPICS: Api<CreateTopicsRequest, CreateTopicsResponse> =
    Api::new(ApiKey::CreateTopics, 2, 4, &[Fixed(4), Array(&[Text, Fixed(2), Text])]);

pub(super) const DESCRIBE_CONFIGS: Api<DescribeConfigsRequest, DescribeConfigsResponse> = {
    const SYNONYM: &[Field] = &[Text, Text, Fixed(1)];
    const SETTING: &[Field] = &[Text, Text, Fixed(3), Array(SYNONYM)];
    const RESOURCE: &[Field] = &[Fixed(2), Text, Fixed(1), Text, Array(SETTING)];
    Api::new(ApiKey::DescribeConfigs, 1, 2, &[Fixed(4), Array(RESOURCE)])
};

/// From version 1 on it names the controller.
pub(super) const METADATA: Api<MetadataRequest, MetadataResponse> = {
    const BROKER: &[Field] = &[Fixed(4), Text, Fixed(4), Text];
    const BROKERS: Field = Array(&[Fixed(4)]);
    const PARTITION: &[Field] = &[Fixed(10), BROKERS, BROKERS];
    const TOPIC: &[Field] = &[Fixed(2), Text, Fixed(1), Array(PARTITION)];
    Api::new(ApiKey::Metadata, 1, 1, &[Array(BROKER), Fixed(4), Array(TOPIC)])
};

pub(super) const SASL_AUTHENTICATE: Api<SaslAuthenticateRequest, SaslAuthenticateResponse> =
    Api::new(ApiKey::SaslAuthenticate, 0, 0, &[Fixed(2), Text, Blob]);

pub(super) const SASL_HANDSHAKE: Api<SaslHandshakeRequest, SaslHandshakeResponse> =
    Api::new(ApiKey::SaslHandshake, 1, 1, &[Fixed(2), Array(&[Text])]);

impl<Q, A> Api<Q, A> {
    const fn new(key: ApiKey, min: i16, max: i16, answer: &'static [Field]) -> Self {
        Self { key, versions: VersionRange { min, max }, answer, types: PhantomData }
    }
}

impl<Q: Encodable, A: Decodable> Api<Q, A> {
    /// Sends `request` and waits for its answer.
    pub(super) fn exchange(
        &self,
        stream: &mut (impl Read + Write),
        head: &Head<'_>,
        request: &Q,
    ) -> Result<A, Broken> {
        stream.write_all(&self.frame(head, request)?)?;
        stream.flush()?;
        let body = read_answer(stream, head.correlation_id)?;
        self.parse(body, head.version)
    }

    fn frame(&self, head: &Head<'_>, request: &Q) -> Result<BytesMut, Broken> {
        let header = RequestHeader::default()
            .with_request_api_key(self.key as i16)
            .with_request_api_version(head.version)
            .with_correlation_id(head.correlation_id)
            .with_client_id(Some(StrBytes::from_string(head.client_id.to_owned())));
        let mut body = BytesMut::new();
        encode_request_header_into_buffer(&mut body, &header).map_err(|_| Broken::Unwritable)?;
        request.encode(&mut body, head.version).map_err(|_| Broken::Unwritable)?;
        let length = i32::try_from(body.len()).map_err(|_| Broken::Unwritable)?;
        let mut frame = BytesMut::with_capacity(body.len() + size_of::<i32>());
        frame.put_i32(length);
        frame.put(body);
        Ok(frame)
    }

    fn parse(&self, mut body: Bytes, version: i16) -> Result<A, Broken> {
        let mut rest = Rest(&body);
        rest.skip(self.answer)?;
        if !rest.0.is_empty() {
            return Err(Broken::Malformed("bytes behind its end"));
        }
        A::decode(&mut body, version).map_err(|_| Broken::Malformed("a value that it cannot have"))
    }
}

/// What stands before a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) version: i16,
    pub(super) correlation_id: i32,
    pub(super) client_id: &'a str,
}

/// Why there is no answer. No variant holds a part of what was sent or received.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("it closed the connection")]
    Closed,
    #[error(transparent)]
    Io(io::Error),
    #[error("its answer is not Kafka's: {0}")]
    Malformed(&'static str),
    #[error("its answer is to another request")]
    Mismatched,
    #[error("its answer is not Kafka's: a frame of {0} bytes")]
    Oversized(i32),
    #[error("it did not answer in time")]
    Silent,
    #[error("the request is too long for Kafka's protocol")]
    Unwritable,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset => Self::Closed,
            // Which of both a time-out of a socket is depends on the system.
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Silent,
            _ => Self::Io(error),
        }
    }
}

/// The body of the next answer, which must be to this request.
fn read_answer(stream: &mut impl Read, correlation_id: i32) -> Result<Bytes, Broken> {
    let length = read_i32(stream)?;
    let body_bytes = u32::try_from(length)
        .ok()
        .filter(|bytes| *bytes <= ANSWER_BYTES_MAX)
        .and_then(|bytes| usize::try_from(bytes).ok()?.checked_sub(size_of::<i32>()))
        .ok_or(Broken::Oversized(length))?;
    if read_i32(stream)? != correlation_id {
        return Err(Broken::Mismatched);
    }
    let mut body = vec![0; body_bytes];
    stream.read_exact(&mut body)?;
    Ok(body.into())
}

fn read_i32(stream: &mut impl Read) -> Result<i32, Broken> {
    let mut bytes = [0; size_of::<i32>()];
    stream.read_exact(&mut bytes)?;
    Ok(i32::from_be_bytes(bytes))
}

/// What of an answer is not measured yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    /// Goes past `layout`. An element has at least one byte, so a count can be no larger than what
    /// is there.
    fn skip(&mut self, layout: &[Field]) -> Result<(), Broken> {
        for field in layout {
            match field {
                Array(element) => {
                    for _ in 0..self.length()? {
                        self.skip(element)?;
                    }
                }
                Blob => {
                    let bytes = self.length()?;
                    self.take(bytes)?;
                }
                Fixed(bytes) => {
                    self.take(*bytes)?;
                }
                Text => {
                    let bytes = i16::from_be_bytes(*self.array()?);
                    self.take(present(bytes.into())?)?;
                }
            }
        }
        Ok(())
    }

    fn length(&mut self) -> Result<usize, Broken> {
        present(i32::from_be_bytes(*self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Result<&[u8; N], Broken> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn take(&mut self, bytes: usize) -> Result<(), Broken> {
        self.0 = self.0.get(bytes..).ok_or(SHORT)?;
        Ok(())
    }
}

const SHORT: Broken = Broken::Malformed("less than it announces");

/// A length; −1 is that of nothing.
fn present(length: i32) -> Result<usize, Broken> {
    match length {
        -1 => Ok(0),
        length => usize::try_from(length).map_err(|_| Broken::Malformed("a length below nothing")),
    }
}

impl<Q, A> fmt::Debug for Api<Q, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.key, self.versions)
    }
}

#[cfg(test)]
mod tests;
