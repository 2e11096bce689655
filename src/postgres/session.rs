//! What a server must be to serve us, whether with the stream or with the catalog.

use crate::config::{Postgres, Target};

use super::error::Error;
use super::replication::SERVER_VERSION_MIN;

/// Judges a server by what it reports at log-in; returns its major version, such as 17.
///
/// # Errors
///
/// If it is too old, or in a role that the configuration does not want.
pub(super) fn suits<'a>(
    postgres: &Postgres,
    host: &str,
    reported: impl Fn(&str) -> Option<&'a str>,
) -> Result<u32, Error> {
    let host = || host.to_owned();
    let version = reported("server_version").unwrap_or_default();
    let digits = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    let major = digits.parse().unwrap_or_default();
    if major < SERVER_VERSION_MIN {
        return Err(Error::ServerTooOld { host: host(), version: version.to_owned() });
    }
    // As libpq judges since version 14 of the server.
    let is_on = |name| reported(name) == Some("on");
    let is_standby = is_on("in_hot_standby");
    match postgres.target {
        Target::Primary if is_standby => Err(Error::NotPrimary { host: host() }),
        Target::ReadWrite if is_standby || is_on("default_transaction_read_only") => {
            Err(Error::ReadOnly { host: host() })
        }
        Target::Any | Target::Primary | Target::ReadWrite => Ok(major),
    }
}
