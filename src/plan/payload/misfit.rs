//! Why and where a payload does not fit its schema, without a word of the payload's values (I7).

use std::fmt;

/// A payload that does not fit: the path of the member, and the reason. An unknown member's name may
/// be data (of a map by user name), so only the alternate form has it, which is for a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// From the innermost step outwards, as the walk returns.
    steps: Vec<Step>,
    reason: Reason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Element(usize),
    Entry,
    Field(String),
}

/// Why a value does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reason {
    #[error("is nested deeper than {limit} levels")]
    Depth { limit: u32 },
    #[error("has a member twice")]
    Duplicate,
    #[error("is not {want}")]
    Form { want: &'static str },
    #[error("is not JSON (line {line}, column {column})")]
    Json { line: usize, column: usize },
    #[error("has {found} bytes, the schema wants {want}")]
    Length { want: usize, found: usize },
    #[error("is missing and has no default")]
    Missing,
    #[error("fits no branch of the union")]
    NoBranch,
    #[error("has more than {digits} digits")]
    Precision { digits: usize },
    #[error("is out of the range of {want}")]
    Range { want: &'static str },
    #[error("has more than {digits} digits after the point")]
    Scale { digits: usize },
    #[error("is none of the enum's symbols")]
    Symbol,
    #[error("is {found}, the schema wants {want}")]
    Type { want: &'static str, found: &'static str },
    #[error("has a member that the schema does not have")]
    Unknown,
    #[error("has a member that the schema does not have")]
    UnknownNamed { name: String },
    #[error("is of a type that cannot be written from JSON ({schema})")]
    Unsupported { schema: &'static str },
    #[error("costs more than {limit} bytes to read, by its nesting in unions")]
    Work { limit: usize },
}

impl From<Reason> for Misfit {
    fn from(reason: Reason) -> Self {
        Self { steps: Vec::new(), reason }
    }
}

impl Misfit {
    pub(super) fn in_element(mut self, index: usize) -> Self {
        self.steps.push(Step::Element(index));
        self
    }

    /// In a map's entry; its key is data and stays unnamed.
    pub(super) fn in_entry(mut self) -> Self {
        self.steps.push(Step::Entry);
        self
    }

    pub(super) fn in_field(mut self, name: &str) -> Self {
        self.steps.push(Step::Field(name.to_owned()));
        self
    }

    /// Whether another branch of a union may still fit; a limit is final.
    pub(super) fn is_limit(&self) -> bool {
        matches!(self.reason, Reason::Depth { .. } | Reason::Work { .. })
    }
}

impl std::error::Error for Misfit {}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("payload")?;
        for step in self.steps.iter().rev() {
            match step {
                Step::Element(index) => write!(f, "[{index}]")?,
                Step::Entry => f.write_str("{}")?,
                Step::Field(name) => write!(f, ".{name}")?,
            }
        }
        match &self.reason {
            Reason::UnknownNamed { name } if f.alternate() => {
                write!(f, " has a member {name:?} that the schema does not have")
            }
            reason => write!(f, " {reason}"),
        }
    }
}

/// Names the unknown member if it is a plain name.
pub(super) fn unknown_member(name: &str) -> Reason {
    const NAME_CHARACTERS_MAX: usize = 64;
    let is_name = name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
        && name.len() <= NAME_CHARACTERS_MAX;
    if is_name { Reason::UnknownNamed { name: name.to_owned() } } else { Reason::Unknown }
}
