//! What a session must be to serve us, whether it is the stream's or the catalog's: the server's
//! version and role, and the settings on which what we read depends.
//!
//! Settings are asked for at log-in, where they stand above those of database and role. A pooler may
//! drop them there, so the session is asked afterwards what it has.

use std::time::Duration;

use crate::config::{Postgres, Target};
use crate::types::SESSION_SETTINGS;

use super::error::Error;
use super::quote::literal;
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
        Target::Standby if !is_standby => Err(Error::NotStandby { host: host() }),
        Target::Any | Target::Primary | Target::ReadWrite | Target::Standby => Ok(major),
    }
}

/// The settings that a session is to have, as the server shows them.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Asked for at log-in.
    asked: Vec<(&'static str, String)>,
    /// Set behind it, since not every server knows them.
    later: Vec<(&'static str, &'static str)>,
}

impl Settings {
    /// Those of every session of ours, and `own`.
    pub(super) fn with(own: &[(&'static str, String)]) -> Self {
        let shared = SESSION_SETTINGS.iter().chain(UNTIMED);
        let shared = shared.map(|&(name, value)| (name, value.to_owned()));
        Self { asked: own.iter().cloned().chain(shared).collect(), later: Vec::new() }
    }

    /// The same on a server of this version.
    pub(super) fn on(mut self, major: u32) -> Self {
        if 17 <= major {
            self.later.extend(UNTIMED_SINCE_17);
        }
        self
    }

    /// The same where the database has no encoding: the server cannot convert its bytes, and would
    /// refuse those that are not UTF-8 for ever. They come as they are, and what a field makes of
    /// them is ours to say.
    pub(super) fn unconverted(mut self) -> Self {
        self.asked.retain(|(name, _)| *name != CLIENT_ENCODING);
        self.later.push((CLIENT_ENCODING, NO_ENCODING));
        self
    }

    /// The same for a session that reads tables. Set behind the log-in: a server that is asked there for
    /// read-only transactions passes for one that takes no writes, and what a setting was at the
    /// log-in is what it can be set back to: the role's own search path.
    pub(super) fn for_snapshots(mut self) -> Self {
        self.later.push(("default_transaction_read_only", "on"));
        // Nothing that a user has created may stand before the catalog's own names.
        self.later.push((SEARCH_PATH, "pg_catalog"));
        self
    }

    /// The same for a session that runs statements of others, which rely on the role's own search path:
    /// what a setting was at the log-in is what it can be set back to.
    pub(super) fn for_ddl(mut self) -> Self {
        self.asked.retain(|(name, _)| *name != SEARCH_PATH);
        self.later.push((SEARCH_PATH, "pg_catalog"));
        self
    }

    /// As parameters of the log-in.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.asked.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Sets what is set later, and asks in one row for what the session has then and for when the
    /// server was started. Nothing in it depends on the search path, which for the stream is the
    /// role's.
    pub(super) fn question(&self) -> String {
        let found = self.asked.iter().map(|(name, _)| {
            let name = literal(name);
            format!("pg_catalog.current_setting({name})")
        });
        let set = self.later.iter().map(|(name, value)| {
            let (name, value) = (literal(name), literal(value));
            format!("pg_catalog.set_config({name}, {value}, false)")
        });
        let columns: Vec<_> = found.chain(set).collect();
        format!("SELECT {}, pg_catalog.pg_postmaster_start_time()", columns.join(", "))
    }

    /// Compares the answer to [`question`](Self::question); returns when the server was started,
    /// by which it is told from others.
    ///
    /// # Errors
    ///
    /// If the session has another setting than it was asked for.
    pub(super) fn settle<'a>(
        &self,
        host: &str,
        mut found: impl Iterator<Item = Option<&'a str>>,
    ) -> Result<String, Error> {
        for (name, asked) in self.parameters().chain(self.later.iter().copied()) {
            let found = found.next().flatten().unwrap_or_default();
            // DateStyle is shown with the order of fields, on which our form does not depend.
            let style = found.split(", ").next().unwrap_or_default();
            if found != asked && style != asked {
                let (host, found) = (host.to_owned(), found.to_owned());
                return Err(Error::Setting { host, name, asked: asked.to_owned(), found });
            }
        }
        Ok(found.next().flatten().unwrap_or_default().to_owned())
    }
}

const SEARCH_PATH: &str = "search_path";

const CLIENT_ENCODING: &str = "client_encoding";

/// The encoding of a database that has none.
pub(super) const NO_ENCODING: &str = "SQL_ASCII";

/// Limits of a database or role that would end a session of ours, or a wait, where nothing is wrong:
/// the catalog is asked every ten seconds, and a slot that is made waits for transactions of others.
const UNTIMED: &[(&str, &str)] = &[("idle_session_timeout", "0"), ("lock_timeout", "0")];

/// A walsender reads each transaction inside of one of its own, for as long as we take its rows.
const UNTIMED_SINCE_17: &[(&str, &str)] = &[("transaction_timeout", "0")];

/// A time as the server shows a setting of milliseconds: in the largest unit that fits.
pub(super) fn shown(time: Duration) -> String {
    const UNITS: &[(&str, u128)] =
        &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)];
    let millis = time.as_millis();
    let fits = |(_, size): &&(&str, u128)| 0 < millis && millis.is_multiple_of(*size);
    match UNITS.iter().find(fits) {
        Some((unit, size)) => format!("{}{unit}", millis / size),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_the_server_shows_them() {
        let cases = [
            (1, "1ms"),
            (1500, "1500ms"),
            (10_000, "10s"),
            (90_000, "90s"),
            (120_000, "2min"),
            (3_600_000, "1h"),
            (90_000_000, "25h"),
            (172_800_000, "2d"),
        ];
        for (millis, expect) in cases {
            assert_eq!(shown(Duration::from_millis(millis)), expect);
        }
    }

    #[test]
    fn a_setting_that_differs_is_told_with_both_values() {
        let settings = Settings::with(&[("wal_sender_timeout", shown(Duration::from_secs(10)))]);
        let found = |other: Option<(&str, &'static str)>| {
            let mut found: Vec<_> =
                settings.parameters().map(|(name, asked)| (name, Some(asked))).collect();
            for (name, value) in &mut found {
                match other {
                    Some((differs, is)) if *name == differs => *value = Some(is),
                    _ if *name == "DateStyle" => *value = Some("ISO, DMY"),
                    _ => {}
                }
            }
            let started = std::iter::once(Some("2026-11-28 04:00:00+00"));
            settings.settle("db:6432", found.into_iter().map(|(_, value)| value).chain(started))
        };
        assert_eq!(found(None).unwrap(), "2026-11-28 04:00:00+00");
        let cases = [
            ("wal_sender_timeout", "1min", "10s"),
            ("extra_float_digits", "0", "3"),
            ("DateStyle", "SQL, DMY", "ISO"),
        ];
        for (name, is, asked) in cases {
            let error = found(Some((name, is))).unwrap_err().to_string();
            for part in ["db:6432", name, is, asked] {
                assert!(error.contains(part), "{part}: {error}");
            }
        }
    }
}
