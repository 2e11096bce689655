//! Values and bytes as findings show them.

use walbrook::encode::Error;
use walbrook::wal::Column;

/// A column as it came: its text, or its bytes as digits.
pub(super) fn shown(column: Column<'_>) -> String {
    match column {
        Column::Text(text) => short(&String::from_utf8_lossy(text)),
        Column::Binary(bytes) => short(&hex(bytes)),
        other => format!("{other:?}"),
    }
}

/// The bytes of a field, or why there are none.
pub(super) fn told(outcome: &Result<Vec<u8>, Error>) -> String {
    match outcome {
        Ok(bytes) => short(&hex(bytes)),
        Err(error) => format!("\"{error}\""),
    }
}

pub(super) fn short(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_CHARS).collect();
    if cut.len() < text.len() { cut + "…" } else { cut }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SHOWN_CHARS: usize = 200;
