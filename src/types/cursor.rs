//! A cursor over a binary form: each step is an error where the bytes end too early.

use super::Error;
use super::datum::malformed;

/// What is left of a value's binary form, and what it is, for the error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(rest: &'a [u8], what: &'static str) -> Self {
        Self { rest, what }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        let (head, rest) =
            self.rest.split_first_chunk().ok_or(Error::Malformed { what: self.what })?;
        self.rest = rest;
        Ok(head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(|[byte]| *byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        self.array().copied().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        self.array().copied().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, Error> {
        self.array().copied().map(i32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        self.array().copied().map(u64::from_be_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64, Error> {
        self.array().copied().map(f64::from_be_bytes)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) =
            self.rest.split_at_checked(len).ok_or(Error::Malformed { what: self.what })?;
        self.rest = rest;
        Ok(head)
    }

    /// A value behind its `i32` length, of which −1 is NULL.
    pub(super) fn value(&mut self) -> Result<Option<&'a [u8]>, Error> {
        match self.i32()? {
            -1 => Ok(None),
            len => match usize::try_from(len) {
                Ok(len) => self.take(len).map(Some),
                Err(_) => self.malformed(),
            },
        }
    }

    /// Text up to a zero byte.
    pub(super) fn c_string(&mut self) -> Result<&'a [u8], Error> {
        let end = self.rest.iter().position(|byte| *byte == 0);
        let text = self.take(end.ok_or(Error::Malformed { what: self.what })?)?;
        self.u8()?;
        Ok(text)
    }

    /// All that is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { self.malformed() }
    }

    pub(super) fn malformed<T>(&self) -> Result<T, Error> {
        malformed(self.what)
    }
}
