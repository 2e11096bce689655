//! A bounds-checked cursor over bytes that came from outside.
//!
//! All integers of PostgreSQL's protocol are big-endian, all strings end with a zero byte:
//! <https://www.postgresql.org/docs/current/protocol-message-types.html>. Errors say what was being
//! read, at which byte, and what was found; they never show values (I7).

use std::ffi::CStr;
use std::fmt;

/// Why bytes could not be read.
///
/// `reading` says what was being read, `offset` is the byte at which that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A count or length that cannot be: negative, or too large for what it counts.
    #[error("{reading} at byte {offset}: {count} is not a possible count")]
    BadCount {
        /// What was being read.
        reading: &'static str,
        /// The byte at which it begins.
        offset: usize,
        /// The count.
        count: i64,
    },
    /// A time that does not fit microseconds since 1970.
    #[error("{reading} at byte {offset}: the time is out of range")]
    BadTime {
        /// What was being read.
        reading: &'static str,
        /// The byte at which it begins.
        offset: usize,
    },
    /// A string that is not UTF-8.
    #[error("{reading} at byte {offset}: not UTF-8")]
    BadUtf8 {
        /// What was being read.
        reading: &'static str,
        /// The byte at which it begins.
        offset: usize,
    },
    /// Bytes after the end.
    #[error("{reading} ends at byte {offset}, but {bytes} more bytes follow")]
    Trailing {
        /// What was being read.
        reading: &'static str,
        /// The byte at which it ends.
        offset: usize,
        /// How many bytes follow.
        bytes: usize,
    },
    /// The bytes end too early.
    #[error("{reading} at byte {offset}: {wanted} bytes wanted, {left} left")]
    Truncated {
        /// What was being read.
        reading: &'static str,
        /// The byte at which it begins.
        offset: usize,
        /// How many bytes it needs (for a string: at least).
        wanted: usize,
        /// How many there are.
        left: usize,
    },
    /// A tag or flags byte that the protocol does not define.
    #[error("{reading} at byte {offset}: unknown byte {tag:#04x} ('{}')", tag.escape_ascii())]
    UnknownTag {
        /// What was being read.
        reading: &'static str,
        /// The byte at which it stands.
        offset: usize,
        /// The byte that was found.
        tag: u8,
    },
}

/// A cursor over bytes that came from outside.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    left: &'a [u8],
    /// The length of the whole input, so that errors can say where they are.
    input_bytes: usize,
    reading: &'static str,
}

impl<'a> Reader<'a> {
    /// A cursor at the first byte.
    #[inline]
    #[must_use]
    pub const fn new(input: &'a [u8]) -> Self {
        Self { left: input, input_bytes: input.len(), reading: "value" }
    }

    /// Names what is read next, for errors; it holds until the next call.
    #[inline]
    pub const fn reading(&mut self, what: &'static str) -> &mut Self {
        self.reading = what;
        self
    }

    /// Reads an unsigned byte.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(*self.array()?))
    }

    /// Reads a signed byte.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn i8(&mut self) -> Result<i8, Error> {
        Ok(i8::from_be_bytes(*self.array()?))
    }

    /// Reads an unsigned 16-bit integer.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(*self.array()?))
    }

    /// Reads a signed 16-bit integer.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn i16(&mut self) -> Result<i16, Error> {
        Ok(i16::from_be_bytes(*self.array()?))
    }

    /// Reads an unsigned 32-bit integer.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(*self.array()?))
    }

    /// Reads a signed 32-bit integer.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn i32(&mut self) -> Result<i32, Error> {
        Ok(i32::from_be_bytes(*self.array()?))
    }

    /// Reads an unsigned 64-bit integer.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(*self.array()?))
    }

    /// Reads a signed 64-bit integer.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn i64(&mut self) -> Result<i64, Error> {
        Ok(i64::from_be_bytes(*self.array()?))
    }

    /// Reads a string that ends with a zero byte, and that byte.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] without a zero byte, [`Error::BadUtf8`]
    pub fn cstr(&mut self) -> Result<&'a str, Error> {
        let Ok(text) = CStr::from_bytes_until_nul(self.left) else {
            return Err(self.truncated(self.left.len().saturating_add(1)));
        };
        let Ok(text) = text.to_str() else {
            return Err(Error::BadUtf8 { reading: self.reading, offset: self.offset() });
        };
        self.bytes(text.len() + 1)?;
        Ok(text)
    }

    /// Reads `count` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`]
    #[inline]
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let Some((head, tail)) = self.left.split_at_checked(count) else {
            return Err(self.truncated(count));
        };
        self.left = tail;
        Ok(head)
    }

    /// Reads a count of 16 bits, which the protocol signs but never makes negative.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], [`Error::BadCount`]
    #[inline]
    pub fn count16(&mut self) -> Result<u16, Error> {
        let offset = self.offset();
        let count = self.i16()?;
        u16::try_from(count).map_err(|_| self.bad_count(offset, i64::from(count)))
    }

    /// Reads a count of 32 bits, which the protocol signs but never makes negative.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`], [`Error::BadCount`]
    #[inline]
    pub fn count32(&mut self) -> Result<usize, Error> {
        let offset = self.offset();
        let count = self.i32()?;
        usize::try_from(count).map_err(|_| self.bad_count(offset, i64::from(count)))
    }

    /// Reads all that is left.
    #[inline]
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.left;
        self.left = &[];
        rest
    }

    /// How many bytes were read.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> usize {
        // The left bytes are a suffix of the input; saturating so that no panic is compiled in.
        self.input_bytes.saturating_sub(self.left.len())
    }

    /// The bytes that are left, without reading them.
    #[inline]
    #[must_use]
    pub const fn left(&self) -> &'a [u8] {
        self.left
    }

    /// What was read since `left` was all that was left.
    #[inline]
    #[must_use]
    pub fn since(&self, left: &'a [u8]) -> &'a [u8] {
        let read_bytes = left.len().saturating_sub(self.left.len());
        left.get(..read_bytes).unwrap_or_default()
    }

    /// Whether everything was read.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    /// Ends the reading.
    ///
    /// # Errors
    ///
    /// [`Error::Trailing`] if bytes are left.
    #[inline]
    pub const fn finish(&self) -> Result<(), Error> {
        if self.left.is_empty() {
            return Ok(());
        }
        Err(Error::Trailing {
            reading: self.reading,
            offset: self.offset(),
            bytes: self.left.len(),
        })
    }

    /// The error for a byte, just read, that the protocol does not define.
    #[cold]
    #[must_use]
    pub const fn unknown_tag(&self, tag: u8) -> Error {
        let offset = self.offset().saturating_sub(1);
        Error::UnknownTag { reading: self.reading, offset, tag }
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let Some((head, tail)) = self.left.split_first_chunk::<N>() else {
            return Err(self.truncated(N));
        };
        self.left = tail;
        Ok(head)
    }

    #[cold]
    const fn bad_count(&self, offset: usize, count: i64) -> Error {
        Error::BadCount { reading: self.reading, offset, count }
    }

    #[cold]
    const fn truncated(&self, wanted: usize) -> Error {
        let left = self.left.len();
        Error::Truncated { reading: self.reading, offset: self.offset(), wanted, left }
    }
}

/// Shows where the cursor is, not what it reads (I7).
impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("reading", &self.reading)
            .field("offset", &self.offset())
            .field("left", &self.left.len())
            .finish()
    }
}
