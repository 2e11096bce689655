//! The whole path over encrypted, authenticated and authorised connections.

use super::refusals::secret_file;
use super::{TABLE, TEST_LIMIT, check_once};
use crate::support::flow::{self, Flow};
use crate::support::kafka::{self, Kafka};
use crate::support::postgres::{self, Postgres};
use crate::support::registry::Registry;
use crate::support::stack::{Space, Stack};
use crate::support::walbrook::{Walbrook, write_file};
use crate::support::{run, tls};

/// PostgreSQL: TLS with verify-full, SCRAM bound to the channel, a role with the documented grants
/// only. Kafka: SASL_SSL, SCRAM, ACLs as documented.
#[test]
fn the_whole_path_over_tls_with_scram_and_acls() {
    run(TEST_LIMIT, async {
        let authority = tls::Authority::new("walbrook test authority");
        let broker = authority.sign("broker", &["localhost"]);
        let server = authority.sign("server", &["localhost"]);
        let secure = kafka::Secure {
            certificate: broker.certificate,
            key: broker.key,
            client_authority: None,
            users: vec![("cdc".into(), "kafka-cAnArY".into())],
        };
        let stack = Stack {
            kafka: Kafka::start(&kafka::Options { secure: Some(secure), ..Default::default() }),
            postgres: Postgres::start(&postgres::Options {
                hba: vec![
                    "hostssl all cdc all scram-sha-256".into(),
                    "hostssl replication cdc all scram-sha-256".into(),
                    "host all cdc all reject".into(),
                    "local all cdc reject".into(),
                ],
                tls: Some((server.certificate, server.key, authority.certificate.clone())),
                ..Default::default()
            }),
            registry: Registry::start(),
        };
        let space = Space::new(&stack.postgres, "secured").await;
        let grants = "
            CREATE ROLE cdc LOGIN REPLICATION PASSWORD 'pg-cAnArY';
            REVOKE ALL ON SCHEMA public FROM PUBLIC;";
        stack.postgres.execute(&space.database, &format!("{TABLE}{grants}")).await;
        let topics = ["--topic", &space.prefix, "--resource-pattern-type", "prefixed"];
        let checkpoints = format!("walbrook.{}.checkpoint", space.pipeline);
        let checkpoints = ["--topic", checkpoints.as_str()];
        for (resource, operations) in [
            (&topics[..], &["WRITE", "CREATE"][..]),
            (&checkpoints[..], &["READ", "WRITE", "CREATE"]),
        ] {
            for operation in operations {
                let head = ["--add", "--force", "--allow-principal", "User:cdc"];
                stack.kafka.acl(&[&head[..], resource, &["--operation", operation]].concat());
            }
        }
        let id = format!("walbrook.{}.{}", space.pipeline, space.slot);
        stack.kafka.acl(&[
            "--add",
            "--force",
            "--allow-principal",
            "User:cdc",
            "--transactional-id",
            &id,
            "--operation",
            "WRITE",
        ]);

        let authority = write_file("ca.pem", &authority.certificate);
        let postgres_password = secret_file("pg-cAnArY\n");
        let kafka_password = secret_file("kafka-cAnArY\n");
        let socket = stack.postgres.socket_folder().display().to_string();
        let config = flow::config(&stack, &space, &[("log", "level = \"debug,kafka=debug\"")])
            .replace(&socket, "localhost")
            .replace("user = \"postgres\"", "user = \"cdc\"")
            .replace(&stack.kafka.bootstrap(), &stack.kafka.bootstrap_secure());
        let ca = authority.display();
        let config = flow::edit(
            &config,
            "postgres",
            &format!(
                "ssl_mode = \"verify-full\"\nssl_root_cert = \"{ca}\"\nchannel_binding = \"require\"\n\
                 password_file = \"{}\"",
                postgres_password.display()
            ),
        );
        let config = flow::edit(&config, "kafka.tls", &format!("ca_file = \"{ca}\""));
        let config = flow::edit(
            &config,
            "kafka.sasl",
            &format!(
                "mechanism = \"SCRAM-SHA-512\"\nuser = \"cdc\"\npassword_file = \"{}\"",
                kafka_password.display()
            ),
        );
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        let client = stack.postgres.client(&space.database).await;
        let mut flow = Flow { stack: &stack, space, config, walbrook, client };
        flow.execute("INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 1000); UPDATE t SET v = 'y' WHERE id = 0")
            .await;
        flow.drain().await;
        check_once(&flow).await;
        let how = flow::query(
            &flow.client,
            "SELECT DISTINCT ssl, usename FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE usename = 'cdc'",
        )
        .await;
        assert_eq!(how, [["t", "cdc"]]);
        flow.restart_after_kill().await;
        flow.execute("INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 10)").await;
        flow.drain().await;
        check_once(&flow).await;
        assert!(!flow.walbrook.log().concat().contains("cAnArY"));
        flow.stop();

        // Another name than the certificate's is refused.
        let wrong = flow.config.replace("[\"localhost\"]", "[\"127.0.0.1\"]");
        let mut walbrook = Walbrook::spawn(&wrong);
        let error = flow::ends_with(&mut walbrook, 4);
        assert!(error.contains("certificate"), "{error}");
    });
}
