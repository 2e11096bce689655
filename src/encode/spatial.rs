//! Shapes: PostGIS' types and PostgreSQL's geometric ones, as Debezium has them.
//!
//! A record of bytes and SRID. PostGIS' bytes are EWKB although Debezium names their field `wkb`, and
//! hold the SRID too. A box, lseg, path or polygon becomes WKB without an SRID, and `extensions` say
//! which it was; a circle and a line, which WKB has not, have records of their own.
//!
//! ```text
//! WKB: u8 1 (the lowest byte first) | u32 2 (a line of points) | u32 count | f64 x, f64 y …
//!      u8 1 | u32 3 (a polygon) | u32 1 ring | u32 count | f64 x, f64 y …, the first again at the end
//! ```
//!
//! Source: <https://www.ogc.org/standards/sfa/>, well-known binary

use super::Error;
use super::encoding::Encoding;
use super::layout::Layout;
use super::value::write_point;
use crate::types::{Bytea, Ewkb, Figure, Points};

/// Appends one of PostGIS' values.
pub(super) fn write<E: Encoding>(
    layout: &Layout,
    value: Ewkb<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    E::record(out);
    E::field("wkb", out);
    match value.bytes() {
        Bytea::Raw(bytes) => E::bytes(bytes, out),
        bytes => E::bytes_of::<Error>(out, |out| {
            bytes.append_to(out);
            Ok(())
        })?,
    }
    E::field("srid", out);
    match value.srid() {
        None => E::null(out),
        Some(srid) => {
            E::some(out);
            E::int(srid, out);
        }
    }
    no_extensions::<E>(layout, out);
    E::record_end(out);
    Ok(())
}

/// An empty collection, which Debezium invents.
pub(super) fn write_empty<E: Encoding>(layout: &Layout, out: &mut Vec<u8>) {
    E::record(out);
    E::field("wkb", out);
    E::bytes(&[1, 7, 0, 0, 0, 0, 0, 0, 0], out);
    E::field("srid", out);
    E::null(out);
    no_extensions::<E>(layout, out);
    E::record_end(out);
}

/// Appends one of PostgreSQL's geometric values.
pub(super) fn write_figure<E: Encoding>(
    figure: &Figure<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    match *figure {
        Figure::Box([(right, top), (left, bottom)]) => {
            let corners = [(right, top), (right, bottom), (left, bottom), (left, top)];
            let ring = corners.into_iter().chain([(right, top)]);
            write_shape::<E>(&[("type", "box")], out, |out| write_ring(5, ring, out))
        }
        Figure::Circle { center: (x, y), radius } => {
            E::record(out);
            E::field("center", out);
            write_point::<E>(&Layout::Point, x, y, out);
            E::field("radius", out);
            E::double(radius, out);
            E::record_end(out);
            Ok(())
        }
        Figure::Line([a, b, c]) => {
            E::record(out);
            for (name, number) in [("a", a), ("b", b), ("c", c)] {
                E::field(name, out);
                E::double(number, out);
            }
            E::record_end(out);
            Ok(())
        }
        Figure::Lseg(ends) => {
            write_shape::<E>(&[("type", "lseg")], out, |out| write_points(2, ends.into_iter(), out))
        }
        Figure::Path { points, is_closed } => {
            let closed = if is_closed { "true" } else { "false" };
            write_shape::<E>(&[("type", "path"), ("closed", closed)], out, |out| {
                write_points(points.len(), points.iter(), out)
            })
        }
        Figure::Polygon(points) => {
            write_shape::<E>(&[("type", "polygon")], out, |out| write_polygon(points, out))
        }
    }
}

/// Only `geometry` has them, and PostGIS' values none.
fn no_extensions<E: Encoding>(layout: &Layout, out: &mut Vec<u8>) {
    if *layout == Layout::Geometry {
        E::field("extensions", out);
        E::null(out);
    }
}

fn write_shape<E: Encoding>(
    extensions: &[(&str, &str)],
    out: &mut Vec<u8>,
    wkb: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
) -> Result<(), Error> {
    E::record(out);
    E::field("wkb", out);
    E::bytes_of(out, wkb)?;
    E::field("srid", out);
    E::null(out);
    E::field("extensions", out);
    E::some(out);
    E::map(extensions.len(), out);
    for (name, value) in extensions {
        E::map_key(name, out);
        E::string(value, out);
    }
    E::map_end(out);
    E::record_end(out);
    Ok(())
}

/// A ring ends where it begins; a polygon that does so, too, gets no other point.
fn write_polygon(points: Points<'_>, out: &mut Vec<u8>) -> Result<(), Error> {
    let (first, last) = (points.iter().next(), points.iter().last());
    let end = first.filter(|_| 1 < points.len() && first != last);
    write_ring(points.len() + usize::from(end.is_some()), points.iter().chain(end), out)
}

fn write_ring(
    count: usize,
    points: impl Iterator<Item = (f64, f64)>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    out.extend_from_slice(&[1, 3, 0, 0, 0, 1, 0, 0, 0]);
    write_coordinates(count, points, out)
}

fn write_points(
    count: usize,
    points: impl Iterator<Item = (f64, f64)>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    out.extend_from_slice(&[1, 2, 0, 0, 0]);
    write_coordinates(count, points, out)
}

fn write_coordinates(
    count: usize,
    points: impl Iterator<Item = (f64, f64)>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let too_many = Error::Malformed { what: "geometric type: more points than fit into a value" };
    out.extend(u32::try_from(count).map_err(|_| too_many)?.to_le_bytes());
    for (x, y) in points {
        out.extend(x.to_le_bytes());
        out.extend(y.to_le_bytes());
    }
    Ok(())
}
