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
/// only. Kafka: SASL and TLS, together and each alone, every kind of password; ACLs as documented.
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
            .replace("user = \"postgres\"", "user = \"cdc\"");
        let ca = authority.display();
        let base = flow::edit(
            &config,
            "postgres",
            &format!(
                "ssl_mode = \"verify-full\"\nssl_root_cert = \"{ca}\"\nchannel_binding = \"require\"\n\
                 password_file = \"{}\"",
                postgres_password.display()
            ),
        );
        let tls = ("kafka.tls", format!("ca_file = \"{ca}\""));
        let sasl = |mechanism: &str| {
            let file = kafka_password.display();
            let user = "user = \"cdc\"";
            let lines = format!("mechanism = \"{mechanism}\"\n{user}\npassword_file = \"{file}\"");
            ("kafka.sasl", lines)
        };
        let over = |bootstrap: String, sections: &[&(&str, String)]| {
            let config = base.replace(&stack.kafka.bootstrap(), &bootstrap);
            sections.iter().fold(config, |config, (name, lines)| flow::edit(&config, name, lines))
        };
        let config = over(stack.kafka.bootstrap_secure(), &[&tls, &sasl("SCRAM-SHA-512")]);
        let mut walbrook = Walbrook::spawn(&config);
        space.ready(&stack.postgres, &mut walbrook).await;
        let client = stack.postgres.client(&space.database).await;
        let mut flow = Flow { stack: &stack, space, config: config.clone(), walbrook, client };
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

        // The password is another one by now: each connection reads the file anew.
        std::fs::write(&postgres_password, "new-cAnArY\n").unwrap();
        flow.execute(
            "ALTER ROLE cdc PASSWORD 'new-cAnArY';
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cdc';
             INSERT INTO t (v) VALUES ('z')",
        )
        .await;
        flow.drain().await;
        check_once(&flow).await;
        assert!(!flow.walbrook.log().concat().contains("cAnArY"));
        flow.stop();

        // The same pipeline goes on over all the other ways to the brokers.
        let (secure, open) = (stack.kafka.bootstrap_secure(), stack.kafka.bootstrap_sasl());
        let mut ways = vec![("", over(stack.kafka.bootstrap_tls(), &[&tls]))];
        for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
            ways.push((mechanism, over(secure.clone(), &[&tls, &sasl(mechanism)])));
            ways.push((mechanism, over(open.clone(), &[&sasl(mechanism)])));
        }
        for (_, way) in &ways {
            flow.config.clone_from(way);
            flow.restart().await;
            flow.execute("INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 10)").await;
            flow.drain().await;
            check_once(&flow).await;
            assert!(!flow.walbrook.log().concat().contains("cAnArY"));
            flow.stop();
        }

        // Another name than the certificate's is refused, and so is a wrong password.
        let mut walbrook = Walbrook::spawn(&config.replace("[\"localhost\"]", "[\"127.0.0.1\"]"));
        let error = flow::ends_with(&mut walbrook, 4);
        assert!(error.contains("certificate"), "{error}");
        let wrong = secret_file("wr0ng-cAnArY\n").display().to_string();
        for (mechanism, way) in &ways[1..] {
            let way = way.replace(&kafka_password.display().to_string(), &wrong);
            let mut walbrook = Walbrook::spawn(&way);
            let error = flow::ends_with(&mut walbrook, 4);
            println!("{error}");
            assert!(error.contains("kafka refused the credentials"), "{error}");
            // PLAIN is what the broker does not name.
            assert_eq!(error.contains(mechanism), *mechanism != "PLAIN", "{error}");
            assert!(!walbrook.log().concat().contains("cAnArY"));
        }
    });
}
