//! How things are put down: the one thing in which Avro's bytes and JSON's text differ. What walks a
//! value or a row is written once, against this trait, and compiled for each.

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Avro's binary encoding.
    Avro,
    /// JSON, as Kafka Connect's converter writes it.
    Json,
}

/// Appends things in a notation. Implemented by [`Avro`](super::avro::Avro) and
/// [`Json`](super::json::Json).
pub trait Encoding {
    /// A value that may be null, and is.
    fn null(out: &mut Vec<u8>);

    /// What goes before a value that may be null, and is not.
    fn some(out: &mut Vec<u8>);

    /// A boolean.
    fn boolean(value: bool, out: &mut Vec<u8>);

    /// A number of 32 bits.
    fn int(value: i32, out: &mut Vec<u8>);

    /// A number of 64 bits.
    fn long(value: i64, out: &mut Vec<u8>);

    /// A float of 32 bits.
    fn float(value: f32, out: &mut Vec<u8>);

    /// A float of 64 bits.
    fn double(value: f64, out: &mut Vec<u8>);

    /// Text.
    fn string(value: &str, out: &mut Vec<u8>);

    /// Bytes.
    fn bytes(value: &[u8], out: &mut Vec<u8>);

    /// Text that `write` appends. All it appends must be UTF-8.
    ///
    /// # Errors
    /// Those of `write`; the buffer then holds a part of the value.
    fn string_of<E>(
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E>;

    /// Bytes that `write` appends.
    ///
    /// # Errors
    /// Those of `write`; the buffer then holds a part of the value.
    fn bytes_of<E>(
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E>;

    /// The beginning of an array of so many items.
    fn array(len: usize, out: &mut Vec<u8>);

    /// What goes before each item.
    fn item(out: &mut Vec<u8>);

    /// The end of an array.
    fn array_end(out: &mut Vec<u8>);

    /// The beginning of an entry of a map whose keys are no text: an item for each of key and value
    /// follows.
    fn pair(out: &mut Vec<u8>);

    /// The end of such an entry.
    fn pair_end(out: &mut Vec<u8>);

    /// The beginning of a map of so many entries.
    fn map(len: usize, out: &mut Vec<u8>);

    /// The key of an entry; its value follows.
    fn map_key(key: &str, out: &mut Vec<u8>);

    /// The end of a map.
    fn map_end(out: &mut Vec<u8>);

    /// The beginning of a record.
    fn record(out: &mut Vec<u8>);

    /// The name of a field; its value follows.
    fn field(name: &str, out: &mut Vec<u8>);

    /// The end of a record.
    fn record_end(out: &mut Vec<u8>);
}
