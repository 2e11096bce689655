//! The statements of a file, as psql would part them.
//!
//! Knows quotes, dollar quotes, nested comments, parentheses and bodies of functions (`BEGIN ATOMIC`), so
//! that a semicolon in one of them ends nothing. Whatever it gets wrong can commit nothing: a statement is
//! judged by its first word, which is what the server sees too, since only blanks and comments come before
//! it; and of a text that holds several the server takes none (`Catalog::try_ddl`).
//!
//! Source: `src/fe_utils/psqlscan.l` and `src/backend/parser/scan.l` of PostgreSQL.

use std::borrow::Cow;
use std::ops::Range;

/// One statement, without the semicolon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    /// The line of its first word, from 1.
    pub(super) line: usize,
    pub(super) sql: &'a str,
    /// Its first words outside of quotes and parentheses.
    words: Vec<Range<usize>>,
    /// Whether `setval(` is in it outside of quotes.
    sets_value: bool,
}

/// What is done with a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    Apply(Cow<'a, str>),
    /// BEGIN of the file.
    Begin,
    /// COMMIT of the file.
    End,
    /// Not applied: why.
    LeftOut(&'static str),
    /// Applied without the word CONCURRENTLY.
    Plain(Cow<'a, str>),
}

/// Why a file cannot be used: the line, and what is wrong there.
pub(super) type Problem = (usize, &'static str);

/// Parts a file.
///
/// # Errors
///
/// If a quote, a comment or a parenthesis is not closed, or something is psql's and not SQL.
pub(super) fn statements(text: &str) -> Result<Vec<Statement<'_>>, Problem> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut scanner = Scanner { text, at: 0 };
    let mut found = Vec::new();
    while let Some(statement) = scanner.statement()? {
        found.push(statement);
    }
    Ok(found)
}

impl<'a> Statement<'a> {
    /// What is to be done with it.
    ///
    /// # Errors
    ///
    /// If it would end the transaction that it is tried in, or needs psql.
    pub(super) fn step(&self) -> Result<Step<'a>, Problem> {
        let refused = |why| Err((self.line, why));
        let (first, second) = (self.word(0), self.word(1));
        match (first.as_str(), second.as_str()) {
            ("COMMIT" | "END" | "ROLLBACK" | "ABORT", "PREPARED") => refused(PREPARED),
            ("PREPARE", "TRANSACTION") => refused(PREPARED),
            ("ROLLBACK" | "ABORT", _) if !self.has("TO") => refused(ROLLBACK),
            ("BEGIN", _) | ("START", "TRANSACTION") => Ok(Step::Begin),
            ("COMMIT" | "END", _) => Ok(Step::End),
            ("COPY", _) if self.has("STDIN") || self.has("STDOUT") => refused(COPY),
            ("CLUSTER" | "REINDEX" | "VACUUM", _) => Ok(Step::LeftOut(NO_DEFINITION)),
            (first, _) if self.sets_value && !DEFINES.contains(&first) => Ok(Step::LeftOut(SETVAL)),
            ("ALTER", "TABLE") if self.has("DETACH") => Ok(self.plain()),
            ("CREATE", "UNIQUE") | ("CREATE" | "DROP", "INDEX") => Ok(self.plain()),
            _ => Ok(Step::Apply(Cow::Borrowed(self.sql))),
        }
    }

    /// Its first words, for an error; no values.
    pub(super) fn title(&self) -> String {
        const SHOWN: usize = 3;
        let words = self.words.iter().take(SHOWN);
        words.filter_map(|range| self.sql.get(range.clone())).collect::<Vec<_>>().join(" ")
    }

    /// The line in which its character `at` is.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.line + self.sql.chars().take(at).filter(|c| *c == '\n').count()
    }

    fn word(&self, at: usize) -> String {
        let word = self.words.get(at).and_then(|range| self.sql.get(range.clone()));
        word.unwrap_or_default().to_ascii_uppercase()
    }

    fn has(&self, word: &str) -> bool {
        (0..self.words.len()).any(|at| self.word(at) == word)
    }

    fn plain(&self) -> Step<'a> {
        let word = (0..self.words.len()).find(|at| self.word(*at) == "CONCURRENTLY");
        let Some(range) = word.and_then(|at| self.words.get(at)) else {
            return Step::Apply(Cow::Borrowed(self.sql));
        };
        let mut sql = self.sql.to_owned();
        // Blanks of the same length, so that the server's positions stay right.
        sql.replace_range(range.clone(), &" ".repeat(range.len()));
        Step::Plain(Cow::Owned(sql))
    }
}

/// What begins with these is looked at, and mostly only says what would call a function, or speaks of one.
const DEFINES: [&str; 7] = ["ALTER", "COMMENT", "CREATE", "DROP", "GRANT", "PREPARE", "REVOKE"];
const NO_DEFINITION: &str = "it changes no definition";
const SETVAL: &str = "what setval does is not taken back";
const PREPARED: &str =
    "prepared transactions outlive the one that the file is tried in: take it out";
const ROLLBACK: &str = "the file takes back its own statements: take out what it does not mean";
const COPY: &str = "data of COPY stands outside of SQL, and changes no definition: take it out";
const META: &str = "what begins with a backslash is psql's, and not SQL: take it out";
const OPEN_COMMENT: &str = "a comment begins here that does not end";
const OPEN_PARENTHESIS: &str = "a statement begins here of which a parenthesis is not closed";
const OPEN_QUOTE: &str = "a quote begins here that does not end";
const OPEN_BODY: &str = "a statement begins here whose BEGIN ATOMIC does not end";

/// How many words of a statement are kept.
const WORDS_MAX: usize = 24;

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Blank,
    Close,
    Open,
    Other,
    Semicolon,
    Word,
}

impl<'a> Scanner<'a> {
    /// The next statement that is not empty.
    fn statement(&mut self) -> Result<Option<Statement<'a>>, Problem> {
        let mut start = None;
        let mut words: Vec<Range<usize>> = Vec::new();
        let (mut parentheses, mut body) = (0_usize, Body::default());
        let (mut last, mut sets_value) = ("", false);
        let mut end = self.at;
        while let Some((token, range)) = self.token()? {
            let from = *match token {
                Token::Blank => continue,
                Token::Semicolon if start.is_none() => continue,
                _ => start.get_or_insert(range.start),
            };
            sets_value |= token == Token::Open && is_setval(last);
            last = self.text.get(range.clone()).unwrap_or_default();
            match token {
                Token::Semicolon if parentheses == 0 && body.depth == 0 => break,
                Token::Open => parentheses += 1,
                Token::Close => parentheses = parentheses.saturating_sub(1),
                Token::Word if parentheses == 0 => {
                    body.see(last);
                    if words.len() < WORDS_MAX {
                        words.push(range.start - from..range.end - from);
                    }
                }
                _ => {}
            }
            end = range.end;
        }
        let Some(start) = start else { return Ok(None) };
        let line = self.line(start);
        if 0 < body.depth {
            return Err((line, OPEN_BODY));
        }
        if 0 < parentheses {
            return Err((line, OPEN_PARENTHESIS));
        }
        let sql = self.text.get(start..end).unwrap_or_default();
        Ok(Some(Statement { line, sql, words, sets_value }))
    }

    /// The next token and where it is.
    fn token(&mut self) -> Result<Option<(Token, Range<usize>)>, Problem> {
        let start = self.at;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let token = match first {
            _ if is_blank(first) => {
                self.skip(is_blank);
                Token::Blank
            }
            '-' if rest.starts_with("--") => {
                self.skip(|c| !matches!(c, '\n' | '\r'));
                Token::Blank
            }
            '/' if rest.starts_with("/*") => {
                self.comment()?;
                Token::Blank
            }
            '\'' | '"' => {
                self.quoted(first, false)?;
                Token::Other
            }
            '$' => {
                self.dollar()?;
                Token::Other
            }
            '\\' => return Err((self.line(start), META)),
            _ if is_word_start(first) => {
                self.skip(is_word);
                match self.text.get(start..self.at) {
                    // A string with escapes.
                    Some("e" | "E") if self.rest().starts_with('\'') => {
                        self.quoted('\'', true)?;
                        Token::Other
                    }
                    _ => Token::Word,
                }
            }
            // So that 1e5 or 2x is no word.
            _ if first.is_ascii_digit() => {
                self.skip(|c| is_word(c) && c != '$');
                Token::Other
            }
            _ => {
                self.at += first.len_utf8();
                match first {
                    ';' => Token::Semicolon,
                    '(' => Token::Open,
                    ')' => Token::Close,
                    _ => Token::Other,
                }
            }
        };
        Ok(Some((token, start..self.at)))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip(&mut self, is_part: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    }

    fn line(&self, at: usize) -> usize {
        self.text.get(..at).unwrap_or_default().matches('\n').count() + 1
    }

    /// Comments nest.
    fn comment(&mut self) -> Result<(), Problem> {
        let (start, mut depth) = (self.at, 0_usize);
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(());
                }
            } else if let Some(c) = rest.chars().next() {
                self.at += c.len_utf8();
            } else {
                return Err((self.line(start), OPEN_COMMENT));
            }
        }
    }

    /// A string or a quoted name; a doubled quote is one in it, which reads as two in a row.
    fn quoted(&mut self, quote: char, has_escapes: bool) -> Result<(), Problem> {
        let start = self.at;
        self.at += 1;
        while let Some(c) = self.rest().chars().next() {
            self.at += c.len_utf8();
            if c == quote {
                return Ok(());
            }
            if c == '\\' && has_escapes {
                self.at += self.rest().chars().next().map_or(0, char::len_utf8);
            }
        }
        Err((self.line(start), OPEN_QUOTE))
    }

    /// `$tag$ … $tag$`, or something else that begins with a dollar.
    fn dollar(&mut self) -> Result<(), Problem> {
        let start = self.at;
        self.at += 1;
        let rest = self.rest();
        let is_tag = |c: char| is_word(c) && c != '$';
        let length = rest.find(|c| !is_tag(c)).unwrap_or(rest.len());
        let is_quote = !rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.get(length..).is_some_and(|behind| behind.starts_with('$'));
        let end = start + length + 2;
        let Some(tag) = self.text.get(start..end).filter(|_| is_quote) else { return Ok(()) };
        let Some(length) = self.text.get(end..).and_then(|body| body.find(tag)) else {
            return Err((self.line(start), OPEN_QUOTE));
        };
        self.at = end + length + tag.len();
        Ok(())
    }
}

/// How deep in the body of a function that is written in SQL (`BEGIN ATOMIC … END`).
#[derive(Default)]
struct Body {
    words: usize,
    is_created: bool,
    is_routine: bool,
    depth: usize,
}

impl Body {
    fn see(&mut self, word: &str) {
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        match self.words {
            0 => self.is_created = is("CREATE"),
            // CREATE OR REPLACE FUNCTION
            1..=3 => self.is_routine |= self.is_created && (is("FUNCTION") || is("PROCEDURE")),
            _ => {}
        }
        self.words += 1;
        if !self.is_routine {
            return;
        }
        if is("BEGIN") || 0 < self.depth && is("CASE") {
            self.depth += 1;
        } else if is("END") {
            self.depth = self.depth.saturating_sub(1);
        }
    }
}

/// Whether a word, or a quoted name, is the function that no transaction takes back.
fn is_setval(word: &str) -> bool {
    word.eq_ignore_ascii_case("setval") || word == "\"setval\""
}

/// What the server takes for a blank; a vertical tab from version 16 on, and for an error before.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

fn is_word_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_word(c: char) -> bool {
    is_word_start(c) || c.is_ascii_digit() || c == '$'
}

#[cfg(test)]
mod tests;
