//! Logs: text for people, JSON for machines, always to standard error.
//!
//! librdkafka's own lines have the target `kafka` and are shown from `warn` on, unless the filter
//! says otherwise.

use tracing_subscriber::EnvFilter;

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text.
    Text,
}

/// What the target of librdkafka's lines is shown from, unless the operator's filter names it.
const KAFKA_DEFAULT: &str = "kafka=warn";

/// A filter that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "wants error, warn, info, debug, trace or off, and may add targets, such as \"info,kafka=debug\""
)]
pub struct FilterError;

/// Reads a level with optional targets, such as `info` or `info,kafka=debug`.
///
/// # Errors
///
/// If it is not such a filter.
pub fn parse_filter(text: &str) -> Result<EnvFilter, FilterError> {
    // The filter's own grammar takes any lone word for a target, so that a misspelt level would
    // silence everything else.
    let known = ["error", "warn", "info", "debug", "trace", "off"];
    let is_typo = |part: &str| !part.contains(['=', '[']) && !known.contains(&part.trim());
    if text.split(',').any(is_typo) {
        return Err(FilterError);
    }
    let is_told = text == "off" || text.split(',').any(|part| part.trim().starts_with("kafka="));
    let kafka = if is_told { String::new() } else { format!("{KAFKA_DEFAULT},") };
    format!("{kafka}{text}").parse().map_err(|_| FilterError)
}

/// Starts logging for the whole process; only `main` does that, once.
///
/// # Errors
///
/// If `level` is no filter.
pub fn start(format: LogFormat, level: &str) -> Result<(), FilterError> {
    let filter = parse_filter(level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => builder.with_ansi(is_terminal()).try_init(),
    };
    debug_assert!(started.is_ok(), "logging is started once");
    Ok(())
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn librdkafka_is_quiet_unless_asked() {
        let check = |text: &str, expect: &str| {
            let mut parts: Vec<_> =
                parse_filter(text).unwrap().to_string().split(',').map(str::to_owned).collect();
            parts.sort_unstable();
            assert_eq!(parts.join(","), expect, "{text}");
        };
        check("info", "info,kafka=warn");
        check("debug", "debug,kafka=warn");
        check("info,kafka=debug", "info,kafka=debug");
        check("warn,walbrook::pipeline=trace", "kafka=warn,walbrook::pipeline=trace,warn");
        check("off", "off");
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for text in ["", "verbose", "inf", "info,", "kafka=loud", "info,verbose"] {
            assert_eq!(parse_filter(text).err(), Some(FilterError), "{text}");
        }
    }
}
