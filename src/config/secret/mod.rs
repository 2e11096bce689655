//! A value that no log, error or panic may show (I7), and where it comes from.
//!
//! What is from a file or a command is asked for at each connection, since secrets are rotated. No
//! error says more of one than where it should have come from.

mod command;
mod token;

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub use command::SecretCommand;
pub use token::{Token, TokenSource};

/// A password, token or property that may hold one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// The standard output of a command.
    Command(SecretCommand),
    /// A file, without its last newline.
    File {
        /// The key that names it, for errors.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// It stays what it is as long as the process lives.
    Given(Secret),
}

impl SecretSource {
    /// The secret as it is now: what a new connection uses.
    ///
    /// # Errors
    ///
    /// If its file or its command does not give one, which may pass.
    pub async fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Command(command) => command.output().await,
            Self::File { key, path } => read_file(key, path),
            Self::Given(secret) => Ok(secret.clone()),
        }
    }

    /// The same for who may block.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_blocking(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Command(command) => command.output_blocking(),
            Self::File { key, path } => read_file(key, path),
            Self::Given(secret) => Ok(secret.clone()),
        }
    }

    /// Whether it can be another one while the process lives.
    #[must_use]
    pub fn is_renewable(&self) -> bool {
        !matches!(self, Self::Given(_))
    }
}

impl From<Secret> for SecretSource {
    fn from(secret: Secret) -> Self {
        Self::Given(secret)
    }
}

/// Why there is no secret. Neither variant holds a part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Its command did not give it. The arguments are left out, and what it said on standard error,
    /// since either may hold secrets.
    #[error("`{key}`: {program} {problem}; to see more, run it by hand as walbrook's user")]
    Command {
        /// The key that names the command.
        key: String,
        /// The program.
        program: String,
        /// What it did instead.
        problem: String,
    },
    /// Its file cannot be used.
    #[error("`{key}` {problem}")]
    File {
        /// The key that names the file.
        key: String,
        /// What is wrong with the file, and which it is.
        problem: String,
    },
}

fn read_file(key: &str, path: &Path) -> Result<Secret, SecretError> {
    let text = file_text(path);
    text.map(Secret).map_err(|problem| SecretError::File { key: key.to_owned(), problem })
}

fn file_text(path: &Path) -> Result<String, String> {
    refuse_world_readable(path)?;
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot be read from {}: {error}", path.display()))?;
    let text = without_newline(&text);
    if text.is_empty() {
        return Err(format!("is empty: {}", path.display()));
    }
    Ok(text.to_owned())
}

fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// A file with a secret is nobody else's to read.
pub(super) fn refuse_world_readable(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| format!("cannot be read from {}: {error}", path.display()))?;
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_file() && mode & 0o007 != 0 {
        return Err(format!(
            "is a file that every user of this machine can use (mode {mode:04o}): \
             run chmod o-rwx {}",
            path.display()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
