//! A dead letter of an outbox, read back to be routed again.

/// A dead letter as its topic has it.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// Its offset.
    pub offset: i64,
    /// The event's key.
    pub key: Option<Vec<u8>>,
    /// The event's payload.
    pub value: Option<Vec<u8>>,
    /// All headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Letter {
    /// The text of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }
}
