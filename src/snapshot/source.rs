//! Where chunks are read: on the primary whose stream it is, or on standbys.
//!
//! What shows on the primary may not show on a standby, which replays it later, nor the other way
//! round: a standby shows what is flushed, though its commit still waits for others. And of two
//! standbys, or of one that was restarted, the later snapshot may show less. So on standbys each
//! chunk is held against a place in the log, which all of them share.

use super::visibility::Visibility;
use crate::position::Lsn;

/// Where a table is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// On the primary: a later snapshot shows no less.
    Primary,
    /// On standbys that have replayed so much; not at all while that is not known.
    Standby(Option<Lsn>),
}

impl Source {
    /// Whether what a snapshot shows can be relied on here.
    pub(super) fn admits(self, visibility: &Visibility) -> bool {
        match (self, visibility) {
            (Self::Primary, Visibility::Listed { .. }) => true,
            (Self::Standby(Some(replayed)), Visibility::Replayed { from, .. }) => replayed <= *from,
            (Self::Primary | Self::Standby(_), _) => false,
        }
    }

    /// What a standby must have replayed.
    pub(super) fn replayed(self) -> Lsn {
        match self {
            Self::Standby(Some(replayed)) => replayed,
            Self::Primary | Self::Standby(None) => Lsn::ZERO,
        }
    }

    /// From now on standbys must have replayed this, too.
    pub(super) fn raise(&mut self, to: Lsn) {
        if let Self::Standby(Some(replayed)) = self {
            *replayed = to.max(*replayed);
        }
    }
}
