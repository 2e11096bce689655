//! The section `[replication]`: how the slot is read.

use serde::Deserialize;
use toml::Spanned;

use super::value::{Fault, Key, Time, choice_or, within};
use crate::config::{self, Binary, Failover};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replication {
    slot: Key<String>,
    publications: Key<Vec<String>>,
    binary: Key<String>,
    failover: Key<String>,
    wal_sender_timeout: Key<Time>,
    checkpoint_interval: Key<Time>,
    retry_delay_min: Key<Time>,
    retry_delay_max: Key<Time>,
    standby_poll: Key<Time>,
}

/// PostgreSQL's limit of a name (NAMEDATALEN − 1).
const NAME_BYTES_MAX: usize = 63;

pub(super) fn build(section: Option<Spanned<Replication>>) -> Result<config::Replication, Fault> {
    let Some(section) = section else {
        return Err(Fault::nowhere(
            "the section [replication] is missing: it needs `slot` and `publications`",
        ));
    };
    let span = section.span();
    let lacks = |message: &str| Fault { span: Some(span.clone()), message: message.to_owned() };
    let section = section.into_inner();
    let slot = section.slot.as_ref().ok_or_else(|| {
        lacks("`replication.slot` is missing: the replication slot's name, such as \"walbrook\"")
    })?;
    let publications = section.publications.as_ref().ok_or_else(|| {
        lacks("`replication.publications` is missing: such as publications = [\"walbrook\"]")
    })?;
    let binaries = [("auto", Binary::Auto), ("never", Binary::Never)];
    let failovers = [("auto", Failover::Auto), ("never", Failover::Never)];
    let limit = |name, key, default, low| {
        let bounds = (low, Time::seconds(3600));
        within(name, key, default, bounds).map(|Time(duration)| duration)
    };
    let interval = &section.checkpoint_interval;
    let built = config::Replication {
        slot: slot_name(slot)?,
        publications: publication_names(publications)?,
        binary: choice_or("replication.binary", &section.binary, Binary::Auto, &binaries)?,
        failover: choice_or("replication.failover", &section.failover, Failover::Auto, &failovers)?,
        wal_sender_timeout: limit(
            "replication.wal_sender_timeout",
            &section.wal_sender_timeout,
            Time::seconds(10),
            Time::seconds(1),
        )?,
        checkpoint_interval: limit(
            "replication.checkpoint_interval",
            interval,
            Time::seconds(10),
            SHORTEST,
        )?,
        retry_delay_min: limit(
            "replication.retry_delay_min",
            &section.retry_delay_min,
            Time::millis(100),
            SHORTEST,
        )?,
        retry_delay_max: limit(
            "replication.retry_delay_max",
            &section.retry_delay_max,
            Time::seconds(30),
            SHORTEST,
        )?,
        standby_poll: limit(
            "replication.standby_poll",
            &section.standby_poll,
            Time::seconds(1),
            SHORTEST,
        )?,
    };
    check_delays(&section, &built)?;
    Ok(built)
}

const SHORTEST: Time = Time::millis(10);

fn check_delays(section: &Replication, built: &config::Replication) -> Result<(), Fault> {
    if built.retry_delay_min <= built.retry_delay_max {
        return Ok(());
    }
    let span = section.retry_delay_max.as_ref().or(section.retry_delay_min.as_ref());
    let message = "`replication.retry_delay_max` is less than `replication.retry_delay_min`: raise \
                   the one or lower the other";
    Err(Fault { span: span.map(Spanned::span), message: message.to_owned() })
}

fn slot_name(slot: &Spanned<String>) -> Result<String, Fault> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    let name = slot.get_ref();
    if (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal) {
        return Ok(name.clone());
    }
    let message = "`replication.slot` wants 1 to 63 lower-case letters, digits and underscores, as \
                   PostgreSQL does";
    Err(Fault::at(slot, message))
}

fn publication_names(list: &Spanned<Vec<String>>) -> Result<Vec<String>, Fault> {
    let legal = |name: &String| (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains('\0');
    let mut names = list.get_ref().clone();
    if names.is_empty() || !names.iter().all(legal) {
        let message = "`replication.publications` wants one or more publications, each a name of 1 \
                       to 63 bytes";
        return Err(Fault::at(list, message));
    }
    names.sort_unstable();
    names.dedup();
    if names.len() < list.get_ref().len() {
        let message = "`replication.publications` names a publication twice: remove one";
        return Err(Fault::at(list, message));
    }
    Ok(names)
}
