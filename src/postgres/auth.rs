//! Start-up and authentication of a replication connection.
//!
//! ```text
//!  us      StartupMessage        password / SASL …
//!  server                 R (what it wants) … R (Ok)  S S S  K  Z
//! ```
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>

use std::collections::HashMap;
use std::io;

use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{
    self, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256,
};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use crate::config::{ChannelBinding, Postgres};

use super::connect::Peer;
use super::error::{Error, INVALID_PASSWORD, ServerError};
use super::report::Report;
use super::wire::{Wire, invalid, unexpected};

/// A longer message before the connection is ready is an attack or not PostgreSQL.
const STARTUP_MESSAGE_BYTES_MAX: u64 = 64 * 1024;

/// SCRAM takes three.
const AUTHENTICATION_ROUNDS_MAX: usize = 8;

/// Settings reported and other messages between authentication and the first ReadyForQuery.
const STARTUP_MESSAGES_MAX: usize = 1024;

/// Starts the session; returns the server's reported settings (`server_version`, …).
pub(super) async fn start(
    wire: &mut Wire,
    postgres: &Postgres,
    peer: &Peer,
    parameters: &[(&str, &str)],
) -> Result<HashMap<String, String>, Error> {
    frontend::startup_message(parameters.iter().copied(), &mut wire.output).map_err(unsendable)?;
    wire.flush().await?;
    authenticate(wire, postgres, peer).await?;
    settings(wire, postgres, peer).await
}

async fn authenticate(wire: &mut Wire, postgres: &Postgres, peer: &Peer) -> Result<(), Error> {
    let is_binding_required = postgres.channel_binding == ChannelBinding::Require;
    let unbound = |reason| Err(Error::ChannelBinding { host: peer.host.clone(), reason });
    let mut scram: Option<Scram> = None;
    for _ in 0..AUTHENTICATION_ROUNDS_MAX {
        match wire.message(STARTUP_MESSAGE_BYTES_MAX).await? {
            Message::AuthenticationOk => {
                return match scram {
                    Some(scram) if !scram.is_verified => {
                        Err(peer
                            .authentication("the server did not prove that it knows the password"))
                    }
                    None if is_binding_required => unbound("did not ask for scram-sha-256"),
                    _ => Ok(()),
                };
            }
            Message::AuthenticationCleartextPassword | Message::AuthenticationMd5Password(_)
                if is_binding_required =>
            {
                return unbound("asks for a password without channel binding");
            }
            Message::AuthenticationCleartextPassword => {
                let password = peer.password(postgres)?;
                frontend::password_message(password, &mut wire.output).map_err(unsendable)?;
            }
            Message::AuthenticationMd5Password(body) => {
                let password = peer.password(postgres)?;
                let hash = md5_hash(postgres.user.as_bytes(), password, body.salt());
                frontend::password_message(hash.as_bytes(), &mut wire.output)
                    .map_err(unsendable)?;
            }
            Message::AuthenticationSasl(body) if scram.is_none() => {
                scram = Some(Scram::begin(wire, postgres, peer, &body)?);
            }
            Message::AuthenticationSaslContinue(body) => {
                let Some(scram) = &mut scram else { return Err(unexpected("authentication")) };
                scram.exchange.update(body.data()).map_err(|error| peer.scram(&error))?;
                frontend::sasl_response(scram.exchange.message(), &mut wire.output)
                    .map_err(unsendable)?;
            }
            Message::AuthenticationSaslFinal(body) => {
                let Some(scram) = &mut scram else { return Err(unexpected("authentication")) };
                scram.exchange.finish(body.data()).map_err(|error| peer.scram(&error))?;
                scram.is_verified = true;
            }
            Message::ErrorResponse(body) => {
                let server = Report::parse(body.fields())?.server;
                return Err(refusal(server, postgres, peer));
            }
            other => return Err(unsupported(&other, peer)),
        }
        wire.flush().await?;
    }
    Err(peer.authentication("the server asks again and again"))
}

struct Scram {
    exchange: ScramSha256,
    is_verified: bool,
}

impl Scram {
    /// Chooses the mechanism and queues the first message.
    fn begin(
        wire: &mut Wire,
        postgres: &Postgres,
        peer: &Peer,
        body: &AuthenticationSaslBody,
    ) -> Result<Self, Error> {
        let offered: Vec<&str> = body.mechanisms().collect().map_err(invalid)?;
        let password = peer.password(postgres)?;
        let end_point = wire.server_end_point();
        let (mechanism, binding) = choose(&offered, end_point, postgres.channel_binding).map_err(
            |refusal| match refusal {
                Unbound::NoMechanism => {
                    peer.authentication("the server offers no SASL mechanism that is supported")
                }
                Unbound::Reason(reason) => {
                    Error::ChannelBinding { host: peer.host.clone(), reason }
                }
            },
        )?;
        let exchange = ScramSha256::new(password, binding);
        frontend::sasl_initial_response(mechanism, exchange.message(), &mut wire.output)
            .map_err(unsendable)?;
        Ok(Self { exchange, is_verified: false })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Unbound {
    NoMechanism,
    Reason(&'static str),
}

/// The mechanism, and what we say of channel binding: used, not possible for us ("n"), or possible
/// for us but not offered ("y", which the server refuses if it did offer it: a downgrade).
fn choose(
    offered: &[&str],
    end_point: Option<Vec<u8>>,
    wanted: ChannelBinding,
) -> Result<(&'static str, sasl::ChannelBinding), Unbound> {
    let end_point = end_point.filter(|_| wanted != ChannelBinding::Disable);
    let is_required = wanted == ChannelBinding::Require;
    match (offered.contains(&SCRAM_SHA_256_PLUS), offered.contains(&SCRAM_SHA_256), end_point) {
        (true, _, Some(end_point)) => {
            Ok((SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(end_point)))
        }
        (_, _, None) if is_required => {
            Err(Unbound::Reason("is not connected over TLS with a certificate that can be bound"))
        }
        (false, _, _) if is_required => Err(Unbound::Reason("does not offer SCRAM-SHA-256-PLUS")),
        (_, true, None) => Ok((SCRAM_SHA_256, sasl::ChannelBinding::unsupported())),
        (_, true, Some(_)) => Ok((SCRAM_SHA_256, sasl::ChannelBinding::unrequested())),
        (_, false, _) => Err(Unbound::NoMechanism),
    }
}

/// The reported settings, up to the first ReadyForQuery.
async fn settings(
    wire: &mut Wire,
    postgres: &Postgres,
    peer: &Peer,
) -> Result<HashMap<String, String>, Error> {
    let mut settings = HashMap::new();
    for _ in 0..STARTUP_MESSAGES_MAX {
        match wire.message(STARTUP_MESSAGE_BYTES_MAX).await? {
            Message::BackendKeyData(_) => {}
            Message::ParameterStatus(body) => {
                let name = body.name().map_err(invalid)?.to_owned();
                settings.insert(name, body.value().map_err(invalid)?.to_owned());
            }
            Message::ReadyForQuery(_) => return Ok(settings),
            Message::ErrorResponse(body) => {
                let server = Report::parse(body.fields())?.server;
                return Err(refusal(server, postgres, peer));
            }
            _ => return Err(unexpected("start-up")),
        }
    }
    Err(Error::Protocol("start-up does not end".to_owned()))
}

/// What a refusal of the server during authentication means.
pub(super) fn refusal(server: ServerError, postgres: &Postgres, peer: &Peer) -> Error {
    let host = peer.host.clone();
    if server.is_of_pooler() {
        return Error::Pooler { host, server };
    }
    if server.code != INVALID_PASSWORD {
        return Error::Refused { host, server };
    }
    Error::Password {
        host,
        user: postgres.user.clone(),
        from_passfile: peer.is_from_passfile,
        server,
    }
}

fn unsupported(message: &Message, peer: &Peer) -> Error {
    let method = match message {
        Message::AuthenticationGss | Message::AuthenticationGssContinue(_) => "GSSAPI",
        Message::AuthenticationKerberosV5 => "Kerberos",
        Message::AuthenticationScmCredential => "SCM credential",
        Message::AuthenticationSspi => "SSPI",
        _ => return unexpected("authentication"),
    };
    Error::AuthMethod { host: peer.host.clone(), method }
}

/// A setting with a zero byte, or longer than a message can be.
pub(super) fn unsendable(error: io::Error) -> Error {
    Error::Protocol(format!("a setting cannot be sent: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mechanism_follows_offer_and_setting() {
        use ChannelBinding::{Disable, Prefer, Require};
        const BOTH: &[&str] = &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
        const PLAIN: &[&str] = &[SCRAM_SHA_256];
        let cases = [
            (BOTH, true, Prefer, "SCRAM-SHA-256-PLUS p=tls-server-end-point,,"),
            (BOTH, true, Require, "SCRAM-SHA-256-PLUS p=tls-server-end-point,,"),
            (BOTH, true, Disable, "SCRAM-SHA-256 n,,"),
            (BOTH, false, Prefer, "SCRAM-SHA-256 n,,"),
            (BOTH, false, Require, "none"),
            (PLAIN, true, Prefer, "SCRAM-SHA-256 y,,"),
            (PLAIN, true, Require, "none"),
            (PLAIN, false, Prefer, "SCRAM-SHA-256 n,,"),
            (&["OAUTHBEARER"], true, Prefer, "none"),
        ];
        for (offered, is_tls, wanted, expect) in cases {
            let chosen = choose(offered, is_tls.then(|| vec![1; 32]), wanted);
            let told = chosen.map_or_else(
                |_| "none".to_owned(),
                |(mechanism, binding)| {
                    let exchange = ScramSha256::new(b"x", binding);
                    let first = String::from_utf8_lossy(exchange.message()).into_owned();
                    let header = first.split_inclusive(',').take(2).collect::<String>();
                    format!("{mechanism} {header}")
                },
            );
            assert_eq!(told, expect, "{offered:?} {wanted:?}");
        }
    }
}
