//! The values that keys take: durations, sizes, choices, names, secrets; and what is wrong with one.
//!
//! A key's value keeps its place in the file ([`toml::Spanned`]), so that whatever is found wrong
//! with it later still points to line and column.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, IgnoredAny, Visitor};
use toml::Spanned;

use super::Surroundings;
use crate::config::secret::refuse_world_readable;
use crate::config::{Secret, SecretCommand, SecretSource};

/// A key that the operator may leave out.
pub(super) type Key<T> = Option<Spanned<T>>;

/// What is wrong, and where in the file if it is in the file.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Option<Range<usize>>,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn at<T>(value: &Spanned<T>, message: impl Into<String>) -> Self {
        Self { span: Some(value.span()), message: message.into() }
    }

    pub(super) fn nowhere(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into() }
    }
}

/// A text with the name it is known by: a key of the file, or a variable of the environment.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) name: &'static str,
    pub(super) span: Option<Range<usize>>,
    pub(super) text: String,
}

impl Given {
    pub(super) fn key(name: &'static str, key: &Key<String>) -> Option<Self> {
        key.as_ref().map(|value| Self::of(name, value))
    }

    pub(super) fn of(name: &'static str, value: &Spanned<String>) -> Self {
        Self { name, span: Some(value.span()), text: value.get_ref().clone() }
    }

    pub(super) fn fault(&self, message: impl fmt::Display) -> Fault {
        Fault { span: self.span.clone(), message: format!("`{}` {message}", self.name) }
    }
}

/// The value that `given` names, out of a closed set.
pub(super) fn choice<T: Copy>(given: &Given, choices: &[(&str, T)]) -> Result<T, Fault> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| *name == given.text) {
        return Ok(*value);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
    Err(given.fault(format_args!("is {:?}, but wants {}", given.text, names.join(" or "))))
}

/// Like [`choice`], for a key of the file that has a default.
pub(super) fn choice_or<T: Copy>(
    name: &'static str,
    key: &Key<String>,
    default: T,
    choices: &[(&str, T)],
) -> Result<T, Fault> {
    Given::key(name, key).map_or(Ok(default), |given| choice(&given, choices))
}

/// Two keys that cannot both be set.
pub(super) fn contradiction<A, B>(
    (name_a, a): (&str, &Key<A>),
    (name_b, b): (&str, &Key<B>),
    advice: &str,
) -> Result<(), Fault> {
    let (Some(a), Some(b)) = (a, b) else { return Ok(()) };
    let later = if a.span().start < b.span().start { b.span() } else { a.span() };
    let message = format!("`{name_a}` and `{name_b}` contradict each other: {advice}");
    Err(Fault { span: Some(later), message })
}

/// Two keys of which neither makes sense without the other, such as certificate and key.
pub(super) fn pair<A: Clone, B: Clone>(
    (name_a, a): (&str, &Key<A>),
    (name_b, b): (&str, &Key<B>),
) -> Result<Option<(A, B)>, Fault> {
    let lonely = |span, has: &str, lacks: &str| {
        let message = format!("`{has}` needs `{lacks}` beside it: set both or neither");
        Err(Fault { span: Some(span), message })
    };
    match (a, b) {
        (None, None) => Ok(None),
        (Some(a), Some(b)) => Ok(Some((a.get_ref().clone(), b.get_ref().clone()))),
        (Some(a), None) => lonely(a.span(), name_a, name_b),
        (None, Some(b)) => lonely(b.span(), name_b, name_a),
    }
}

/// A certificate and its key, as paths.
pub(super) fn certificate(
    cert: (&str, &Key<String>),
    key: (&str, &Key<String>),
    around: &Surroundings<'_>,
) -> Result<Option<(PathBuf, PathBuf)>, Fault> {
    let Some((cert_file, key_file)) = pair(cert, key)? else { return Ok(None) };
    let key_file = around.path(&key_file);
    if let Some(value) = key.1 {
        refuse_world_readable(&key_file)
            .map_err(|why| Fault::at(value, format!("`{}` {why}", key.0)))?;
    }
    Ok(Some((around.path(&cert_file), key_file)))
}

/// A number in a range, or `default`.
pub(super) fn within<T: PartialOrd + Copy + fmt::Display>(
    name: &str,
    key: &Key<T>,
    default: T,
    (low, high): (T, T),
) -> Result<T, Fault> {
    let Some(value) = key else { return Ok(default) };
    if low <= *value.get_ref() && *value.get_ref() <= high {
        return Ok(*value.get_ref());
    }
    let message = format!("`{name}` is {}, but must be from {low} to {high}", value.get_ref());
    Err(Fault::at(value, message))
}

/// A plain switch, or `default`.
pub(super) fn switch(key: &Key<bool>, default: bool) -> bool {
    key.as_ref().map_or(default, |value| *value.get_ref())
}

/// A text, or `default`.
pub(super) fn text_or(key: &Key<String>, default: &str) -> String {
    key.as_ref().map_or_else(|| default.to_owned(), |value| value.get_ref().clone())
}

/// The ways to write a secret; the first is always refused.
pub(super) struct SecretKeys<'a> {
    pub(super) name: &'static str,
    pub(super) inline: &'a Key<IgnoredAny>,
    pub(super) file: &'a Key<String>,
    pub(super) env: &'a Key<String>,
    pub(super) command: &'a Key<Vec<String>>,
}

impl SecretKeys<'_> {
    /// Where the secret comes from. A file is read, since a wrong one is an error of the
    /// configuration; a command is not run yet.
    pub(super) fn read(&self, around: &Surroundings<'_>) -> Result<Option<SecretSource>, Fault> {
        let name = self.name;
        if let Some(inline) = self.inline {
            return Err(Fault::at(inline, inline_secret(name)));
        }
        let [file_name, env_name, command_name] =
            ["file", "env", "command"].map(|kind| format!("{name}_{kind}"));
        let (file, env) = ((&*file_name, self.file), (&*env_name, self.env));
        let command = (&*command_name, self.command);
        let advice = "keep one of them";
        contradiction(file, env, advice)?;
        contradiction(file, command, advice)?;
        contradiction(env, command, advice)?;
        if let Some(words) = self.command {
            return self::command(&command_name, words, around)
                .map(|command| Some(SecretSource::Command(command)));
        }
        if let Some(file) = self.file {
            let path = around.path(file.get_ref());
            let source = SecretSource::File { key: file_name, path };
            source.read_blocking().map_err(|why| Fault::at(file, why.to_string()))?;
            return Ok(Some(source));
        }
        let Some(variable) = self.env else { return Ok(None) };
        let secret =
            around.environment.get(variable.get_ref()).map(|text| Secret::new(text.to_owned()));
        secret.map(|secret| Some(secret.into())).ok_or_else(|| {
            let message = format!(
                "`{name}_env` names the environment variable {:?}, which is not set",
                variable.get_ref()
            );
            Fault::at(variable, message)
        })
    }

    /// Whichever of the keys is set, for errors.
    pub(super) fn span(&self) -> Option<Range<usize>> {
        let text = self.file.as_ref().or(self.env.as_ref()).map(Spanned::span);
        text.or_else(|| self.command.as_ref().map(Spanned::span))
    }
}

/// A command whose output is a secret.
pub(super) fn command(
    name: &str,
    words: &Spanned<Vec<String>>,
    around: &Surroundings<'_>,
) -> Result<SecretCommand, Fault> {
    let path = around.environment.get("PATH");
    SecretCommand::new(name.to_owned(), words.get_ref(), around.folder, path)
        .map_err(|why| Fault::at(words, format!("`{name}` {why}")))
}

/// Why a secret may not stand in the file.
pub(super) fn inline_secret(name: &str) -> String {
    format!(
        "`{name}` may not stand in this file, which ends up in backups and version control: \
         use `{name}_file` (a file that only walbrook can read) or `{name}_env` (the name of an \
         environment variable)"
    )
}

/// A duration such as `"5s"` or `"100ms"`.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Time(pub(super) Duration);

impl Time {
    pub(super) const fn millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }

    pub(super) const fn seconds(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        number.checked_mul(millis).map(Self::millis)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis.is_multiple_of(1000) {
            write!(f, "{}s", millis / 1000)
        } else {
            write!(f, "{millis}ms")
        }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Want;
        impl Visitor<'_> for Want {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration in quotes such as \"5s\", \"100ms\", \"2m\" or \"1h\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Time, E> {
                let unexpected = serde::de::Unexpected::Str(text);
                Time::parse(text).ok_or_else(|| E::invalid_value(unexpected, &self))
            }
        }
        deserializer.deserialize_any(Want)
    }
}

/// A number of bytes: an integer, or a text such as `"8MiB"`.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct Size(pub(super) u64);

impl Size {
    pub(super) const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = number_and_unit(text)?;
        let bytes = match unit {
            "" | "B" => 1,
            "kB" | "KB" => 1000,
            "KiB" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(bytes).map(Self)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0 bytes"),
            n if n.is_multiple_of(1 << 20) => write!(f, "{}MiB", n >> 20),
            n if n.is_multiple_of(1 << 10) => write!(f, "{}KiB", n >> 10),
            n => write!(f, "{n} bytes"),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Want;
        impl Visitor<'_> for Want {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size: a number of bytes, or a text such as \"512KiB\" or \"8MiB\"")
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Size, E> {
                let unexpected = serde::de::Unexpected::Signed(number);
                u64::try_from(number).map(Size).map_err(|_| E::invalid_value(unexpected, &self))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Size, E> {
                let unexpected = serde::de::Unexpected::Str(text);
                Size::parse(text).ok_or_else(|| E::invalid_value(unexpected, &self))
            }
        }
        deserializer.deserialize_any(Want)
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Whether Kafka takes `name` as a topic.
pub(super) fn is_topic(name: &str) -> bool {
    (1..=249).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(is_topic_byte)
}

/// Whether a topic's name may contain `byte`.
pub(super) fn is_topic_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}
