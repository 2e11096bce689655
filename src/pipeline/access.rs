//! Where the rows of tables are read, and whether a standby is one of the slot's server: of the same
//! cluster, and with no other history. Positions in the log mean nothing on any other.

use super::attempt::history;
use crate::config::{Config, Postgres, Replication, Target};
use crate::position::{Lsn, Xid};
use crate::postgres::{
    Catalog, ChunkError, ChunkLimits, ChunkReader, ReplicationClient, Seen, System,
};
use crate::snapshot::Visibility;

/// Where rows are read.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// On the server of the slot, a primary.
    Primary,
    /// On the server of the slot, a standby.
    Standby,
    /// On the standbys of `snapshot.hosts`.
    Standbys(Origin),
}

/// The server of the slot.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    system: System,
    /// Where its timeline left its ancestors.
    history: Vec<(u32, Lsn)>,
}

/// How a connection for chunks is made.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) source: Source,
    postgres: Postgres,
    replication: Replication,
}

/// A connection for chunks.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) reader: ChunkReader,
    /// To a standby a second one: only a walsender tells of the timeline that is replayed.
    witness: Option<ReplicationClient>,
}

/// Connects to each of `snapshot.hosts` as a run does, which sees whether it is a standby of the server
/// of `client`; each with its name, as `host:port`.
///
/// # Errors
///
/// If the server of `client` does not answer.
pub async fn standbys(
    config: &Config,
    client: &mut ReplicationClient,
    limits: ChunkLimits,
) -> Result<Vec<(String, Result<ChunkReader, ChunkError>)>, crate::postgres::Error> {
    let system = client.identify_system().await?;
    let history = history(client, &system).await?;
    let origin = Origin { system, history };
    let mut found = Vec::new();
    for host in &config.snapshot.hosts {
        let mut access = Access::new(config, Source::Standbys(origin.clone()));
        access.postgres.hosts = vec![host.clone()];
        let reader = access.connect(limits).await.map(|connection| connection.reader);
        found.push((format!("{}:{}", host.host, host.port), reader));
    }
    Ok(found)
}

impl Source {
    /// Where this configuration wants rows to be read, of a slot on this server.
    pub(super) fn new(
        config: &Config,
        is_standby: bool,
        system: System,
        history: Vec<(u32, Lsn)>,
    ) -> Self {
        match (config.snapshot.hosts.is_empty(), is_standby) {
            (true, false) => Self::Primary,
            (true, true) => Self::Standby,
            (false, _) => Self::Standbys(Origin { system, history }),
        }
    }
}

impl Origin {
    /// Whether what this server has replayed was replayed, or written, by ours.
    fn has(&self, host: &str, found: &System) -> Result<(), ChunkError> {
        let foreign = |difference| ChunkError::Foreign { host: host.to_owned(), difference };
        let System { system_identifier, timeline, flush_lsn, .. } = &self.system;
        if found.system_identifier != *system_identifier {
            let other = &found.system_identifier;
            return Err(foreign(format!(
                "its system identifier is {other}, and that of the slot's server {system_identifier}"
            )));
        }
        if found.timeline == *timeline {
            return Ok(());
        }
        let (other, lsn) = (found.timeline, found.flush_lsn);
        match self.history.iter().find(|(ancestor, _)| *ancestor == other) {
            Some((_, fork)) if lsn <= *fork => Ok(()),
            Some((_, fork)) => Err(foreign(format!(
                "it is on timeline {other} at {lsn}, and the slot's server left that at {fork} for \
                 timeline {timeline}"
            ))),
            None => Err(foreign(format!(
                "it is on timeline {other}, of which the slot's server, on timeline {timeline} at the \
                 start ({flush_lsn}), knew nothing"
            ))),
        }
    }
}

impl Access {
    pub(super) fn new(config: &Config, source: Source) -> Self {
        let mut postgres = config.postgres.clone();
        if matches!(source, Source::Standbys(_)) {
            postgres.hosts.clone_from(&config.snapshot.hosts);
            postgres.target = Target::Standby;
        }
        Self { source, postgres, replication: config.replication.clone() }
    }

    pub(super) async fn connect(&self, limits: ChunkLimits) -> Result<Connection, ChunkError> {
        let reader = ChunkReader::connect(&self.postgres, limits).await?;
        let mut connection = Connection { reader, witness: None };
        if let Source::Standbys(_) = self.source {
            let name = format!("{} snapshot", self.postgres.application_name);
            let postgres = Postgres { application_name: name, ..self.postgres.clone() };
            let witness = ReplicationClient::connect(&postgres, &self.replication).await?;
            connection.reader.is_beside(&witness)?;
            connection.witness = Some(witness);
            self.vouch(&mut connection).await?;
        }
        Ok(connection)
    }

    /// Whether the server may be read now.
    pub(super) async fn admit(
        &self,
        connection: &mut Connection,
        replayed: Lsn,
    ) -> Result<(), ChunkError> {
        match self.source {
            Source::Primary => Ok(()),
            Source::Standby | Source::Standbys(_) => connection.reader.has_replayed(replayed).await,
        }
    }

    /// Whether it is the server of the slot, where that is to be read.
    pub(super) fn same_server(
        &self,
        connection: &Connection,
        catalog: &Catalog,
    ) -> Result<(), ChunkError> {
        match self.source {
            Source::Primary | Source::Standby => Ok(connection.reader.same_server(catalog)?),
            Source::Standbys(_) => Ok(()),
        }
    }

    /// Whether the server is, and was until now, one of which chunks count. A timeline is never gone
    /// back to.
    pub(super) async fn vouch(&self, connection: &mut Connection) -> Result<(), ChunkError> {
        let Connection { reader, witness } = connection;
        if let (Source::Standbys(origin), Some(witness)) = (&self.source, witness) {
            let found = witness.identify_system().await?;
            origin.has(reader.host(), &found)?;
        }
        Ok(())
    }
}

/// What a chunk shows, as the machine takes it: ids as the stream has them, 32 bits of the 64.
pub(super) fn visibility(seen: Seen) -> Visibility {
    let low_half = |full: u64| Xid(u32::try_from(full & u64::from(u32::MAX)).unwrap_or_default());
    match seen {
        Seen::Listed(listed) => {
            let running = listed.xip.iter().copied().map(low_half).collect();
            Visibility::Listed { end: low_half(listed.xmax), running }
        }
        Seen::Replayed { from, to } => Visibility::Replayed { from, to },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standby_has_the_history_of_the_slots_server_or_a_part_of_it() {
        let system = |identifier: &str, timeline, lsn| System {
            system_identifier: identifier.to_owned(),
            timeline,
            flush_lsn: Lsn(lsn),
            database: "shop".to_owned(),
        };
        let origin =
            Origin { system: system("7", 3, 500), history: vec![(1, Lsn(100)), (2, Lsn(200))] };
        for (found, expect) in [
            (system("7", 3, 900), None),
            (system("7", 2, 200), None),
            (system("7", 1, 50), None),
            (system("7", 2, 201), Some("left that at 0/C8 for timeline 3")),
            (system("7", 1, 101), Some("left that at 0/64")),
            (system("7", 4, 50), Some("timeline 4, of which the slot's server, on timeline 3")),
            (system("8", 3, 50), Some("system identifier is 8, and that of the slot's server 7")),
        ] {
            let said = origin.has("replica:5432", &found).err().map(|error| error.to_string());
            match (&said, expect) {
                (None, None) => {}
                (Some(said), Some(part)) => assert!(said.contains(part), "{said}"),
                _ => panic!("{found:?}: {said:?}"),
            }
        }
    }
}
