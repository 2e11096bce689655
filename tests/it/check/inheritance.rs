//! `walbrook check` names children by inheritance: the stream does not follow it.

use super::{Checked, LIMIT, space};
use crate::support::flow::edit;
use crate::support::run;

const NAME: &str = "postgres.inheritance";

#[test]
fn children_that_no_publication_has_are_named() {
    run(LIMIT, async {
        let ddl = "CREATE SCHEMA parts;
            CREATE TABLE metrics (ts timestamptz, dev int, PRIMARY KEY (ts, dev));
            CREATE TABLE chunk_1 (LIKE metrics INCLUDING ALL) INHERITS (metrics);
            CREATE TABLE outbox (id uuid PRIMARY KEY, aggregatetype text, aggregateid text, type text,
                payload jsonb);
            CREATE TABLE outbox_1 (LIKE outbox INCLUDING ALL) INHERITS (outbox);
            CREATE TABLE whole (id int PRIMARY KEY) PARTITION BY HASH (id);
            CREATE TABLE part PARTITION OF whole FOR VALUES WITH (MODULUS 1, REMAINDER 0);
            CREATE PUBLICATION walbrook FOR TABLE metrics, outbox, whole
                WITH (publish_via_partition_root = true);
            CREATE TABLE parts.chunk_2 (LIKE metrics INCLUDING ALL) INHERITS (metrics);
            CREATE TABLE chunk_3 (LIKE metrics INCLUDING ALL) INHERITS (parts.chunk_2);
            CREATE TABLE outbox_2 (LIKE outbox INCLUDING ALL) INHERITS (outbox)";
        let (stack, space) = space("check_children", ddl).await;
        let outbox = format!(
            "[[outbox]]\ntable = \"public.outbox\"\ntopic = \"{}.{{route}}\"",
            space.prefix
        );
        let config = space.config(stack, &outbox);
        let found = Checked::new(&config);
        found.failed(&[]);
        let told = |found: &Checked| -> Vec<String> {
            let items = found.items.iter().filter(|item| item["item"] == NAME);
            items.map(|item| item["text"].as_str().unwrap().to_owned()).collect()
        };
        let missing = "children of public.metrics by inheritance are in no publication, so their rows do not reach Kafka: parts.chunk_2, public.chunk_3";
        let own = "children of public.metrics by inheritance are tables of their own here, each with its own topic: public.chunk_1";
        let outbox = "children of public.outbox by inheritance are in no publication, so their rows do not reach Kafka: public.outbox_2";
        let mut expect = [missing, own, outbox].to_vec();
        let mut all = told(&found);
        all.sort_unstable();
        expect.sort_unstable();
        assert_eq!(all, expect);
        found.says(NAME, "warning", &["ADD TABLE \"public\".\"outbox_2\""]);
        // What is left out is meant to be.
        let config = edit(&config, "tables", "exclude = [\"*.chunk_*\"]");
        assert_eq!(told(&Checked::new(&config)), [outbox]);
    });
}
