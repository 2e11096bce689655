//! `tsvector` and `tsquery`.
//!
//! Source: `tsvectorout` and `infix` in
//! <https://github.com/postgres/postgres/tree/REL_17_STABLE/src/backend/utils/adt> (`tsvector.c`,
//! `tsquery.c`).

use super::put;
use crate::types::Error;
use crate::types::cursor::Cursor;
use crate::types::datum::utf8;

/// `'word':1A,2 'other'`.
///
/// ```text
/// i32 words | per word: text, 0 | u16 positions | per position: u16 (2 bits weight, 14 position)
/// ```
pub(super) fn tsvector(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, "tsvector (binary)");
    for at in 0..cursor.u32()? {
        if at != 0 {
            out.push(b' ');
        }
        quoted(cursor.c_string()?, out)?;
        for at in 0..cursor.u16()? {
            let entry = cursor.u16()?;
            let mark = if at == 0 { ':' } else { ',' };
            let weight = match entry >> 14 {
                3 => "A",
                2 => "B",
                1 => "C",
                _ => "",
            };
            put(out, format_args!("{mark}{}{weight}", entry & 0x3fff))?;
        }
    }
    cursor.end()
}

/// `'one' & !'two':*A <2> 'three'`.
///
/// ```text
/// i32 items | per item: 1, u8 weights, u8 is prefix, text, 0
///                   or: 2, u8 operator (1 not, 2 and, 3 or, 4 phrase: then u16 distance)
/// ```
///
/// An operator stands before its operands, and the right one before the left one.
pub(super) fn tsquery(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let mut cursor = Cursor::new(bytes, WHAT);
    let count = cursor.u32()?;
    let items = cursor;
    for _ in 0..count {
        item(&mut cursor)?;
    }
    cursor.end()?;
    // What is still to be printed, the next last.
    let mut steps = Vec::new();
    if count != 0 {
        steps.push(Step::Operand { items, priority: 0, is_right_of_phrase: false });
    }
    while let Some(step) = steps.pop() {
        match step {
            Step::Close => out.extend_from_slice(b" )"),
            Step::Operator(Operator::Phrase(1)) => out.extend_from_slice(b" <-> "),
            Step::Operator(Operator::Phrase(distance)) => {
                put(out, format_args!(" <{distance}> "))?;
            }
            Step::Operator(Operator::And) => out.extend_from_slice(b" & "),
            Step::Operator(Operator::Or) => out.extend_from_slice(b" | "),
            Step::Operator(Operator::Not) => out.push(b'!'),
            Step::Operand { mut items, priority, is_right_of_phrase } => match item(&mut items)? {
                Item::Word(word) => word.print(out)?,
                Item::Operator(operator) => {
                    let is_in_parentheses = operator.priority() < priority
                        || (is_right_of_phrase && matches!(operator, Operator::Phrase(_)));
                    if is_in_parentheses {
                        out.extend_from_slice(b"( ");
                        steps.push(Step::Close);
                    }
                    operands(operator, items, &mut steps)?;
                }
            },
        }
    }
    Ok(())
}

const WHAT: &str = "tsquery (binary)";

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    And,
    Not,
    Or,
    /// The distance of the words.
    Phrase(u16),
}

impl Operator {
    fn priority(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Phrase(_) => 3,
            Self::Not => 4,
        }
    }
}

struct Word<'a> {
    text: &'a [u8],
    weights: u8,
    is_prefix: bool,
}

impl Word<'_> {
    fn print(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        quoted(self.text, out)?;
        if self.is_prefix || self.weights != 0 {
            out.push(b':');
        }
        if self.is_prefix {
            out.push(b'*');
        }
        let weights = [(8, b'A'), (4, b'B'), (2, b'C'), (1, b'D')];
        out.extend(weights.iter().filter(|(bit, _)| self.weights & bit != 0).map(|(_, name)| name));
        Ok(())
    }
}

enum Item<'a> {
    Operator(Operator),
    Word(Word<'a>),
}

enum Step<'a> {
    Close,
    Operand {
        /// The operand and what follows it.
        items: Cursor<'a>,
        /// Of the operator that it belongs to.
        priority: u8,
        is_right_of_phrase: bool,
    },
    Operator(Operator),
}

fn item<'a>(items: &mut Cursor<'a>) -> Result<Item<'a>, Error> {
    Ok(match items.u8()? {
        1 => {
            let (weights, is_prefix) = (items.u8()?, items.u8()? != 0);
            Item::Word(Word { text: items.c_string()?, weights, is_prefix })
        }
        2 => Item::Operator(match items.u8()? {
            1 => Operator::Not,
            2 => Operator::And,
            3 => Operator::Or,
            4 => Operator::Phrase(items.u16()?),
            _ => return items.malformed(),
        }),
        _ => return items.malformed(),
    })
}

/// Puts an operator's operands and itself on the stack, in reverse.
fn operands<'a>(
    operator: Operator,
    items: Cursor<'a>,
    steps: &mut Vec<Step<'a>>,
) -> Result<(), Error> {
    let priority = operator.priority();
    if operator == Operator::Not {
        steps.push(Step::Operand { items, priority, is_right_of_phrase: false });
        steps.push(Step::Operator(operator));
        return Ok(());
    }
    let mut left = items;
    let mut missing = 1_u32;
    while missing != 0 {
        missing = match item(&mut left)? {
            Item::Word(_) => missing - 1,
            Item::Operator(Operator::Not) => missing,
            Item::Operator(_) => missing + 1,
        };
    }
    let is_phrase = matches!(operator, Operator::Phrase(_));
    steps.push(Step::Operand { items, priority, is_right_of_phrase: is_phrase });
    steps.push(Step::Operator(operator));
    steps.push(Step::Operand { items: left, priority, is_right_of_phrase: false });
    Ok(())
}

/// In quotes, with quotes and backslashes doubled.
fn quoted(text: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    out.push(b'\'');
    for byte in utf8(text, "word of a tsvector or tsquery")?.bytes() {
        if matches!(byte, b'\'' | b'\\') {
            out.push(byte);
        }
        out.push(byte);
    }
    out.push(b'\'');
    Ok(())
}
