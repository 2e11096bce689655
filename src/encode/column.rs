//! One column's encoder: compiled once from its kind, executed on every row.

use uuid::Uuid;

use super::representation::Representation;
use super::{Error, avro, decimal, iso, placeholder, spatial, vector};
use crate::types::{
    Array, Bits, Datum, Decimal, Hstore, Interval, Kind, MICROS_PER_DAY, Numeric,
    POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS, decode_binary, decode_text, print,
};
use crate::wal::Column;

/// Writes the values of one column as the Avro field that [`schema`](super::schema) declares.
#[derive(Clone, Debug)]
pub struct ColumnEncoder {
    kind: Kind,
    representation: Representation,
    is_optional: bool,
    /// The field's bytes for a value that did not change and is not in the stream.
    unchanged: Option<Box<[u8]>>,
    /// The field's bytes for a column that the stream leaves out.
    absent: Box<[u8]>,
}

impl ColumnEncoder {
    /// Chooses the encoding. `unavailable` is the placeholder for values that did not change
    /// (Debezium's `unavailable.value.placeholder`: a text, or bytes as `hex:…`).
    #[must_use]
    pub fn compile(kind: &Kind, optional: bool, unavailable: &str) -> Self {
        let representation = Representation::of(kind);
        let null = || optional.then(|| Box::from([NULL_BRANCH]));
        let in_branch = |value: Vec<u8>| {
            let branch: &[u8] = if optional { &[VALUE_BRANCH] } else { &[] };
            [branch, &value].concat().into_boxed_slice()
        };
        let unchanged =
            placeholder::unchanged(&representation, unavailable).map(in_branch).or_else(null);
        let absent = null().unwrap_or_else(|| placeholder::zero(&representation).into());
        Self { kind: kind.clone(), representation, is_optional: optional, unchanged, absent }
    }

    /// Appends the column's field: its value, or null where the field is optional.
    ///
    /// # Errors
    /// See [`Error`]; the buffer is then as it was.
    pub fn encode(&self, column: Column<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
        let decoded = match column {
            Column::Null if self.is_optional => {
                out.push(NULL_BRANCH);
                return Ok(());
            }
            Column::Null => return Err(Error::Null),
            Column::Unchanged => {
                out.extend_from_slice(self.unchanged.as_deref().ok_or(Error::Unavailable)?);
                return Ok(());
            }
            Column::Text(text) => decode_text(&self.kind, text),
            Column::Binary(bytes) => decode_binary(&self.kind, bytes),
        };
        // Used where it is: moved, it would be read in pieces of another size than it was just
        // written in, for which the processor waits.
        let datum = decoded.as_ref().map_err(|error| *error)?;
        let start = out.len();
        if self.is_optional {
            out.push(VALUE_BRANCH);
        }
        if let Err(error) = write(&self.representation, datum, out) {
            out.truncate(start);
            return Err(error);
        }
        Ok(())
    }

    /// Appends the field of a column that the stream leaves out: null where the field is optional,
    /// else the zero that Debezium invents there (0, "", 1970-01-01, no bytes).
    pub fn encode_absent(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.absent);
    }

    /// Whether the field is a union with null.
    #[must_use]
    pub fn is_optional(&self) -> bool {
        self.is_optional
    }

    /// The kind of value that it encodes.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }
}

/// Index 0 of `["null", T]`, as zig-zag.
pub(super) const NULL_BRANCH: u8 = 0;
/// Index 1 of `["null", T]`, as zig-zag.
pub(super) const VALUE_BRANCH: u8 = 2;

/// Appends one value, without a union's index. What the decoders give for a kind is what its
/// representation expects.
fn write(
    representation: &Representation,
    datum: &Datum<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match *datum {
        Datum::Array(array) => return write_array(representation, array, out),
        Datum::Bits(bits) => return write_bits(representation, bits, out),
        Datum::Bool(value) => avro::boolean(value, out),
        Datum::Bytea(value) => {
            avro::length(value.len(), out);
            value.append_to(out);
        }
        Datum::Date(days) => avro::int(unix_days(days)?, out),
        Datum::Float4(value) => avro::float(value, out),
        Datum::Float8(value) => avro::double(value, out),
        Datum::Geometry(value) => spatial::write(value, out),
        Datum::Hstore(value) => return write_hstore(value, out),
        Datum::Int2(value) => avro::int(i32::from(value), out),
        Datum::Int4(value) => avro::int(value, out),
        Datum::Int8(value) => avro::long(value, out),
        Datum::Interval(value) => avro::long(duration_micros(value)?, out),
        Datum::Money(cents) => decimal::write_i128(cents.into(), out),
        Datum::Numeric(value) => return write_numeric(representation, value, out),
        Datum::Point { x, y } => write_point(x, y, out),
        Datum::Printed(bytes) => {
            let Representation::Printed { kind, .. } = representation else {
                return Err(Error::Malformed { what: "value of a column of another kind" });
            };
            return Ok(avro::length_prefixed(out, |out| print(kind, bytes, out))?);
        }
        Datum::SparseVector(value) => return vector::write_sparse(&value, out),
        Datum::Text(value) => avro::string(value, out),
        Datum::Time(micros) => match representation {
            Representation::MilliTime => avro::long(micros / 1000, out),
            _ => avro::long(micros, out),
        },
        Datum::TimeTz { micros, west_seconds } => {
            return avro::length_prefixed(out, |out| {
                iso::write_time(utc_time(micros, west_seconds), None, out);
                Ok(())
            });
        }
        Datum::Timestamp(micros) => avro::long(unix_time(representation, micros)?, out),
        Datum::TimestampTz(i64::MAX) => avro::string("infinity", out),
        Datum::TimestampTz(i64::MIN) => avro::string("-infinity", out),
        Datum::TimestampTz(micros) => {
            let digits = match representation {
                Representation::ZonedTimestamp { digits } => *digits,
                _ => None,
            };
            return avro::length_prefixed(out, |out| {
                iso::write_timestamp(micros, digits, out);
                Ok(())
            });
        }
        Datum::Uuid(value) => write_uuid(value, out),
        Datum::Vector(value) if *representation == Representation::FloatVector => {
            return vector::write_floats(&value, out);
        }
        Datum::Vector(value) => return vector::write_doubles(&value, out),
    }
    Ok(())
}

/// One block of all elements, each a union with null.
fn write_array(
    representation: &Representation,
    array: Array<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let Representation::Array { element_kind, element: representation } = representation else {
        return Err(Error::Malformed { what: "array in a column of another kind" });
    };
    if !array.is_empty() {
        avro::length(array.len(), out);
    }
    for element in array.elements() {
        match element? {
            None => out.push(NULL_BRANCH),
            Some(element) => {
                out.push(VALUE_BRANCH);
                write(representation, &element.datum(element_kind)?, out)?;
            }
        }
    }
    avro::length(0, out);
    Ok(())
}

/// Like Java's `BitSet.toByteArray`: the last bit is the lowest of the first byte, and the bytes end
/// with the highest bit that is set.
fn write_bits(
    representation: &Representation,
    bits: Bits<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    if *representation == Representation::Boolean {
        let what = "an empty string of bits";
        avro::boolean(bits.iter().next().ok_or(Error::Unrepresentable { what })?, out);
        return Ok(());
    }
    let zeros = bits.iter().take_while(|bit| !bit).count();
    avro::length((bits.len() - zeros).div_ceil(8), out);
    let mut low_first = bits.iter().rev().take(bits.len() - zeros);
    while 0 < low_first.len() {
        let byte = low_first.by_ref().take(8).enumerate();
        out.push(byte.fold(0, |byte, (at, bit)| byte | u8::from(bit) << at));
    }
    Ok(())
}

/// A JSON object; the control characters that have no letter of their own are written `\u00..`.
fn write_hstore(value: Hstore<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    avro::length_prefixed(out, |out| {
        out.push(b'{');
        let start = out.len();
        value.for_each(|key, value| {
            if start != out.len() {
                out.push(b',');
            }
            json_string(key, out)?;
            out.push(b':');
            match value {
                None => out.extend_from_slice(b"null"),
                Some(value) => json_string(value, out)?,
            }
            Ok::<_, Error>(())
        })?;
        out.push(b'}');
        Ok(())
    })
}

fn json_string(text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    serde_json::to_writer(out, text).map_err(|_| Error::Malformed { what: "hstore" })
}

/// Debezium's `Point`: the coordinates, and again as WKB (little-endian, type 1), no SRID.
pub(super) fn write_point(x: f64, y: f64, out: &mut Vec<u8>) {
    avro::double(x, out);
    avro::double(y, out);
    out.push(VALUE_BRANCH);
    avro::length(21, out);
    out.extend_from_slice(&[1, 1, 0, 0, 0]);
    avro::double(x, out);
    avro::double(y, out);
    out.push(NULL_BRANCH);
}

fn write_numeric(
    representation: &Representation,
    value: Numeric<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let what = match value {
        Numeric::Finite(value) => return write_decimal(representation, &value, out),
        Numeric::Infinity => "numeric Infinity",
        Numeric::NaN => "numeric NaN",
        Numeric::NegativeInfinity => "numeric -Infinity",
    };
    Err(Error::Unrepresentable { what })
}

fn write_decimal(
    representation: &Representation,
    value: &Decimal<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let needed = value.fraction_digits();
    let scale = if let Representation::Decimal { scale, .. } = representation {
        u32::from(*scale)
    } else {
        // The scale goes first; it has 14 bits at most.
        avro::long(i64::from(needed), out);
        needed
    };
    if scale < needed {
        let what = "numeric with more digits after the point than its column declares";
        return Err(Error::Unrepresentable { what });
    }
    decimal::write_unscaled(value, scale, out);
    Ok(())
}

/// 32 digits, in groups of 8-4-4-4-12.
fn write_uuid(value: [u8; 16], out: &mut Vec<u8>) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    avro::string(Uuid::from_bytes(value).hyphenated().encode_lower(&mut text), out);
}

/// Days since 1970-01-01.
fn unix_days(days: i32) -> Result<i32, Error> {
    match days {
        i32::MAX => Err(Error::Unrepresentable { what: "date infinity" }),
        i32::MIN => Err(Error::Unrepresentable { what: "date -infinity" }),
        // PostgreSQL's last date, in 5874897, leaves room.
        _ => days.checked_add(POSTGRES_EPOCH_DAYS).ok_or(Error::Malformed { what: "date" }),
    }
}

/// Milliseconds or microseconds since 1970-01-01 00:00.
fn unix_time(representation: &Representation, micros: i64) -> Result<i64, Error> {
    match (micros, representation) {
        (i64::MAX, _) => Err(Error::Unrepresentable { what: "timestamp infinity" }),
        (i64::MIN, _) => Err(Error::Unrepresentable { what: "timestamp -infinity" }),
        (_, Representation::MilliTimestamp) => {
            Ok(micros.div_euclid(1000) + POSTGRES_EPOCH_MICROS / 1000)
        }
        _ => micros
            .checked_add(POSTGRES_EPOCH_MICROS)
            .ok_or(Error::Unrepresentable { what: "timestamp past the year 294246" }),
    }
}

/// Debezium's `MicroDuration`: a month counts 365.25 / 12 = 30.4375 days.
fn duration_micros(value: Interval) -> Result<i64, Error> {
    const MICROS_PER_MONTH: i64 = 2_629_800_000_000;
    match value {
        Interval::INFINITY => return Err(Error::Unrepresentable { what: "interval infinity" }),
        Interval::NEGATIVE_INFINITY => {
            return Err(Error::Unrepresentable { what: "interval -infinity" });
        }
        _ => {}
    }
    // 2^31 months are 5.6 × 10^21 microseconds: more than 64 bits.
    let micros = i128::from(value.months) * i128::from(MICROS_PER_MONTH)
        + i128::from(value.days) * i128::from(MICROS_PER_DAY)
        + i128::from(value.micros);
    let what = "interval of more than 292,271 years";
    i64::try_from(micros).map_err(|_| Error::Unrepresentable { what })
}

/// Microseconds since midnight UTC; 24:00:00 stays what it is only where it is UTC already.
fn utc_time(micros: i64, west_seconds: i32) -> i64 {
    let utc = micros + i64::from(west_seconds) * 1_000_000;
    if utc == MICROS_PER_DAY && west_seconds == 0 { utc } else { utc.rem_euclid(MICROS_PER_DAY) }
}
