//! A value that no log, error or panic may show (I7).

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A password, token or property that may hold one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    text: String,
    /// The file that it is from, which is read again: secrets are rotated.
    file: Option<PathBuf>,
}

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self { text, file: None }
    }

    /// The secret in a file, without its last newline.
    pub(crate) fn from_file(path: &Path) -> Result<Self, String> {
        Ok(Self { text: read(path)?, file: Some(path.to_owned()) })
    }

    /// The secret as its file has it now: what a new connection uses. While the file cannot be
    /// read, the one from before.
    #[must_use]
    pub fn fresh(&self) -> Self {
        let read = self.file.as_deref().and_then(|file| Self::from_file(file).ok());
        read.unwrap_or_else(|| self.clone())
    }

    /// The secret itself, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

fn read(path: &Path) -> Result<String, String> {
    refuse_world_readable(path)?;
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot be read from {}: {error}", path.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(format!("is empty: {}", path.display()));
    }
    Ok(text.to_owned())
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
mod tests {
    use super::*;

    #[test]
    fn a_secret_of_a_file_is_read_again_and_kept_while_the_file_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let write = |text: &str| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        write("old\n");
        let secret = Secret::from_file(&file).unwrap();
        assert_eq!(secret.expose(), "old");
        assert_eq!(secret.fresh(), secret);
        write("new\n");
        assert_eq!(secret.fresh().expose(), "new");
        assert_ne!(secret.fresh(), secret);
        for broken in ["", "\n"] {
            write(broken);
            assert_eq!(secret.fresh().expose(), "old");
        }
        std::fs::remove_file(&file).unwrap();
        assert_eq!(secret.fresh().expose(), "old");
        assert_eq!(format!("{secret:?}"), "<secret>");
    }
}
