//! What holds whatever a file says: whose database it is tried in, how long it may take, and what a
//! registry is asked that others write.

use serde_json::Value;

use super::{answer, scratch, subject, tables, text};
use crate::evolution::TEST_LIMIT;
use crate::registry::{client, door};
use crate::support::flow::config;
use crate::support::run;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::{command, write_file};

const TABLE: &str =
    "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE PUBLICATION walbrook FOR ALL TABLES";

/// Often a scratch database is one of production's own cluster, where the slot is another database's.
#[test]
fn a_slot_of_another_database_of_the_cluster_is_not_in_the_way() {
    run(TEST_LIMIT, async {
        let production = Space::new(&shared().postgres, "production").await;
        let slot = &production.slot;
        let create = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        shared().postgres.execute(&production.database, &create).await;
        let space = Space::new(&shared().postgres, "beside").await;
        shared().postgres.execute(&space.database, TABLE).await;
        let file = write_file("a.sql", "ALTER TABLE t ADD w text");
        let arguments = ["--ddl", file.to_str().unwrap()];
        let told = scratch(&space, &config(shared(), &production, &[]), &arguments);
        let own = scratch(&production, &config(shared(), &production, &[]), &arguments);
        let drop = format!("SELECT pg_drop_replication_slot('{slot}')");
        shared().postgres.execute(&production.database, &drop).await;
        text(&told, 0);
        assert!(text(&own, 5).contains(slot), "{own:?}");
    });
}

/// The head of a pg_dump takes all limits away.
#[test]
fn limits_hold_whatever_the_file_sets() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "limits").await;
        shared().postgres.execute(&space.database, TABLE).await;
        let config = config(shared(), &space, &[("postgres", "statement_timeout = \"4s\"")]);
        let head = "SET statement_timeout = 0;\nSET lock_timeout = 0;\n";
        let slow = write_file("slow.sql", &format!("{head}SELECT pg_sleep(60)"));
        let told = text(&scratch(&space, &config, &["--ddl", slow.to_str().unwrap()]), 4);
        assert!(told.contains("slow.sql:3: SELECT pg_sleep …: ERROR 57014"), "{told}");
        assert!(told.contains("postgres.statement_timeout"), "{told}");

        let reader = shared().postgres.client(&space.database).await;
        reader.batch_execute("BEGIN; SELECT FROM t").await.unwrap();
        let waits = write_file("waits.sql", &format!("{head}ALTER TABLE t ADD w text"));
        let arguments = ["--lock-timeout", "1", "--ddl", waits.to_str().unwrap()];
        let told = text(&scratch(&space, &config, &arguments), 4);
        assert!(told.contains("waits.sql:3: ALTER TABLE t …: ERROR 55P03"), "{told}");
    });
}

/// `registry.auto_register = false`: nothing is asked but reading, and what is missing is to be
/// registered before the migration ships.
#[test]
fn where_others_register_a_schema_is_there_or_is_missing() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "others_register").await;
        shared().postgres.execute(&space.database, TABLE).await;
        let url = shared().registry.url();
        let config = config(shared(), &space, &[("registry", "auto_register = false")])
            .replace(&url, &door(&url, "get ", "405 Method Not Allowed"));
        let mut registry = client(&[url]);
        let printed = command(&config, &["schema", "print", "--table", "public.t"]);
        for it in serde_json::Deserializer::from_str(&printed.stdout).into_iter::<Value>() {
            let it = it.unwrap();
            registry
                .register(it["subject"].as_str().unwrap(), &it["schema"].to_string())
                .await
                .unwrap();
        }
        let file = write_file("a.sql", "ALTER TABLE t ADD w text");
        let arguments = ["--json", "--ddl", file.to_str().unwrap()];
        let table = |code| tables(&text(&scratch(&space, &config, &arguments), code)).remove(0);

        let missing = table(3);
        assert_eq!(answer(&missing, "-value"), "unregistered", "{missing}");
        assert_eq!(answer(&missing, "-key"), "unchanged", "{missing}");
        assert!(
            missing["found"].to_string().contains("register it before the migration ships"),
            "{missing}"
        );
        let wanted = subject(&missing, "-value").unwrap();
        let name = wanted["subject"].as_str().unwrap();
        let mut schema: Value = serde_json::from_str(wanted["schema"].as_str().unwrap()).unwrap();
        registry.register(name, &schema.to_string()).await.unwrap();
        let found = table(0);
        assert_eq!(answer(&found, "-value"), "registered", "{found}");

        // The next migration's is the newest, and this one's is there.
        let fields = schema.pointer_mut("/fields/0/type/1/fields").unwrap();
        let later =
            serde_json::json!({ "name": "later", "type": ["null", "int"], "default": null });
        fields.as_array_mut().unwrap().push(later);
        registry.register(name, &schema.to_string()).await.unwrap();
        assert_eq!(answer(&table(0), "-value"), "registered");
    });
}

/// What the log-in may not do says nothing of a schema.
#[test]
fn a_registry_that_may_not_be_asked_refuses_no_schema() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "not_asked").await;
        shared().postgres.execute(&space.database, TABLE).await;
        let url = shared().registry.url();
        let refusal = "403 Forbidden\n{\"error_code\": 40301, \"message\": \"User is denied\"}";
        let config = config(shared(), &space, &[]).replace(&url, &door(&url, "get ", refusal));
        let file = write_file("a.sql", "ALTER TABLE t ADD w text");
        let told = text(&scratch(&space, &config, &["--ddl", file.to_str().unwrap()]), 9);
        assert!(told.contains("the registry was not asked everything"), "{told}");
        assert!(told.contains("User is denied"), "{told}");
        assert!(told.contains("-value: the registry was not asked"), "{told}");
    });
}
