//! The same under other rules of the registry than BACKWARD.

use serde_json::json;

use super::TEST_LIMIT;
use crate::support::flow::{Flow, config, lines_at, plain, said};
use crate::support::records::Record;
use crate::support::run;
use crate::support::stack::{STOPS, Space, shared};

#[test]
fn under_full_fields_come_and_do_not_go_and_under_none_all_passes() {
    run(TEST_LIMIT, async {
        let ddl = "CREATE TABLE comes (id int PRIMARY KEY, v text NOT NULL);
            CREATE TABLE goes (LIKE comes INCLUDING ALL); CREATE TABLE other (LIKE comes INCLUDING ALL);
            CREATE PUBLICATION walbrook FOR ALL TABLES;";
        let space = Space::new(&shared().postgres, "rules").await;
        shared().postgres.execute(&space.database, ddl).await;
        let config = config(shared(), &space, &[]).replace(STOPS, "");
        let mut flow = Flow::run(shared(), space, config).await;
        for table in ["comes", "goes", "other"] {
            flow.execute(&format!("INSERT INTO {table} VALUES (1, 'a')")).await;
        }
        flow.drain().await;
        let subject = |table: &str| format!("{}-value", flow.topic(&format!("public.{table}")));
        shared().registry.set_rule(&subject("comes"), "FULL");
        shared().registry.set_rule(&subject("goes"), "FULL");
        shared().registry.free(&subject("other"));
        flow.execute("ALTER TABLE comes ADD n int, ADD m int NOT NULL DEFAULT 7").await;
        flow.execute("ALTER TABLE goes DROP v; ALTER TABLE other ALTER v TYPE int USING 1").await;
        flow.execute("INSERT INTO comes VALUES (2, 'b', 3, 4); INSERT INTO goes VALUES (2)").await;
        flow.execute("INSERT INTO other VALUES (2, 5)").await;
        flow.drain().await;
        let row =
            |record: &Record| plain(record.value(&shared().registry).unwrap())["after"].clone();
        let rows = |table: &str| -> Vec<_> {
            flow.records(&format!("public.{table}")).iter().map(row).collect()
        };
        let first = json!({ "id": 1, "v": "a" });
        assert_eq!(rows("comes"), [first.clone(), json!({ "id": 2, "v": "b", "n": 3, "m": 4 })]);
        assert_eq!(rows("other"), [first.clone(), json!({ "id": 2, "v": 5 })]);
        assert_eq!(rows("goes"), [first]);
        let warnings = lines_at(&flow.walbrook, "WARN");
        let parked = warnings.iter().filter(|line| said(line, "message").contains("is parked"));
        let parked: Vec<_> = parked.map(|line| said(line, "table")).collect();
        assert_eq!(parked, ["public.goes"]);
        flow.stop();
    });
}
