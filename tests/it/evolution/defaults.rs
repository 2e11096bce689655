//! Defaults of each kind of value, as readers of older records find them; and what is refused.

use super::{TEST_LIMIT, read_as};
use crate::support::flow::{Flow, ends_with, plain, query};
use crate::support::run;
use crate::support::stack::shared;

#[test]
fn a_required_column_with_a_constant_default_is_backward_compatible() {
    run(TEST_LIMIT, async {
        let ddl = "
            CREATE TYPE state AS ENUM ('new', 'paid');
            CREATE TABLE t (id int PRIMARY KEY, small int NOT NULL DEFAULT 7);
            CREATE PUBLICATION walbrook FOR TABLE t;";
        let mut flow = Flow::start(shared(), "evolution", ddl, &[]).await;
        flow.execute("INSERT INTO t VALUES (1)").await;
        flow.drain().await;
        let subject = format!("{}-value", flow.topic("public.t"));

        flow.execute(
            "ALTER TABLE t ADD price numeric(6, 2) NOT NULL DEFAULT 1.5,
                 ADD state state NOT NULL DEFAULT 'new', ADD padded char(5) NOT NULL DEFAULT 'it''s',
                 ADD added date NOT NULL DEFAULT '2024-02-29', ADD note text DEFAULT 'none';
             INSERT INTO t VALUES (2, 8, 2, 'paid', 'b', '2025-01-01', NULL)",
        )
        .await;
        flow.drain().await;
        let records = flow.records("public.t");
        let older = plain(read_as(&flow, &records[0], &records[1]));
        // What PostgreSQL says of the row that is older than the columns; but where a column may be
        // null, a reader is told of nothing that was not there.
        let row = "SELECT small, price * 100, state, padded, added - '1970-01-01'::date FROM t
            WHERE id = 1";
        let row = query(&flow.client, row).await.remove(0);
        let after = &older["after"];
        let read = ["small", "price", "state", "padded", "added"].map(|name| match &after[name] {
            serde_json::Value::String(text) => text.clone(),
            number => number.to_string(),
        });
        assert_eq!(read[..], ["7", "150", "new", "it's ", "19782"], "{after}");
        assert_eq!(row[..], ["7", "150.00", "new", "it's ", "19782"]);
        assert_eq!(after["note"], serde_json::Value::Null);

        // Whatever the default, a value is what it is.
        let newer = &flow.told("public.t").await[1];
        assert!(newer.contains(r#""state":"paid""#) && newer.contains(r#""note":null"#), "{newer}");

        // What older rows cannot be read as, the registry refuses.
        flow.execute("ALTER TABLE t ALTER note DROP DEFAULT, ALTER note TYPE int USING 1; INSERT INTO t VALUES (3)").await;
        let error = ends_with(&mut flow.walbrook, 4);
        assert!(error.contains(&subject), "{error}");
    });
}
