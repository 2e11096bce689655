//! The process that writes what is told.

use anyhow::Context as _;
use tokio::sync::watch;

use super::super::ask::answer;
use super::{UNKNOWN_ANSWER, report};
use crate::admin::control::Request;
use crate::cli::Exit;
use crate::config::Config;
use crate::order::{Order, Orderer, Reply};
use crate::status::{Snapshots, Status};

/// Who it is.
#[derive(Clone, Copy)]
pub(in super::super) enum Running<'a> {
    /// Another one, behind the control socket.
    Other(&'a Config),
    /// This one.
    This(&'a Orderer, &'a watch::Receiver<Status>),
}

impl Running<'_> {
    /// Gives an order; an error is how a command ends that has no answer.
    pub(super) async fn tell(self, order: Order) -> anyhow::Result<Result<Reply, Exit>> {
        let unanswered = |why: &str| Reply::Unanswered(why.to_owned());
        match self {
            Self::Other(config) => match answer(config, Request::Snapshot(order)).await? {
                Ok(said) => Ok(Ok(serde_json::from_value(said).context(UNKNOWN_ANSWER)?)),
                Err(exit) => Ok(Err(exit)),
            },
            Self::This(orderer, _) => Ok(Ok(match orderer.order(order) {
                Some(reply) => reply.await.unwrap_or_else(|_| unanswered("the stream ended")),
                None => unanswered("too much was told at once"),
            })),
        }
    }

    /// How far it is with tables.
    pub(super) async fn snapshots(self) -> anyhow::Result<Option<Snapshots>> {
        match self {
            Self::Other(config) => Ok(report(config).await?.ok().and_then(|it| it.snapshots)),
            Self::This(_, status) => Ok(status.borrow().snapshots.clone()),
        }
    }
}
