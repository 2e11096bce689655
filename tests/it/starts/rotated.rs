//! Secrets that change while walbrook runs: it logs in again by itself, and nothing is lost or comes
//! twice.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::refusals::secret_file;
use super::{Load, TABLE, TEST_LIMIT, check_once};
use crate::support::flow::{self, Flow, LIMIT, lines_at, said};
use crate::support::kafka::{self, Kafka};
use crate::support::postgres::{self, Postgres};
use crate::support::registry::Registry;
use crate::support::stack::{Space, Stack};
use crate::support::walbrook::{Output, Walbrook, command, write_file};
use crate::support::{run, until};

/// How often the brokers want the log-in again, which they else want at a new connection only.
const RELOGIN: Duration = Duration::from_secs(4);

/// The default: after it a client that is refused would be given up anyway.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Servers that want passwords of SCRAM. Kafka takes unsigned tokens, too, which it has for tests.
fn stack() -> Stack {
    let properties = vec![
        "super.users=User:ANONYMOUS;User:cdc".into(),
        format!("connections.max.reauth.ms={}", RELOGIN.as_millis()),
        "listener.name.open.sasl.enabled.mechanisms=SCRAM-SHA-512,OAUTHBEARER".into(),
        "listener.name.open.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;".into(),
    ];
    let authority = crate::support::tls::Authority::new("walbrook test authority");
    let broker = authority.sign("broker", &["localhost"]);
    let secure = kafka::Secure {
        certificate: broker.certificate,
        key: broker.key,
        client_authority: None,
        users: vec![("cdc".into(), "kafka-cAnArY-0".into())],
    };
    Stack {
        kafka: Kafka::start(&kafka::Options { version: None, properties, secure: Some(secure) }),
        postgres: Postgres::start(&postgres::Options {
            hba: vec![
                "local all cdc scram-sha-256".into(),
                "local replication cdc scram-sha-256".into(),
            ],
            ..Default::default()
        }),
        registry: Registry::start(),
    }
}

#[test]
fn secrets_change_while_it_runs() {
    run(2 * TEST_LIMIT, async {
        let stack = stack();
        let space = Space::new(&stack.postgres, "rotated").await;
        let grants = "
            CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'pg-cAnArY-0';
            REVOKE ALL ON SCHEMA public FROM PUBLIC;";
        stack.postgres.execute(&space.database, &format!("{TABLE}{grants}")).await;
        let password = secret_file("pg-cAnArY-0\n");
        let config = flow::config(&stack, &space, &[("log", "level = \"debug,kafka=debug\"")])
            .replace("user = \"postgres\"", "user = \"cdc\"");
        let by = |key: &str| flow::edit(&config, "postgres", key);
        let config = by(&format!("password_file = \"{}\"", password.display()));
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        let client = stack.postgres.client(&space.database).await;
        let mut flow = Flow { stack: &stack, space, config, walbrook, client };

        postgres_password(&mut flow, &password, "`postgres.password_file` is empty").await;
        fs::remove_file(&password).unwrap();
        logged_out(&flow).await;
        let gone = "`postgres.password_file` cannot be read";
        complains(&flow, gone);
        secret(&password, "pg-cAnArY-2");
        drained(&mut flow).await;
        flow.stop();

        flow.config = by(&format!("password_command = [\"cat\", \"{}\"]", password.display()));
        flow.restart().await;
        postgres_password(&mut flow, &password, "cat printed nothing").await;
        flow.stop();

        let open = flow.config.replace(&stack.kafka.bootstrap(), &stack.kafka.bootstrap_sasl());
        let password = secret_file("kafka-cAnArY-0\n");
        for (round, key) in [
            format!("password_file = \"{}\"", password.display()),
            format!("password_command = [\"cat\", \"{}\"]", password.display()),
        ]
        .iter()
        .enumerate()
        {
            let sasl = format!("mechanism = \"SCRAM-SHA-512\"\nuser = \"cdc\"\n{key}");
            flow.config = flow::edit(&open, "kafka.sasl", &sasl);
            flow.restart().await;
            kafka_password(&mut flow, &password, round).await;
            flow.stop();
        }
        kafka_tokens(&stack).await;
    });
}

/// The role's password becomes another one, first unknown to walbrook; what it asks gives nothing for
/// a while.
async fn postgres_password(flow: &mut Flow<'_>, file: &Path, nothing: &str) {
    flow.execute("INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 100)").await;
    drained(flow).await;
    for number in [1, 2] {
        flow.execute(&format!("ALTER ROLE cdc PASSWORD 'pg-cAnArY-{number}'")).await;
        logged_out(flow).await;
        complains(flow, "refused the password of user \"cdc\"");
        secret(file, "");
        complains(flow, nothing);
        secret(file, &format!("pg-cAnArY-{number}"));
        drained(flow).await;
    }
}

/// Its connections end, and rows wait for it.
async fn logged_out(flow: &Flow<'_>) {
    flow.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cdc';
         INSERT INTO t (v) SELECT 'y' FROM generate_series(1, 10)",
    )
    .await;
}

/// The brokers' password becomes another one; connections that they have are to log in again.
async fn kafka_password(flow: &mut Flow<'_>, file: &Path, round: usize) {
    flow.execute("INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 100)").await;
    drained(flow).await;
    let password = format!("kafka-cAnArY-{}", round + 1);
    kafka_user(flow, &password);
    // The client that it has is refused, while there is no other password to try.
    tokio::time::sleep(2 * RELOGIN).await;
    flow.execute("INSERT INTO t (v) SELECT 'y' FROM generate_series(1, 10)").await;
    tokio::time::sleep(RELOGIN).await;
    secret(file, &password);
    let start = Instant::now();
    drained(flow).await;
    assert!(start.elapsed() < TRANSACTION_TIMEOUT / 2, "{:?}", start.elapsed());

    // And so is a new one.
    let password = format!("kafka-cAnArY-{}-new", round + 1);
    kafka_user(flow, &password);
    logged_out(flow).await;
    complains(flow, "kafka refused the credentials");
    secret(file, &password);
    drained(flow).await;
}

fn kafka_user(flow: &Flow<'_>, password: &str) {
    let config = format!("SCRAM-SHA-512=[password={password}]");
    let bootstrap = flow.stack.kafka.bootstrap();
    let user = ["--entity-type", "users", "--entity-name", "cdc", "--add-config", &config];
    let head = ["--bootstrap-server", &bootstrap, "--alter"];
    flow.stack.kafka.tool("kafka.admin.ConfigCommand", &[&head[..], &user].concat());
}

/// From nothing, with tokens that live so shortly that several are used while rows flow: topics are
/// made, and `check` reads settings.
async fn kafka_tokens(stack: &Stack) {
    let endpoint = Endpoint::start();
    // What curl would do, which not every machine has.
    let script = "exec 3<> /dev/tcp/127.0.0.1/$1; printf 'GET /token HTTP/1.0\r\n\r\n' >&3; \
                  sed '1,/^\r*$/d' <&3";
    let script = write_file("token", script);
    let lines = format!(
        "mechanism = \"OAUTHBEARER\"\ntoken_command = [\"bash\", \"{}\", \"{}\", \"cAnArY\"]",
        script.display(),
        endpoint.port
    );
    let space = Space::new(&stack.postgres, "tokens").await;
    stack.postgres.execute(&space.database, TABLE).await;
    let changes = [("log", "level = \"debug,kafka=debug\""), ("kafka.sasl", &*lines)];
    let config = flow::config(stack, &space, &changes)
        .replace(&stack.kafka.bootstrap(), &stack.kafka.bootstrap_sasl());
    checked(&config, &["kafka.new_topics", "public.t does not exist yet and will be created"]);

    let mut walbrook = Walbrook::spawn(&config);
    space.ready(&stack.postgres, &mut walbrook).await;
    let client = stack.postgres.client(&space.database).await;
    let mut flow = Flow { stack, space, config, walbrook, client };
    let load = Load::start(&flow, 10).await;
    until(LIMIT, "three tokens", || match endpoint.asked.load(Ordering::Relaxed) {
        asked if 3 <= asked => Ok(()),
        asked => Err(format!("{asked}")),
    });
    load.end().await;
    drained(&mut flow).await;
    let warnings = lines_at(&flow.walbrook, "WARN");
    assert_eq!(warnings, [] as [serde_json::Value; 0]);
    flow.stop();
    checked(&flow.config, &["checkpoint is compacted", "public.t exists and can be written"]);
}

/// `check` finds nothing wrong, and says these things.
fn checked(config: &str, words: &[&str]) {
    let Output { status, stdout, stderr } = command(config, &["check"]);
    assert_eq!(status.code(), Some(0), "{stdout}\n{stderr}");
    for words in words {
        assert!(stdout.contains(words), "{words}: {stdout}\n{stderr}");
    }
    let all = stdout + &stderr;
    assert!(!all.contains("cannot be read") && !all.contains("cAnArY"), "{all}");
}

/// Where a token is given to whoever asks.
struct Endpoint {
    port: u16,
    asked: Arc<AtomicU32>,
}

impl Endpoint {
    const LIFETIME: Duration = Duration::from_secs(20);

    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for mut caller in listener.incoming().map(Result::unwrap) {
                // All of it, or else the answer would be lost with what was not read.
                let mut question = Vec::new();
                while !question.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    caller.read_exact(&mut byte).unwrap();
                    question.extend(byte);
                }
                let body = Self::answer();
                let head = "HTTP/1.0 200 OK\r\nConnection: close";
                write!(caller, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { port, asked }
    }

    fn answer() -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let (lifetime, end) = (Self::LIFETIME.as_secs(), now + Self::LIFETIME.as_secs());
        let claims = format!(r#"{{"sub":"cdc","scope":"cAnArY","iat":{now},"exp":{end}}}"#);
        let [head, claims] = [r#"{"alg":"none"}"#, &claims].map(|it| URL_SAFE_NO_PAD.encode(it));
        format!(r#"{{"access_token":"{head}.{claims}.","expires_in":{lifetime}}}"#)
    }
}

/// Puts a secret in its file as a whole.
fn secret(file: &Path, text: &str) {
    fs::rename(secret_file(&format!("{text}\n")), file).unwrap();
}

/// It says so in a warning that is new, and goes on.
fn complains(flow: &Flow<'_>, what: &str) {
    let line = flow.walbrook.wait_for_newer(LIMIT, what, |line| {
        said(line, "level") == "WARN" && said(line, "error").contains(what)
    });
    println!("{}", said(&line, "error"));
}

async fn drained(flow: &mut Flow<'_>) {
    flow.drain().await;
    check_once(flow).await;
    let log = flow.walbrook.log().concat();
    assert!(!log.contains("cAnArY") && !log.contains("Y0FuQXJZ"));
}
