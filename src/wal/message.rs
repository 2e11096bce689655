//! pgoutput messages, protocol version 1: what the body of an XLogData frame holds.
//!
//! ```text
//! 'B' Begin     final LSN: u64 │ commit time: i64 │ xid: u32
//! 'C' Commit    flags: u8 = 0 │ commit LSN: u64 │ end LSN: u64 │ commit time: i64
//! 'D' Delete    relation: u32 │ 'K' or 'O', old tuple
//! 'I' Insert    relation: u32 │ 'N', new tuple
//! 'M' Message   flags: u8, 1 = transactional │ LSN: u64 │ prefix: cstr │ length: i32 │ content
//! 'O' Origin    commit LSN there: u64 │ name: cstr
//! 'R' Relation  id: u32 │ namespace: cstr │ name: cstr │ identity: u8 │ count: i16 │ columns
//!               per column: flags: u8, 1 = identity │ name: cstr │ type: u32 │ modifier: i32
//! 'T' Truncate  count: i32 │ flags: u8, 1 = cascade, 2 = restart identity │ relation: u32 …
//! 'U' Update    relation: u32 │ [ 'K' or 'O', old tuple ] │ 'N', new tuple
//! 'Y' Type      id: u32 │ namespace: cstr │ name: cstr
//! ```
//!
//! Source: <https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html>
//!
//! Everything borrows from the frame; nothing is allocated. Versions 2 to 4 add streamed and
//! prepared transactions, which we do not ask for.

use std::fmt;

use super::frame::{lsn, time_us};
use super::reader::{Error, Reader};
use super::relation::{Relation, RelationColumn, RelationId, ReplicaIdentity};
use super::tuple::Tuple;
use crate::position::{Lsn, Xid};

/// One pgoutput message. Its `Debug` output shows no values (I7).
#[derive(Clone, Copy)]
pub enum Message<'a> {
    /// A transaction begins. All of it follows at once, up to its [`Message::Commit`].
    Begin {
        /// The LSN of the transaction's commit record.
        final_lsn: Lsn,
        /// When it committed: microseconds since 1970-01-01 UTC.
        commit_time_us: i64,
        /// Its id.
        xid: Xid,
    },
    /// A transaction ends.
    Commit {
        /// The LSN of its commit record, as in its [`Message::Begin`].
        commit_lsn: Lsn,
        /// The LSN behind its commit record: what to confirm.
        end_lsn: Lsn,
        /// When it committed: microseconds since 1970-01-01 UTC.
        commit_time_us: i64,
    },
    /// A row was deleted.
    Delete {
        /// Its table.
        relation: RelationId,
        /// What the replica identity kept of it.
        old: OldTuple<'a>,
    },
    /// A row was inserted, or an update moved it into a row filter's range.
    Insert {
        /// Its table.
        relation: RelationId,
        /// The row.
        new: Tuple<'a>,
    },
    /// A logical message (`pg_logical_emit_message`).
    Message {
        /// Whether it belongs to the transaction around it; if not it can stand anywhere.
        transactional: bool,
        /// Its own LSN.
        lsn: Lsn,
        /// Its prefix.
        prefix: &'a str,
        /// Its content: any bytes.
        content: &'a [u8],
    },
    /// The transaction came to this server by replication. It follows `Begin`.
    Origin {
        /// The LSN of its commit on the server of its origin.
        lsn: Lsn,
        /// The replication origin's name.
        name: &'a str,
    },
    /// A table's shape, sent before its first row and again when it may have changed.
    Relation(RelationBody<'a>),
    /// Tables were truncated, in one statement.
    Truncate {
        /// `CASCADE` was said. (The tables that it reached are listed anyway.)
        cascade: bool,
        /// `RESTART IDENTITY` was said.
        restart_identity: bool,
        /// The tables.
        relations: RelationIds<'a>,
    },
    /// The name of a type that initdb or a user made, sent before the `Relation` that uses it; for a
    /// domain the name of its base type.
    Type {
        /// `pg_type.oid`; the domain's own for a domain.
        oid: u32,
        /// The PostgreSQL schema of the type.
        namespace: &'a str,
        /// The type's name.
        name: &'a str,
    },
    /// A row was updated.
    Update {
        /// Its table.
        relation: RelationId,
        /// The old row or its identity: present under FULL, when the identity changed, and when the
        /// identity has a value that is stored outside the row.
        old: Option<OldTuple<'a>>,
        /// The new row.
        new: Tuple<'a>,
    },
}

/// What a delete or an update tells of the old row.
#[derive(Clone, Copy, Debug)]
pub struct OldTuple<'a> {
    /// How much of the row this is.
    pub kind: OldTupleKind,
    /// The row, with all columns of the relation.
    pub tuple: Tuple<'a>,
}

/// How much of the old row an [`OldTuple`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldTupleKind {
    /// `O`: the whole row, under FULL.
    Full,
    /// `K`: the identity. All other columns read as NULL, whatever they were.
    Key,
}

/// The tables of a [`Message::Truncate`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RelationIds<'a> {
    ids: &'a [[u8; 4]],
}

/// A table's shape, borrowed and checked.
#[derive(Clone, Copy)]
pub struct RelationBody<'a> {
    /// The OID by which the stream names it.
    pub id: RelationId,
    /// The PostgreSQL schema; the stream sends an empty name for `pg_catalog`, read as that.
    pub namespace: &'a str,
    /// The table's name.
    pub name: &'a str,
    /// The replica identity.
    pub identity: ReplicaIdentity,
    /// Exactly the columns: `columns_len` of them, checked by `read`.
    columns: &'a [u8],
    columns_len: u16,
}

impl<'a> Message<'a> {
    /// Reads one message: the body of one XLogData frame.
    ///
    /// # Errors
    ///
    /// If the bytes are not exactly one message of protocol version 1.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let tag = reader.reading("message tag").u8()?;
        let message = match tag {
            b'I' => insert(&mut reader),
            b'U' => update(&mut reader),
            b'D' => delete(&mut reader),
            b'B' => begin(&mut reader),
            b'C' => commit(&mut reader),
            b'M' => logical_message(&mut reader),
            b'O' => origin(&mut reader),
            b'R' => RelationBody::read(&mut reader).map(Message::Relation),
            b'T' => truncate(&mut reader),
            b'Y' => type_name(&mut reader),
            _ => Err(reader.unknown_tag(tag)),
        };
        if message.is_ok() {
            reader.reading("message").finish()?;
        }
        message
    }
}

impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Message::Begin { final_lsn, commit_time_us, xid } => f
                .debug_struct("Begin")
                .field("final_lsn", final_lsn)
                .field("commit_time_us", commit_time_us)
                .field("xid", xid)
                .finish(),
            Message::Commit { commit_lsn, end_lsn, commit_time_us } => f
                .debug_struct("Commit")
                .field("commit_lsn", commit_lsn)
                .field("end_lsn", end_lsn)
                .field("commit_time_us", commit_time_us)
                .finish(),
            Message::Delete { relation, old } => {
                f.debug_struct("Delete").field("relation", relation).field("old", old).finish()
            }
            Message::Insert { relation, new } => {
                f.debug_struct("Insert").field("relation", relation).field("new", new).finish()
            }
            Message::Message { transactional, lsn, prefix, content } => f
                .debug_struct("Message")
                .field("transactional", transactional)
                .field("lsn", lsn)
                .field("prefix_bytes", &prefix.len())
                .field("content_bytes", &content.len())
                .finish(),
            Message::Origin { lsn, name } => {
                f.debug_struct("Origin").field("lsn", lsn).field("name", name).finish()
            }
            Message::Relation(relation) => f.debug_tuple("Relation").field(relation).finish(),
            Message::Truncate { cascade, restart_identity, relations } => f
                .debug_struct("Truncate")
                .field("cascade", cascade)
                .field("restart_identity", restart_identity)
                .field("relations", relations)
                .finish(),
            Message::Type { oid, namespace, name } => f
                .debug_struct("Type")
                .field("oid", oid)
                .field("namespace", namespace)
                .field("name", name)
                .finish(),
            Message::Update { relation, old, new } => f
                .debug_struct("Update")
                .field("relation", relation)
                .field("old", old)
                .field("new", new)
                .finish(),
        }
    }
}

impl<'a> RelationIds<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none: possible on the wire, though PostgreSQL does not send it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids in the order of the statement.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = RelationId> + use<'a> {
        self.ids.iter().map(|id| RelationId(u32::from_be_bytes(*id)))
    }
}

impl fmt::Debug for RelationIds<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a> RelationBody<'a> {
    /// The relation, to be kept.
    #[must_use]
    pub fn to_owned(&self) -> Relation {
        let mut reader = Reader::new(self.columns);
        let mut columns = Vec::with_capacity(usize::from(self.columns_len));
        // Never an error: `read` read the same bytes.
        while let Ok(column) = BorrowedColumn::read(&mut reader) {
            columns.push(column.to_owned());
        }
        Relation {
            id: self.id,
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
            identity: self.identity,
            columns,
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let id = relation_id(reader)?;
        let namespace = namespace(reader)?;
        let name = reader.reading("relation name").cstr()?;
        let identity = match reader.reading("replica identity").u8()? {
            b'd' => ReplicaIdentity::Default,
            b'f' => ReplicaIdentity::Full,
            b'i' => ReplicaIdentity::Index,
            b'n' => ReplicaIdentity::Nothing,
            other => return Err(reader.unknown_tag(other)),
        };
        let columns_len = reader.reading("relation column count").count16()?;
        let columns = reader.left();
        for _ in 0..columns_len {
            BorrowedColumn::read(reader)?;
        }
        let columns = reader.since(columns);
        Ok(Self { id, namespace, name, identity, columns, columns_len })
    }
}

impl fmt::Debug for RelationBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_owned().fmt(f)
    }
}

/// A [`RelationColumn`] that is still in the frame.
struct BorrowedColumn<'a> {
    name: &'a str,
    is_identity: bool,
    type_oid: u32,
    type_modifier: i32,
}

impl<'a> BorrowedColumn<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let is_identity = flag(reader, "relation column flags")?;
        let name = reader.reading("relation column name").cstr()?;
        let type_oid = reader.reading("relation column type").u32()?;
        let type_modifier = reader.reading("relation column type modifier").i32()?;
        Ok(Self { name, is_identity, type_oid, type_modifier })
    }

    fn to_owned(&self) -> RelationColumn {
        RelationColumn {
            name: self.name.to_owned(),
            is_identity: self.is_identity,
            type_oid: self.type_oid,
            type_modifier: self.type_modifier,
        }
    }
}

#[inline]
fn insert<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Error> {
    let relation = relation_id(reader)?;
    let new = match reader.reading("new tuple tag").u8()? {
        b'N' => Tuple::read(reader)?,
        other => return Err(reader.unknown_tag(other)),
    };
    Ok(Message::Insert { relation, new })
}

#[inline]
fn update<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Error> {
    let relation = relation_id(reader)?;
    let mut tag = reader.reading("tuple tag").u8()?;
    let mut old = None;
    if tag != b'N' {
        old = Some(old_tuple(reader, tag)?);
        tag = reader.reading("new tuple tag").u8()?;
    }
    if tag != b'N' {
        return Err(reader.unknown_tag(tag));
    }
    Ok(Message::Update { relation, old, new: Tuple::read(reader)? })
}

#[inline]
fn delete<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Error> {
    let relation = relation_id(reader)?;
    let tag = reader.reading("old tuple tag").u8()?;
    Ok(Message::Delete { relation, old: old_tuple(reader, tag)? })
}

#[inline]
fn old_tuple<'a>(reader: &mut Reader<'a>, tag: u8) -> Result<OldTuple<'a>, Error> {
    let kind = match tag {
        b'K' => OldTupleKind::Key,
        b'O' => OldTupleKind::Full,
        _ => return Err(reader.unknown_tag(tag)),
    };
    Ok(OldTuple { kind, tuple: Tuple::read(reader)? })
}

fn begin<'a>(reader: &mut Reader<'_>) -> Result<Message<'a>, Error> {
    let final_lsn = lsn(reader, "begin final LSN")?;
    let commit_time_us = time_us(reader, "begin commit time")?;
    let xid = Xid(reader.reading("begin xid").u32()?);
    Ok(Message::Begin { final_lsn, commit_time_us, xid })
}

fn commit<'a>(reader: &mut Reader<'_>) -> Result<Message<'a>, Error> {
    match reader.reading("commit flags").u8()? {
        0 => {}
        other => return Err(reader.unknown_tag(other)),
    }
    let commit_lsn = lsn(reader, "commit LSN")?;
    let end_lsn = lsn(reader, "commit end LSN")?;
    let commit_time_us = time_us(reader, "commit time")?;
    Ok(Message::Commit { commit_lsn, end_lsn, commit_time_us })
}

fn logical_message<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Error> {
    let transactional = flag(reader, "logical message flags")?;
    let lsn = lsn(reader, "logical message LSN")?;
    let prefix = reader.reading("logical message prefix").cstr()?;
    let content_bytes = reader.reading("logical message length").count32()?;
    let content = reader.reading("logical message content").bytes(content_bytes)?;
    Ok(Message::Message { transactional, lsn, prefix, content })
}

fn origin<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Error> {
    let lsn = lsn(reader, "origin LSN")?;
    let name = reader.reading("origin name").cstr()?;
    Ok(Message::Origin { lsn, name })
}

fn truncate<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Error> {
    let count = reader.reading("truncate relation count").count32()?;
    let (cascade, restart_identity) = match reader.reading("truncate flags").u8()? {
        0 => (false, false),
        1 => (true, false),
        2 => (false, true),
        3 => (true, true),
        other => return Err(reader.unknown_tag(other)),
    };
    let ids_bytes = count.saturating_mul(size_of::<u32>());
    let (ids, _) = reader.reading("truncate relations").bytes(ids_bytes)?.as_chunks();
    Ok(Message::Truncate { cascade, restart_identity, relations: RelationIds { ids } })
}

fn type_name<'a>(reader: &mut Reader<'a>) -> Result<Message<'a>, Error> {
    let oid = reader.reading("type id").u32()?;
    let namespace = namespace(reader)?;
    let name = reader.reading("type name").cstr()?;
    Ok(Message::Type { oid, namespace, name })
}

#[inline]
fn relation_id(reader: &mut Reader<'_>) -> Result<RelationId, Error> {
    reader.reading("relation id").u32().map(RelationId)
}

/// Reads a byte of flags of which only the lowest is defined.
fn flag(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, Error> {
    match reader.reading(what).u8()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(reader.unknown_tag(other)),
    }
}

/// Reads a PostgreSQL schema's name, which is sent empty for `pg_catalog`.
fn namespace<'a>(reader: &mut Reader<'a>) -> Result<&'a str, Error> {
    match reader.reading("namespace").cstr()? {
        "" => Ok("pg_catalog"),
        name => Ok(name),
    }
}
