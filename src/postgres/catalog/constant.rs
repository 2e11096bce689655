//! Defaults of columns that are constants: the expression as the catalog prints it, to the text of the
//! value that a row gets.
//!
//! An expression is a constant here if it is one literal, of the column's own type or of one that it
//! takes as it is written. Everything else is none: a sequence, a time of now, and what only the
//! server can compute.
//!
//! Source: `get_const_expr` in PostgreSQL's `ruleutils.c`

/// The type of a column, that of its values for a domain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared<'a> {
    /// As a literal of it is labelled, without modifier: `character varying`.
    pub(super) name: &'a str,
    /// The same with it: `character varying(20)`.
    pub(super) full_name: &'a str,
    /// The type modifier; negative is none.
    pub(super) modifier: i32,
}

/// PostgreSQL's text of the constant, as the column stores it; `None` where it is no constant, or
/// where the column stores something else than what it says.
pub(super) fn constant(expression: &str, declared: Declared<'_>) -> Option<String> {
    let text = match expression.strip_prefix('\'') {
        Some(quoted) => labelled(quoted, declared)?,
        None => match (expression, declared.name) {
            ("true", "boolean") => "t".to_owned(),
            ("false", "boolean") => "f".to_owned(),
            ("true" | "false", _) => expression.to_owned(),
            _ => is_number(expression).then(|| expression.to_owned())?,
        },
    };
    stored(text, declared)
}

/// What is in quotes before a label, of which it has the first already.
fn labelled(quoted: &str, declared: Declared<'_>) -> Option<String> {
    let label = quoted.rfind("'::")?;
    let (inside, label) = quoted.split_at(label);
    let label = label.strip_prefix("'::")?;
    let is_taken = match label {
        "\"bit\"" => declared.name == "bit varying",
        "character varying" | "text" => ["character varying", "text"].contains(&declared.name),
        // Numbers below zero; the others have no label.
        "integer" | "numeric" => inside.strip_prefix('-').is_some_and(is_number),
        _ => false,
    };
    if !is_taken && label != declared.name && label != declared.full_name {
        return None;
    }
    // A quote that is alone ends the literal: then this is more than one.
    let is_one = !inside.replace("''", "").contains('\'');
    is_one.then(|| inside.replace("''", "'"))
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.'))
}

/// The text as the modifier leaves it: blanks fill a `char(n)`; what would be cut or rounded is none.
fn stored(text: String, declared: Declared<'_>) -> Option<String> {
    let Ok(modifier) = usize::try_from(declared.modifier) else { return Some(text) };
    match declared.name {
        "bpchar" => {
            let missing =
                modifier.checked_sub(VARIABLE_HEADER)?.checked_sub(text.chars().count())?;
            Some(text + &" ".repeat(missing))
        }
        "character varying" => {
            (text.chars().count() <= modifier.checked_sub(VARIABLE_HEADER)?).then_some(text)
        }
        "numeric" => with_scale(text, modifier),
        name if name.starts_with("time") => (fraction_digits(&text) <= modifier).then_some(text),
        _ => Some(text),
    }
}

/// A number with as many digits after the point as its column declares: zeros fill it up. With a
/// negative scale so many zeros must end it.
fn with_scale(text: String, modifier: usize) -> Option<String> {
    if !text.ends_with(|last: char| last.is_ascii_digit()) {
        // NaN and infinity.
        return Some(text);
    }
    let scale = modifier.checked_sub(VARIABLE_HEADER)? & SCALE_MASK;
    if SCALE_MASK / 2 < scale {
        let zeros = "0".repeat(SCALE_MASK + 1 - scale);
        return (text == "0" || text.ends_with(&zeros) && !text.contains('.')).then_some(text);
    }
    let missing = scale.checked_sub(fraction_digits(&text))?;
    let point = if text.contains('.') || missing == 0 { "" } else { "." };
    Some(text + point + &"0".repeat(missing))
}

/// How many digits the fraction of a number or a second has.
fn fraction_digits(text: &str) -> usize {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    fraction.bytes().take_while(u8::is_ascii_digit).count()
}

/// The scale in the modifier of a numeric, in two's complement.
const SCALE_MASK: usize = 0x7ff;

/// What modifiers count beside what they declare: `VARHDRSZ`.
const VARIABLE_HEADER: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, name: &str, modifier: i32, expect: Option<&str>) {
        let full_name = format!("{name}(of some length)");
        let declared = Declared { name, full_name: &full_name, modifier };
        let found = constant(expression, declared);
        assert_eq!(found.as_deref(), expect, "{expression} for {name}");
    }

    #[test]
    fn a_literal_is_a_constant() {
        for (expression, name, expect) in [
            ("7", "integer", "7"),
            ("1.50", "numeric", "1.50"),
            ("7", "text", "7"),
            ("true", "boolean", "t"),
            ("false", "text", "false"),
            ("'-7'::integer", "integer", "-7"),
            ("'new'::text", "text", "new"),
            ("''::text", "text", ""),
            ("''''::text", "text", "'"),
            ("'it''s'::text", "text", "it's"),
            ("'a\\b'::text", "text", "a\\b"),
            ("'::text'::text", "text", "::text"),
            ("'''::text'::text", "text", "'::text"),
            ("'101'::\"bit\"", "\"bit\"", "101"),
            ("'101'::\"bit\"", "bit varying", "101"),
            ("'new'::character varying", "text", "new"),
            ("'-0.1'::numeric", "double precision", "-0.1"),
            ("'-7'::integer", "bigint", "-7"),
            ("'new'::shop.\"a 'state'\"", "shop.\"a 'state'\"", "new"),
            ("'P1D'::interval(of some length)", "interval", "P1D"),
        ] {
            check(expression, name, -1, Some(expect));
        }
    }

    #[test]
    fn anything_else_is_none() {
        for (expression, name) in [
            ("now()", "timestamp with time zone"),
            ("nextval('s'::regclass)", "integer"),
            ("CURRENT_DATE", "date"),
            ("('a'::text || 'b'::text)", "text"),
            ("'a'::text || 'b'::text", "text"),
            ("1 + 1", "integer"),
            ("ARRAY[]::text[]", "text[]"),
            ("NULL::text", "text"),
            ("-1", "integer"),
            // Of another type: what it becomes need not be what it says.
            ("'NaN'::numeric", "double precision"),
            ("'ab '::bpchar", "text"),
            ("'1.1'::real", "double precision"),
            ("'2024-01-01'::date", "timestamp without time zone"),
            ("'a'::text COLLATE \"C\"", "text"),
            ("'a", "text"),
            ("'", "text"),
        ] {
            check(expression, name, -1, None);
        }
    }

    #[test]
    fn a_modifier_fills_up_and_what_it_would_cut_is_none() {
        check("'ab'::bpchar", "bpchar", 7, Some("ab "));
        check("'abc'::bpchar", "bpchar", 7, Some("abc"));
        check("'äöü'::bpchar", "bpchar", 7, Some("äöü"));
        check("'abcd'::bpchar", "bpchar", 7, None);
        check("'abc'::character varying", "character varying", 7, Some("abc"));
        check("'abc '::character varying", "character varying", 7, None);
        // numeric(6, 2) and numeric(5, -2).
        let [price, rounded] = [(6 << 16 | 2) + 4, (5 << 16 | 0x7fe) + 4];
        check("1.5", "numeric", price, Some("1.50"));
        check("0", "numeric", price, Some("0.00"));
        check("'-1.25'::numeric", "numeric", price, Some("-1.25"));
        check("1.005", "numeric", price, None);
        check("'NaN'::numeric", "numeric", price, Some("NaN"));
        check("12345", "numeric", rounded, None);
        check("12300", "numeric", rounded, Some("12300"));
        check("0", "numeric", rounded, Some("0"));
        let time = "time without time zone";
        check("'12:34:56.7'::time without time zone", time, 1, Some("12:34:56.7"));
        check("'12:34:56.7'::time without time zone", time, 0, None);
        let zoned = "timestamp with time zone";
        check(
            "'2024-01-01 00:00:00.25+00'::timestamp with time zone",
            zoned,
            2,
            Some("2024-01-01 00:00:00.25+00"),
        );
        check("'2024-01-01 00:00:00.25+00'::timestamp with time zone", zoned, 1, None);
    }
}
