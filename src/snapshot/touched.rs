//! Which keys of a table the stream has touched, and by which transaction last.
//!
//! Of two transactions that touch one key the second waits until the first one shows. So if a snapshot
//! shows the last one, it shows them all; and if it does not, the stream has something newer than the
//! snapshot's row.

use std::collections::HashMap;
use std::mem::size_of;

use super::visibility::{Streamed, Verdict, Visibility};

/// The keys of one table.
#[derive(Debug, Default)]
pub(super) struct Touched {
    keys: HashMap<Box<[u8]>, Touch>,
    /// Of the keys.
    bytes: usize,
    truncated: Option<Streamed>,
}

#[derive(Clone, Copy, Debug)]
struct Touch {
    by: Streamed,
    /// Whether the stream did not have the whole row: of a row that was not read before, something
    /// is missing.
    is_partial: bool,
}

/// What becomes of a row that a snapshot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is read again: the stream has touched it, and has not all of it.
    Again,
    /// The stream has something newer.
    Dropped,
    /// It enters.
    Enters,
}

impl Touched {
    pub(super) fn touch(&mut self, key: &[u8], by: Streamed, is_partial: bool) {
        let touch = Touch { by, is_partial };
        if let Some(known) = self.keys.get_mut(key) {
            *known = touch;
        } else {
            self.bytes += key.len() + KEY_BYTES;
            self.keys.insert(key.into(), touch);
        }
    }

    /// All keys are touched. Whoever touched one before showed already, since a truncate waits for
    /// them.
    pub(super) fn truncate(&mut self, by: Streamed) {
        *self = Self { truncated: Some(by), ..Self::default() };
    }

    /// Forgets what this snapshot shows, and so all that are taken later.
    pub(super) fn forget_seen(&mut self, visibility: &Visibility) {
        let is_unseen = |by: Streamed| visibility.verdict(by) != Verdict::Seen;
        self.keys.retain(|_, touch| is_unseen(touch.by));
        self.bytes = self.keys.keys().map(|key| key.len() + KEY_BYTES).sum();
        self.truncated = self.truncated.filter(|by| is_unseen(*by));
    }

    /// Whether a truncate makes a snapshot's rows those of another table.
    pub(super) fn truncated(&self, visibility: &Visibility) -> Verdict {
        self.truncated.map_or(Verdict::Seen, |by| visibility.verdict(by))
    }

    pub(super) fn fate(&self, key: &[u8], visibility: &Visibility) -> Fate {
        let Some(Touch { by, is_partial }) = self.keys.get(key) else { return Fate::Enters };
        match visibility.verdict(*by) {
            Verdict::Seen => Fate::Enters,
            // Before the chunk enters, the stream has it.
            Verdict::Unknown | Verdict::Unseen if !is_partial => Fate::Dropped,
            Verdict::Unknown | Verdict::Unseen => Fate::Again,
        }
    }

    /// Whether no key is known to be touched.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn byte_len(&self) -> usize {
        self.bytes
    }
}

/// What a key takes beside its bytes, about.
const KEY_BYTES: usize = size_of::<(Box<[u8]>, Touch)>() * 2;
