//! OAUTHBEARER tokens from a file that something else keeps fresh.
//!
//! A token is usually a JSON Web Token, which names its principal (`sub`) and expiry (`exp`); any
//! other is passed on with a lifetime of [`OPAQUE_LIFETIME`], after four fifths of which
//! librdkafka asks again and the file is read again. Signatures are the broker's business.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;

/// How long a token that does not say so is taken to live.
const OPAQUE_LIFETIME: Duration = Duration::from_secs(300);

/// A token file is a few kilobytes; what is larger is no token.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// The claims of RFC 7519 that matter here.
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
    sub: Option<String>,
}

/// Reads the token in `path`; `now` is the time since 1970.
///
/// The error's text goes into logs: it never holds a part of the token.
pub(super) fn read(path: &Path, now: Duration) -> Result<OAuthToken, String> {
    let place = path.display();
    let size =
        std::fs::metadata(path).map_err(|error| format!("token file {place}: {error}"))?.len();
    if TOKEN_BYTES_MAX < size {
        return Err(format!("token file {place} has {size} bytes: not a token"));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("token file {place}: {error}"))?;
    parse(text.trim(), now).map_err(|reason| format!("token file {place} {reason}"))
}

fn parse(token: &str, now: Duration) -> Result<OAuthToken, &'static str> {
    if token.is_empty() {
        return Err("is empty");
    }
    if token.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return Err("holds more than one token");
    }
    let claims = claims(token);
    let expires = claims.as_ref().and_then(|claims| claims.exp).map_or_else(
        || Ok(now + OPAQUE_LIFETIME),
        |exp| Duration::try_from_secs_f64(exp).map_err(|_| "has an impossible expiry"),
    )?;
    if expires <= now {
        return Err("holds an expired token");
    }
    let principal_name = claims.and_then(|claims| claims.sub).unwrap_or_else(|| "walbrook".into());
    let lifetime_ms = i64::try_from(expires.as_millis()).map_err(|_| "has an impossible expiry")?;
    Ok(OAuthToken { token: token.to_owned(), principal_name, lifetime_ms })
}

/// The claims of a JSON Web Token; `None` if it is another kind of token.
fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (Some(_header), Some(payload), Some(_signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_says_who_it_is_and_how_long() {
        let check = |token: &str, expect: Result<(&str, i64), &str>| {
            let found = parse(token, NOW);
            let found = found.as_ref().map(|t| (&*t.principal_name, t.lifetime_ms));
            assert_eq!(found, expect.as_ref().map(|t| *t), "{token}");
        };
        check(&jwt(r#"{"sub":"cdc","exp":1700000060}"#), Ok(("cdc", 1_700_000_060_000)));
        check(&jwt(r#"{"sub":"cdc","exp":1700000060.5}"#), Ok(("cdc", 1_700_000_060_500)));
        check(&jwt(r#"{"exp":1700000060}"#), Ok(("walbrook", 1_700_000_060_000)));
        check(&jwt(r#"{"sub":"cdc"}"#), Ok(("cdc", 1_700_000_300_000)));
        check("opaque", Ok(("walbrook", 1_700_000_300_000)));
        check("a.b.c", Ok(("walbrook", 1_700_000_300_000)));
        check("", Err("is empty"));
        check("two tokens", Err("holds more than one token"));
        check(&jwt(r#"{"exp":1700000000}"#), Err("holds an expired token"));
        check(&jwt(r#"{"exp":-1}"#), Err("has an impossible expiry"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("/nonexistent/token"), NOW).err().unwrap();
        assert!(error.contains("/nonexistent/token"), "{error}");
    }
}
