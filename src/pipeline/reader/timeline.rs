//! Which timeline a checkpoint of a standby's stream is on. The stream outlives the promotion of the
//! standby, and of the server that it follows, and tells of neither; the next start must not find
//! positions behind a fork under the number of the timeline before it.

use std::time::Duration;

use super::super::Error;
use super::Reader;
use crate::edges::{Sink, Transport};
use crate::position::Lsn;
use crate::postgres::ReplicationClient;

/// No status goes out meanwhile, and a stop waits.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Asks a standby for its timeline. SQL tells that only once it is promoted: as a standby its control
/// file follows at leisure.
#[derive(Debug)]
pub(in super::super) struct Timelines {
    client: ReplicationClient,
    /// What was received up to here is of the timeline that was found last, or of one before it.
    known: Lsn,
}

impl Timelines {
    pub(in super::super) fn new(client: ReplicationClient) -> Self {
        Self { client, known: Lsn::ZERO }
    }
}

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Whether a checkpoint of what was received would be on the right timeline.
    pub(super) fn is_timeline_known(&self) -> bool {
        let received = self.session.received();
        self.around.timelines.as_ref().is_none_or(|it| received <= it.known)
    }

    /// Makes it so: asked now, the server is on the timeline of what it has sent, or on a later one.
    pub(super) async fn follow_timeline(&mut self) -> Result<(), Error> {
        let received = self.session.received();
        let Some(Timelines { client, known }) = &mut self.around.timelines else { return Ok(()) };
        if *known < received {
            let timeline = client.timeline(ANSWER_LIMIT).await?;
            self.assembler.on_timeline(timeline);
            *known = received;
        }
        Ok(())
    }
}
