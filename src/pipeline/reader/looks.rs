//! What the reader asks the catalog now and then: whether the server lives, what the slot makes it keep, and
//! what is published.

use std::time::Duration;

use tracing::warn;

use super::super::alive::alive;
use super::super::{Error, clock};
use super::{Reader, SLOT_LIMIT, Surroundings};
use crate::edges::{Sink, Transport};
use crate::position::Lsn;

/// How often the catalog is asked what is published: what is missing is told within a minute.
const SURVEY_EVERY: Duration = Duration::from_secs(20);

/// Of all time, that may take one part in so many.
const SURVEY_SHARE: u32 = 100;

/// A catalog too large to be surveyed in this time is not. The server holds it too, since what is
/// asked next, such as whether it lives, waits behind a query that it still runs.
const SURVEY_LIMIT: Duration = Duration::from_secs(4);

impl<T: Transport, S: Sink> Reader<'_, T, S> {
    /// Whether the server answers on the catalog connection within `limit`; that it has ended the
    /// connection is an error.
    pub(super) async fn ping(&mut self, limit: Duration) -> Result<bool, Error> {
        let query = tokio::time::timeout(limit, self.around.catalog.ping());
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let answer = alive(&mut self.transport, &mut self.session, stop, nothing, query).await?;
        answer.map_or(Ok(false), |pong| pong.map(|()| true)).map_err(Error::from)
    }

    /// Asks what the slot makes the server keep; no answer in time is no harm.
    pub(super) async fn observe_slot(&mut self) -> Result<(), Error> {
        let query = tokio::time::timeout(SLOT_LIMIT, self.around.catalog.slot(self.around.slot));
        // A server that stops ends the catalog connection first, and then waits for us.
        let (stop, nothing) = (&mut *self.around.stop, std::future::pending());
        let facts = alive(&mut self.transport, &mut self.session, stop, nothing, query).await?;
        let facts = match facts {
            Ok(Ok(Some(facts))) => facts,
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
        };
        self.server_end = self.server_end.max(facts.log_end().unwrap_or(Lsn::ZERO));
        self.around.telemetry.on_slot(self.around.slot, &facts);
        Ok(())
    }

    /// Asks what is published; no answer in time is no harm.
    pub(super) async fn survey(&mut self) -> Result<(), Error> {
        let (since, (relations, names)) = (clock::now(), self.around.telemetry.subjects());
        let Surroundings { catalog, publications, stop, .. } = &mut self.around;
        let survey = catalog.survey(publications, &relations, &names, SURVEY_LIMIT);
        // The server ends it before.
        let query = tokio::time::timeout(SURVEY_LIMIT + SLOT_LIMIT, survey);
        let nothing = std::future::pending();
        let survey = alive(&mut self.transport, &mut self.session, stop, nothing, query).await?;
        match survey {
            Ok(Ok(survey)) => self.around.telemetry.on_survey(&survey),
            // The connection's own errors come with the next look at the slot, too.
            Ok(Err(error)) => warn!(%error, "what is published could not be looked at"),
            Err(_) => {
                warn!(limit = ?SURVEY_LIMIT, "what is published could not be looked at in time");
            }
        }
        let now = clock::now();
        self.next_survey = now + SURVEY_EVERY.max((now - since) * SURVEY_SHARE);
        Ok(())
    }
}
