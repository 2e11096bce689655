//! Whether the server's commits wait for a synchronous standby of our name.

use super::super::error::Error;
use super::{Catalog, Server, field};

impl Server {
    /// Whether each commit waits for a receiver of this name, or may.
    #[must_use]
    pub fn waits_for(&self, application_name: &str) -> bool {
        is_listed(&self.synchronous_standby_names, application_name)
    }
}

impl Catalog {
    /// Whether each commit waits for our own confirmation, or may: a walsender has the name that this
    /// connection has.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn waits_for_us(&mut self) -> Result<bool, Error> {
        let row = self.row(STANDBY_SQL, &[]).await?;
        Ok(is_listed(field(&row, 0)?, field(&row, 1)?))
    }
}

/// Whether `FIRST 1 (a, b)`, `ANY 1 (a, b)`, `1 (a, b)` or `a, b` holds for this name.
fn is_listed(setting: &str, name: &str) -> bool {
    let list = setting.split_once('(').map_or(setting, |(_, list)| list.trim_end_matches(')'));
    let names = list.split(',').map(|listed| listed.trim().trim_matches('"'));
    names.into_iter().any(|listed| listed == "*" || listed.eq_ignore_ascii_case(name))
}

/// A standby waits for nobody.
const STANDBY_SQL: &str = "\
SELECT CASE WHEN pg_is_in_recovery() THEN '' ELSE current_setting('synchronous_standby_names') END,
       current_setting('application_name')";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_listed() {
        for (setting, expect) in [
            ("", false),
            ("*", true),
            ("walbrook", true),
            ("FIRST 1 (replica, \"WALBROOK\")", true),
            ("ANY 2 (a, *)", true),
            ("ANY 2 (a, walbrook2)", false),
            ("a, b", false),
        ] {
            assert_eq!(is_listed(setting, "walbrook"), expect, "{setting}");
        }
    }
}
