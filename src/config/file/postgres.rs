//! The section `[postgres]`, and libpq's environment variables.
//!
//! What the file says wins over the environment. Variables that are read: PGHOST, PGPORT,
//! PGDATABASE, PGUSER, PGPASSWORD, PGPASSFILE, PGSSLMODE, PGSSLROOTCERT, PGSSLCERT, PGSSLKEY,
//! PGAPPNAME, PGCONNECT_TIMEOUT, PGCHANNELBINDING, PGTARGETSESSIONATTRS.
//!
//! Source: <https://www.postgresql.org/docs/current/libpq-envars.html>

use std::path::PathBuf;
use std::time::Duration;

use encoding_rs::{EUC_JP, Encoding, UTF_8, X_USER_DEFINED};
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::Surroundings;
use super::value::{
    Fault, Given, Key, SecretKeys, Time, certificate, choice, contradiction, within,
};
use crate::config::{
    self, ChannelBinding, Host, Secret, SecretSource, SslMode, SslRootCert, Target,
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Postgres {
    hosts: Key<Vec<String>>,
    port: Key<u16>,
    database: Key<String>,
    user: Key<String>,
    password: Key<IgnoredAny>,
    password_file: Key<String>,
    password_env: Key<String>,
    password_command: Key<Vec<String>>,
    passfile: Key<String>,
    ssl_mode: Key<String>,
    ssl_root_cert: Key<String>,
    ssl_cert: Key<String>,
    ssl_key: Key<String>,
    channel_binding: Key<String>,
    target_session_attrs: Key<String>,
    text_encoding: Key<String>,
    application_name: Key<String>,
    connect_timeout: Key<Time>,
    statement_timeout: Key<Time>,
    keepalive_idle: Key<Time>,
    keepalive_interval: Key<Time>,
    keepalive_count: Key<u32>,
    tcp_user_timeout: Key<Time>,
}

/// Where a server on this machine listens (Debian's and Red Hat's folder), then TCP.
const HOSTS_DEFAULT: [&str; 2] = ["/var/run/postgresql", "localhost"];
const PORT_DEFAULT: u16 = 5432;

const SSL_MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];
const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] = &[
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];
/// Variables of libpq that say where to connect or how safe that must be.
const NOT_FOLLOWED: &[&str] = &[
    "PGGSSENCMODE",
    "PGHOSTADDR",
    "PGREQUIREAUTH",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLMAXPROTOCOLVERSION",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLNEGOTIATION",
];
const TARGETS: &[(&str, Target)] =
    &[("any", Target::Any), ("read-write", Target::ReadWrite), ("primary", Target::Primary)];

pub(super) fn build(
    section: Option<Spanned<Postgres>>,
    around: &Surroundings<'_>,
) -> Result<config::Postgres, Fault> {
    let section = &section.map(Spanned::into_inner).unwrap_or_default();
    followed(around)?;
    let user = user(section, around)?;
    let limit = |name, key, default| {
        let bounds = (Time::millis(100), Time::seconds(24 * 3600));
        within(name, key, default, bounds).map(|Time(duration)| duration)
    };
    let (password, passfile) = password(section, around)?;
    let tls = tls(section, around)?;
    let text = |name, key, variable| given(name, key, variable, around).map(|given| given.text);
    Ok(config::Postgres {
        database: text("postgres.database", &section.database, "PGDATABASE")
            .unwrap_or_else(|| user.clone()),
        user,
        password,
        passfile,
        ssl_mode: tls.mode,
        ssl_root_cert: tls.root_cert,
        ssl_client_cert: tls.client_cert,
        channel_binding: tls.channel_binding,
        target: target(section, around)?,
        text_encoding: text_encoding(&section.text_encoding)?,
        hosts: hosts(section, around)?,
        application_name: text("postgres.application_name", &section.application_name, "PGAPPNAME")
            .unwrap_or_else(|| "walbrook".to_owned()),
        connect_timeout: connect_timeout(section, around)?,
        statement_timeout: limit(
            "postgres.statement_timeout",
            &section.statement_timeout,
            Time::seconds(30),
        )?,
        keepalive_idle: limit(
            "postgres.keepalive_idle",
            &section.keepalive_idle,
            Time::seconds(10),
        )?,
        keepalive_interval: limit(
            "postgres.keepalive_interval",
            &section.keepalive_interval,
            Time::seconds(5),
        )?,
        keepalive_count: within("postgres.keepalive_count", &section.keepalive_count, 3, (1, 100))?,
        tcp_user_timeout: limit(
            "postgres.tcp_user_timeout",
            &section.tcp_user_timeout,
            Time::seconds(20),
        )?,
    })
}

/// A key of the file, or else a variable of the environment.
fn given(
    name: &'static str,
    key: &Key<String>,
    variable: &'static str,
    around: &Surroundings<'_>,
) -> Option<Given> {
    Given::key(name, key).or_else(|| {
        let text = around.environment.get(variable)?.to_owned();
        Some(Given { name: variable, span: None, text })
    })
}

fn user(section: &Postgres, around: &Surroundings<'_>) -> Result<String, Fault> {
    given("postgres.user", &section.user, "PGUSER", around)
        .map(|given| given.text)
        .or_else(|| around.environment.get("USER").map(str::to_owned))
        .ok_or_else(|| {
            Fault::nowhere(
                "`postgres.user` is missing: name the role with REPLICATION that walbrook logs in \
                 as, in the section [postgres] or in PGUSER",
            )
        })
}

/// Refuses what libpq would follow and we don't: whoever set it relies on it.
fn followed(around: &Surroundings<'_>) -> Result<(), Fault> {
    match NOT_FOLLOWED.iter().find(|name| around.environment.get(name).is_some()) {
        None => Ok(()),
        Some(name) => {
            let message =
                format!("{name} is set, but walbrook does not follow it: unset it for walbrook");
            Err(Fault::nowhere(message))
        }
    }
}

fn hosts(section: &Postgres, around: &Surroundings<'_>) -> Result<Vec<Host>, Fault> {
    let ports = ports(section, around)?;
    if let Some(hosts) = &section.hosts {
        return with_ports(listed("postgres.hosts", hosts)?, &ports);
    }
    if around.environment.get("PGSERVICE").is_some() {
        let message = "PGSERVICE is set, but walbrook reads no service file: set `postgres.hosts`";
        return Err(Fault::nowhere(message));
    }
    let hosts: Vec<_> = match around.environment.get("PGHOST") {
        Some(list) => list.split(',').map(|host| (host.trim().to_owned(), None)).collect(),
        None => HOSTS_DEFAULT.iter().map(|&host| (host.to_owned(), None)).collect(),
    };
    with_ports(hosts, &ports)
}

/// Standbys of those servers, with the same settings; without a port of their own with the first one's.
pub(super) fn standbys(
    name: &str,
    key: &Key<Vec<String>>,
    postgres: &config::Postgres,
) -> Result<Vec<Host>, Fault> {
    let Some(hosts) = key else { return Ok(Vec::new()) };
    let port = postgres.hosts.first().map_or(PORT_DEFAULT, |host| host.port);
    with_ports(listed(name, hosts)?, &[port])
}

fn listed(name: &str, hosts: &Spanned<Vec<String>>) -> Result<Vec<(String, Option<u16>)>, Fault> {
    let parsed: Option<Vec<_>> = hosts.get_ref().iter().map(|text| host(text)).collect();
    parsed.filter(|hosts| !hosts.is_empty()).ok_or_else(|| {
        let message = format!(
            "`{name}` wants one or more of \"host\", \"host:port\", \"[address]:port\" or \
             \"/folder/of/the/socket\""
        );
        Fault::at(hosts, message)
    })
}

/// The port of hosts that name none: one for all, or (in PGPORT) one for each.
fn ports(section: &Postgres, around: &Surroundings<'_>) -> Result<Vec<u16>, Fault> {
    if let Some(port) = &section.port {
        return Ok(vec![*port.get_ref()]);
    }
    let Some(list) = around.environment.get("PGPORT") else { return Ok(vec![PORT_DEFAULT]) };
    let ports: Result<_, _> = list.split(',').map(|port| port.trim().parse()).collect();
    ports.map_err(|_| Fault::nowhere(format!("PGPORT is {list:?}, but wants port numbers")))
}

fn with_ports(hosts: Vec<(String, Option<u16>)>, ports: &[u16]) -> Result<Vec<Host>, Fault> {
    if 1 < ports.len() && ports.len() != hosts.len() {
        let (hosts, ports) = (hosts.len(), ports.len());
        let message = format!("PGPORT lists {ports} ports for {hosts} hosts: one each, or one");
        return Err(Fault::nowhere(message));
    }
    let ports = ports.iter().cycle();
    let join = |((host, own), port): ((String, Option<u16>), &u16)| Host {
        host,
        port: own.unwrap_or(*port),
    };
    Ok(hosts.into_iter().zip(ports).map(join).collect())
}

/// `host`, `host:port`, `[address]:port`, a bare IPv6 address, or the folder of a Unix socket.
fn host(text: &str) -> Option<(String, Option<u16>)> {
    if text.is_empty() || text.contains(',') || text.contains("://") {
        return None;
    }
    if text.starts_with('/') {
        return Some((text.to_owned(), None));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return match port.strip_prefix(':') {
            Some(port) => Some((address.to_owned(), Some(port.parse().ok()?))),
            None if port.is_empty() => Some((address.to_owned(), None)),
            None => None,
        };
    }
    match text.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((text.to_owned(), None)),
        Some((name, port)) if !name.is_empty() => Some((name.to_owned(), Some(port.parse().ok()?))),
        Some(_) => None,
        None => Some((text.to_owned(), None)),
    }
}

/// The password, or else the file to look it up in.
fn password(
    section: &Postgres,
    around: &Surroundings<'_>,
) -> Result<(Option<SecretSource>, Option<PathBuf>), Fault> {
    let keys = SecretKeys {
        name: "postgres.password",
        inline: &section.password,
        file: &section.password_file,
        env: &section.password_env,
        command: &section.password_command,
    };
    let advice = "the password is in one place; keep the key that says where";
    let passfile = ("postgres.passfile", &section.passfile);
    contradiction(("postgres.password_file", &section.password_file), passfile, advice)?;
    contradiction(("postgres.password_env", &section.password_env), passfile, advice)?;
    contradiction(("postgres.password_command", &section.password_command), passfile, advice)?;
    let password = keys.read(around)?;
    if password.is_some() {
        return Ok((password, None));
    }
    if let Some(passfile) = &section.passfile {
        return Ok((None, Some(around.path(passfile.get_ref()))));
    }
    let environment = around.environment;
    let password = environment.get("PGPASSWORD").map(|text| Secret::new(text.to_owned()).into());
    let passfile = environment.get("PGPASSFILE").map(PathBuf::from);
    Ok((password, passfile.or_else(|| environment.home(".pgpass"))))
}

struct Tls {
    mode: SslMode,
    root_cert: SslRootCert,
    client_cert: Option<(PathBuf, PathBuf)>,
    channel_binding: ChannelBinding,
}

fn tls(section: &Postgres, around: &Surroundings<'_>) -> Result<Tls, Fault> {
    let ssl_mode = given("postgres.ssl_mode", &section.ssl_mode, "PGSSLMODE", around);
    let mode = ssl_mode.as_ref().map_or(Ok(SslMode::Prefer), |given| choice(given, SSL_MODES))?;
    if mode == SslMode::Disable {
        let advice = "without TLS there are no certificates; remove one of them";
        for (name, key) in [
            ("postgres.ssl_root_cert", &section.ssl_root_cert),
            ("postgres.ssl_cert", &section.ssl_cert),
            ("postgres.ssl_key", &section.ssl_key),
        ] {
            contradiction(("postgres.ssl_mode", &section.ssl_mode), (name, key), advice)?;
        }
    }
    let root_cert = root_cert(section, around);
    let verifies = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
    if let (true, SslRootCert::None, Some(given)) = (verifies, &root_cert, &ssl_mode) {
        return Err(given.fault(format_args!(
            "is {:?}, which needs `postgres.ssl_root_cert`: the authority's certificate (PEM), or \
             \"system\" for those of the operating system",
            given.text
        )));
    }
    if let (SslRootCert::System, false, Some(given)) =
        (&root_cert, mode == SslMode::VerifyFull, &ssl_mode)
    {
        return Err(given.fault(format_args!(
            "is {:?}, but `postgres.ssl_root_cert` is \"system\", which only protects with \
             \"verify-full\"",
            given.text
        )));
    }
    let system = root_cert == SslRootCert::System;
    let mode = if system { SslMode::VerifyFull } else { mode };
    Ok(Tls {
        mode,
        root_cert,
        client_cert: client_cert(section, around)?,
        channel_binding: binding(section, around, mode)?,
    })
}

fn root_cert(section: &Postgres, around: &Surroundings<'_>) -> SslRootCert {
    let key = &section.ssl_root_cert;
    match given("postgres.ssl_root_cert", key, "PGSSLROOTCERT", around) {
        Some(given) if given.text == "system" => SslRootCert::System,
        Some(given) if given.span.is_some() => SslRootCert::File(around.path(&given.text)),
        Some(given) => SslRootCert::File(PathBuf::from(given.text)),
        None => around
            .environment
            .home(".postgresql/root.crt")
            .filter(|path| path.exists())
            .map_or(SslRootCert::None, SslRootCert::File),
    }
}

fn client_cert(
    section: &Postgres,
    around: &Surroundings<'_>,
) -> Result<Option<(PathBuf, PathBuf)>, Fault> {
    let cert = ("postgres.ssl_cert", &section.ssl_cert);
    let from_file = certificate(cert, ("postgres.ssl_key", &section.ssl_key), around)?;
    if from_file.is_some() {
        return Ok(from_file);
    }
    let environment = around.environment;
    let path = |variable, default| {
        environment.get(variable).map(PathBuf::from).or_else(|| environment.home(default))
    };
    let cert = path("PGSSLCERT", ".postgresql/postgresql.crt");
    let key = path("PGSSLKEY", ".postgresql/postgresql.key");
    Ok(cert.zip(key).filter(|(cert, _)| cert.exists()))
}

fn binding(
    section: &Postgres,
    around: &Surroundings<'_>,
    mode: SslMode,
) -> Result<ChannelBinding, Fault> {
    let name = "postgres.channel_binding";
    let Some(given) = given(name, &section.channel_binding, "PGCHANNELBINDING", around) else {
        return Ok(ChannelBinding::Prefer);
    };
    let binding = choice(&given, CHANNEL_BINDINGS)?;
    if binding == ChannelBinding::Require && mode == SslMode::Disable {
        return Err(given.fault(
            "is \"require\" and contradicts `postgres.ssl_mode` \"disable\": channel binding needs \
             TLS",
        ));
    }
    Ok(binding)
}

/// A standby is meant only by who says so: a name or an address that is the primary's may lead to a
/// standby while servers change their roles.
fn target(section: &Postgres, around: &Surroundings<'_>) -> Result<Target, Fault> {
    let name = "postgres.target_session_attrs";
    given(name, &section.target_session_attrs, "PGTARGETSESSIONATTRS", around)
        .map_or(Ok(Target::Primary), |given| choice(&given, TARGETS))
}

/// An encoding in which every byte below 0x80 is ASCII, which not all are: in Shift_JIS or GBK such a
/// byte can be half of a character, and PostgreSQL, which takes it for ASCII, quotes it in arrays and
/// composites.
fn text_encoding(key: &Key<String>) -> Result<Option<&'static Encoding>, Fault> {
    let Some(given) = Given::key("postgres.text_encoding", key) else { return Ok(None) };
    let encoding = Encoding::for_label_no_replacement(given.text.as_bytes());
    let Some(encoding) = encoding.filter(|it| *it != X_USER_DEFINED) else {
        return Err(given.fault(format_args!(
            "is {:?}, but wants a label of <https://encoding.spec.whatwg.org/#names-and-labels>, \
             such as \"windows-1252\", \"iso-8859-2\", \"koi8-r\" or \"euc-jp\"",
            given.text
        )));
    };
    if encoding == UTF_8 {
        let message = "is UTF-8, which is what text is read as without this key: remove it";
        return Err(given.fault(message));
    }
    if encoding.is_single_byte() || encoding == EUC_JP {
        return Ok(Some(encoding));
    }
    Err(given.fault(format_args!(
        "is {}, in which bytes that look like ASCII are parts of other characters, so that \
         PostgreSQL's quotes and commas in arrays cannot be told from text: single-byte encodings \
         and EUC-JP can be read",
        encoding.name()
    )))
}

fn connect_timeout(section: &Postgres, around: &Surroundings<'_>) -> Result<Duration, Fault> {
    let bounds = (Time::seconds(1), Time::seconds(3600));
    let name = "postgres.connect_timeout";
    let default = match around.environment.get("PGCONNECT_TIMEOUT") {
        None => Time::seconds(10),
        Some(text) => match text.parse() {
            Ok(seconds) if (1..=3600).contains(&seconds) => Time::seconds(seconds),
            _ => {
                let message =
                    format!("PGCONNECT_TIMEOUT is {text:?}, but wants seconds, 1 to 3600");
                return Err(Fault::nowhere(message));
            }
        },
    };
    within(name, &section.connect_timeout, default, bounds).map(|Time(duration)| duration)
}
