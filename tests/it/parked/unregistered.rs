//! A registry in which others register: `registry.auto_register = false`.

use super::*;
use crate::registry::{client, door};

/// Registers what `walbrook schema print` shows of a table, with words of somebody's own, and adds
/// this field to rows.
async fn register(flow: &Flow<'_>, table: &str, field: Option<Value>) {
    let output = command(&flow.config, &["schema", "print", "--table", table]);
    assert_eq!(output.status.code(), Some(0), "{}", output.stderr);
    let mut registry = client(&[flow.stack.registry.url()]);
    for printed in serde_json::Deserializer::from_str(&output.stdout).into_iter::<Value>() {
        let mut printed = printed.unwrap();
        let subject = printed["subject"].as_str().unwrap().to_owned();
        let schema = &mut printed["schema"];
        schema["doc"] = "Written by the team that owns the table.".into();
        if let (Some(field), true) = (&field, subject.ends_with("-value")) {
            let fields = schema.pointer_mut("/fields/0/type/1/fields").unwrap();
            fields.as_array_mut().unwrap().push(field.clone());
        }
        registry.register(&subject, &schema.to_string()).await.unwrap();
    }
}

#[test]
fn a_table_whose_schema_nobody_has_registered_waits_until_somebody_does() {
    run(TEST_LIMIT, async {
        let space = Space::new(&shared().postgres, "unregistered").await;
        shared().postgres.execute(&space.database, LEDGERS).await;
        let socket = process::folder("control").join("socket");
        let socket = format!("socket = \"{}\"", socket.display());
        let changes = [
            ("control", &*socket),
            ("tables", "retry_refused_after = \"1s\""),
            ("registry", "auto_register = false"),
        ];
        // Nothing but reading gets through.
        let url = shared().registry.url();
        let config = config(shared(), &space, &changes)
            .replace("on_refused = \"stop\"\n", "")
            .replace(&url, &door(&url, "get ", "405 Method Not Allowed"));
        let mut flow = Flow::run(shared(), space, config).await;
        flow.execute("INSERT INTO ledger_a VALUES (1, '70'); INSERT INTO ledger_b VALUES (1, '')")
            .await;
        let told = until_parked(&flow, "public.ledger_a", 1);
        until_parked(&flow, "public.ledger_b", 1);
        let subject = format!("{}-value", flow.topic("public.ledger_a"));
        assert_eq!(told["subject"], *subject, "{told}");
        let reason = told["reason"].as_str().unwrap();
        assert!(reason.contains("auto_register = false: register the schema"), "{reason}");

        register(&flow, "public.ledger_a", None).await;
        until_back(&flow, "public.ledger_a");
        until_parked(&flow, "public.ledger_b", 1);
        let checked = command(&flow.config, &["check"]);
        let checked = format!("{}{}", checked.stdout, checked.stderr);
        let other = format!("{}-value", flow.topic("public.ledger_b"));
        assert!(checked.contains(&other), "{checked}");
        assert!(!checked.contains(&subject), "{checked}");

        // The newest is from a migration that has not been run: records have the one before it.
        flow.execute("ALTER TABLE ledger_a ADD note text; INSERT INTO ledger_a VALUES (2, '71')")
            .await;
        until_parked(&flow, "public.ledger_a", 1);
        register(&flow, "public.ledger_a", None).await;
        let later =
            serde_json::json!({ "name": "later", "type": ["null", "int"], "default": null });
        register(&flow, "public.ledger_a", Some(later)).await;
        until_back(&flow, "public.ledger_a");
        flow.execute("INSERT INTO ledger_a VALUES (3, '72', 'x')").await;
        flow.drain().await;
        let expected = [
            serde_json::json!({ "id": 1, "amount": "70" }),
            serde_json::json!({ "id": 2, "amount": "71", "note": null }),
            serde_json::json!({ "id": 3, "amount": "72", "note": "x" }),
        ];
        assert_eq!(rows(&flow, "public.ledger_a"), expected);
        assert_eq!(flow.stack.registry.versions(&subject), 3);
        assert!(!flow.stack.registry.subjects().contains(&other));
        flow.stop();
    });
}

/// Waits until a table comes back by itself.
#[track_caller]
fn until_back(flow: &Flow<'_>, table: &str) {
    let start = Instant::now();
    while parked(flow).iter().any(|it| it["table"] == table) {
        assert!(start.elapsed() < LIMIT, "{}", flow.walbrook.tail());
        std::thread::sleep(Duration::from_millis(50));
    }
}
