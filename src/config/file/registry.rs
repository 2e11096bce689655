//! The section `[registry]`.

use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::Surroundings;
use super::value::{Fault, Key, SecretKeys, Time, certificate, contradiction, within};
use crate::config::{self, SecretSource};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registry {
    urls: Key<Vec<String>>,
    user: Key<String>,
    password: Key<IgnoredAny>,
    password_file: Key<String>,
    password_env: Key<String>,
    password_command: Key<Vec<String>>,
    token: Key<IgnoredAny>,
    token_file: Key<String>,
    token_env: Key<String>,
    token_command: Key<Vec<String>>,
    ca_file: Key<String>,
    cert_file: Key<String>,
    key_file: Key<String>,
    timeout: Key<Time>,
    auto_register: Key<bool>,
}

pub(super) fn build(
    section: Option<Spanned<Registry>>,
    around: &Surroundings<'_>,
) -> Result<Option<config::Registry>, Fault> {
    let Some(section) = section else { return Ok(None) };
    let span = section.span();
    let section = section.into_inner();
    let Some(urls) = &section.urls else {
        let message = "`registry.urls` is missing: such as urls = [\"https://registry:8081\"]";
        return Err(Fault { span: Some(span), message: message.to_owned() });
    };
    let urls = base_urls(urls)?;
    if !urls.iter().any(|url| url.starts_with("https://")) {
        let advice = "these URLs use no TLS; write https:// or remove the key";
        for (name, key) in [
            ("registry.ca_file", &section.ca_file),
            ("registry.cert_file", &section.cert_file),
            ("registry.key_file", &section.key_file),
        ] {
            contradiction(("registry.urls", &section.urls), (name, key), advice)?;
        }
    }
    let (basic_auth, bearer_token) = credentials(&section, around)?;
    let bounds = (Time::millis(100), Time::seconds(600));
    let key = ("registry.key_file", &section.key_file);
    Ok(Some(config::Registry {
        urls,
        basic_auth,
        bearer_token,
        ca_file: section.ca_file.as_ref().map(|file| around.path(file.get_ref())),
        client_cert: certificate(("registry.cert_file", &section.cert_file), key, around)?,
        timeout: within("registry.timeout", &section.timeout, Time::seconds(10), bounds)?.0,
        auto_register: section.auto_register.is_none_or(Spanned::into_inner),
    }))
}

type Credentials = (Option<(String, SecretSource)>, Option<SecretSource>);

fn credentials(section: &Registry, around: &Surroundings<'_>) -> Result<Credentials, Fault> {
    let password = SecretKeys {
        name: "registry.password",
        inline: &section.password,
        file: &section.password_file,
        env: &section.password_env,
        command: &section.password_command,
    };
    let token = SecretKeys {
        name: "registry.token",
        inline: &section.token,
        file: &section.token_file,
        env: &section.token_env,
        command: &section.token_command,
    };
    let user = ("registry.user", &section.user);
    let advice = "log in by user and password, or by token; remove the other";
    contradiction(user, ("registry.token_file", &section.token_file), advice)?;
    contradiction(user, ("registry.token_env", &section.token_env), advice)?;
    contradiction(user, ("registry.token_command", &section.token_command), advice)?;
    let (password_secret, token_secret) = (password.read(around)?, token.read(around)?);
    let basic_auth = match (&section.user, password_secret) {
        (None, None) => None,
        (Some(user), Some(secret)) => Some((user.get_ref().clone(), secret)),
        (Some(user), None) => {
            let message = "`registry.user` needs `registry.password_file`, `registry.password_env` or \
                           `registry.password_command` beside it";
            return Err(Fault::at(user, message));
        }
        (None, Some(_)) => {
            let message = "`registry.password_…` needs `registry.user` beside it".to_owned();
            return Err(Fault { span: password.span(), message });
        }
    };
    Ok((basic_auth, token_secret))
}

/// Without the slash at the end, so that paths can be appended.
fn base_urls(urls: &Spanned<Vec<String>>) -> Result<Vec<String>, Fault> {
    let base = |url: &String| {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
        let legal = !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['?', '#', ' ']);
        legal.then(|| url.trim_end_matches('/').to_owned())
    };
    if urls.get_ref().iter().any(|url| url.contains('@')) {
        let message = "`registry.urls` may not hold user and password: use `registry.user` and \
                       `registry.password_file`";
        return Err(Fault::at(urls, message));
    }
    let bases: Option<Vec<_>> = urls.get_ref().iter().map(base).collect();
    bases.filter(|bases| !bases.is_empty()).ok_or_else(|| {
        let message = "`registry.urls` wants one or more of \"http://host:port\" or \
                       \"https://host:port/path\"";
        Fault::at(urls, message)
    })
}
