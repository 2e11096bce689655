//! The password file, read as libpq reads it.
//!
//! ```text
//! hostname:port:database:username:password
//! ```
//!
//! Each of the first four fields is a value or `*`; `\:` and `\\` stand for `:` and `\`. The first
//! line that fits wins. A file that others may read is ignored, with a warning.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-pgpass.html>

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::config::Secret;

use super::error::PassfileWarning;

/// What a line of the file must fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// The host as configured: a name, an address or a socket's directory.
    pub(super) host: &'a str,
    /// The port.
    pub(super) port: u16,
    /// The database.
    pub(super) database: &'a str,
    /// The user.
    pub(super) user: &'a str,
}

/// The password for a connection; `None` if the file does not exist or has none.
///
/// # Errors
///
/// If the file exists but must not or cannot be used: a warning, as in libpq.
pub(super) fn find(path: &Path, wanted: Wanted<'_>) -> Result<Option<Secret>, PassfileWarning> {
    let unreadable = |error: io::Error| PassfileWarning::Unreadable {
        path: path.to_owned(),
        kind: error.kind(),
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    if !metadata.is_file() {
        return Err(PassfileWarning::NotPlain(path.to_owned()));
    }
    if metadata.permissions().mode() & GROUP_AND_WORLD != 0 {
        return Err(PassfileWarning::Access(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Ok(lookup(&text, wanted).map(Secret::new))
}

fn lookup(text: &str, wanted: Wanted<'_>) -> Option<String> {
    let host = if DEFAULT_SOCKET_DIRS.contains(&wanted.host) { "localhost" } else { wanted.host };
    let port = wanted.port.to_string();
    let fields = [host, &port, wanted.database, wanted.user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password(line, fields))
}

/// The password of a line whose first four fields fit.
fn password(line: &str, wanted: [&str; 4]) -> Option<String> {
    let mut rest = line;
    for value in wanted {
        let (field, after) = split_field(rest)?;
        if field != "*" && unescape(field) != value {
            return None;
        }
        rest = after;
    }
    Some(unescape(rest)).filter(|password| !password.is_empty())
}

/// Splits at the first colon that no backslash escapes.
fn split_field(text: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            ':' => return text.split_at_checked(at).map(|(field, rest)| (field, &rest[1..])),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().unwrap_or('\\')),
            _ => out.push(c),
        }
    }
    out
}

const GROUP_AND_WORLD: u32 = 0o077;

/// Directories that count as `localhost`: PostgreSQL's own default and the one of Debian and
/// Red Hat, by either of its names.
const DEFAULT_SOCKET_DIRS: [&str; 3] = ["/tmp", "/var/run/postgresql", "/run/postgresql"];

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'_> =
        Wanted { host: "db.example", port: 5432, database: "shop", user: "cdc" };

    #[test]
    fn the_first_line_that_fits_wins() {
        let cases = [
            ("db.example:5432:shop:cdc:one\n*:*:*:*:two", Some("one")),
            ("db.example:5433:shop:cdc:one\n*:*:*:*:two", Some("two")),
            ("# *:*:*:*:no\n*:*:shop:cdc:yes\r\n", Some("yes")),
            ("*:*:*:*:a\\:b\\\\c", Some("a:b\\c")),
            ("*:*:*:*:a:b", Some("a:b")),
            ("*:*:*:*:ends\\", Some("ends\\")),
            ("*:*:*:*:", None),
            ("*:*:*", None),
            ("other:*:*:*:x", None),
            ("*:*:*:CDC:x", None),
            ("", None),
        ];
        for (text, expect) in cases {
            assert_eq!(lookup(text, WANTED).as_deref(), expect, "{text:?}");
        }
    }

    #[test]
    fn escapes_count_in_fields() {
        let wanted = Wanted { host: "fe80::1", database: "a:b\\c", ..WANTED };
        let line = "fe80\\:\\:1:5432:a\\:b\\\\c:cdc:secret";
        assert_eq!(lookup(line, wanted).as_deref(), Some("secret"));
        assert_eq!(lookup("\\*:*:*:*:no", WANTED), None);
    }

    #[test]
    fn a_default_socket_directory_is_localhost_and_another_is_itself() {
        let text = "localhost:*:*:*:local\n/srv/pg:*:*:*:own";
        let at = |host| lookup(text, Wanted { host, ..WANTED });
        assert_eq!(at("/var/run/postgresql").as_deref(), Some("local"));
        assert_eq!(at("localhost").as_deref(), Some("local"));
        assert_eq!(at("/srv/pg").as_deref(), Some("own"));
    }

    #[test]
    fn a_file_that_others_may_read_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pgpass");
        fs::write(&path, "*:*:*:*:secret\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(find(&path, WANTED).unwrap_err(), PassfileWarning::Access(path.clone()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(find(&path, WANTED).unwrap().unwrap().expose(), "secret");
        let missing = dir.path().join("none");
        assert!(find(&missing, WANTED).unwrap().is_none());
        let warning = PassfileWarning::NotPlain(dir.path().to_owned());
        assert_eq!(find(dir.path(), WANTED).unwrap_err(), warning);
    }
}
