//! What operators tell a running pipeline: from the control socket to the reader, which answers when
//! what came of it is committed in Kafka.

use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// What to do about snapshots.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
pub enum Order {
    /// Forget a gap: topics have what tables have.
    Mended {
        /// Which one, as the status has it.
        gap: String,
    },
    /// Read no more of a table, or of any, until told to go on.
    Pause {
        /// `schema.table`; all of them, those to come too, without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<String>,
    },
    /// Write what the table has of these keys, or that it has none of them, in place of what the topic
    /// has. Answered when all of it is in Kafka.
    Repair {
        /// `schema.table`.
        table: String,
        /// Names the gap, in the records' header `walbrook.gap`.
        gap: String,
        /// The key's columns, in the key's order.
        columns: Vec<String>,
        /// The keys: of each the columns' values as PostgreSQL's text.
        keys: Vec<Vec<String>>,
    },
    /// Write dead letters again.
    Replay {
        /// `schema.table`; those of all outboxes without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        outbox: Option<String>,
        /// What routes those that have no route.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        route: Option<String>,
    },
    /// Go on.
    Resume {
        /// `schema.table`; all of them without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<String>,
    },
    /// Read the rows of a table (again).
    Start {
        /// `schema.table`.
        table: String,
        /// Which of its rows, an SQL expression.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        condition: Option<String>,
    },
    /// Give up what is not read.
    Stop {
        /// `schema.table`; all that are being read, or wait to be, without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        table: Option<String>,
    },
    /// Bring back what is parked of a table.
    Unpark {
        /// `schema.table`.
        table: String,
        /// So many of the changes that wait are left out first, for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leave_out: Option<u64>,
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl fmt::Debug for Order {
    /// Never a key (I7).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, of) = match self {
            Self::Mended { gap } => ("Mended", Some(gap)),
            Self::Pause { table } => ("Pause", table.as_ref()),
            Self::Repair { table, .. } => ("Repair", Some(table)),
            Self::Replay { outbox, .. } => ("Replay", outbox.as_ref()),
            Self::Resume { table } => ("Resume", table.as_ref()),
            Self::Start { table, .. } => ("Start", Some(table)),
            Self::Stop { table } => ("Stop", table.as_ref()),
            Self::Unpark { table, .. } => ("Unpark", Some(table)),
        };
        f.debug_tuple(what).field(&of).finish()
    }
}

/// What came of an order: a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// It is done, and outlives a restart.
    Done(String),
    /// It is not, and why.
    Refused(String),
    /// Nobody can tell, or not now.
    Unanswered(String),
}

/// An order, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// The order.
    pub order: Order,
    /// Dropped if nobody can answer any more.
    pub reply: oneshot::Sender<Reply>,
}

/// Where orders go in.
#[derive(Clone, Debug)]
pub struct Orderer(mpsc::Sender<Asked>);

/// Where orders come out.
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Asked>);

/// So many orders may wait.
const ORDERS_MAX: usize = 16;

/// A way for orders.
#[must_use]
pub fn orders() -> (Orderer, Orders) {
    let (sender, receiver) = mpsc::channel(ORDERS_MAX);
    (Orderer(sender), Orders(receiver))
}

impl Orderer {
    /// Hands over an order; `None` if too many wait.
    #[must_use]
    pub fn order(&self, order: Order) -> Option<oneshot::Receiver<Reply>> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Asked { order, reply }).is_ok().then_some(answer)
    }
}

impl Orders {
    /// The next order that somebody still waits for; never, if nobody can give one. Cancel-safe.
    pub async fn next(&mut self) -> Asked {
        loop {
            match self.0.recv().await {
                Some(asked) if asked.reply.is_closed() => {}
                Some(asked) => return asked,
                None => std::future::pending().await,
            }
        }
    }
}

impl Default for Orders {
    /// Nobody gives any.
    fn default() -> Self {
        orders().1
    }
}
