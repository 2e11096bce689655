//! Names that Avro and Kafka do not allow: in JSON as they are, in Avro adjusted and told, and apart.

use std::time::Duration;

use serde_json::Value;

use crate::support::flow::{Flow, edit, told};
use crate::support::records::{Record, read_committed};
use crate::support::stack::{Space, Stack, shared};
use crate::support::walbrook::command;
use crate::support::{http, run};

const TEST_LIMIT: Duration = Duration::from_secs(240);

/// Two columns of one field, and two tables of one topic, with mere underscores.
const DDL: &str = r#"
    CREATE TABLE c (id int PRIMARY KEY, "价" int);
    CREATE TABLE part ("price$" int PRIMARY KEY, "price#" int, unit_price int);
    CREATE TABLE "订单" (id int PRIMARY KEY);
    CREATE TABLE "客户" (id int PRIMARY KEY);
    CREATE PUBLICATION walbrook FOR ALL TABLES;"#;

/// As Debezium has it.
fn escaped(name: &str) -> String {
    let escape = |c: char| match c {
        '.' | '-' | 'a'..='z' | 'A'..='Z' | '0'..='9' => c.to_string(),
        c => format!("_u{:04x}", u32::from(c)),
    };
    name.chars().map(escape).collect()
}

/// A pipeline on these tables, whose topics (escaped) keep everything.
async fn start(name: &str, changes: &[(&str, &str)]) -> Flow<'static> {
    let stack: &Stack = shared();
    let space = Space::new(&stack.postgres, name).await;
    for table in ["c", "part", "订单", "客户"] {
        let topic = escaped(&format!("{}.public.{table}", space.prefix));
        stack.kafka.create_topic(&topic, 1, &[("retention.ms", "-1")]).await;
    }
    stack.postgres.execute(&space.database, DDL).await;
    Flow::start_on(stack, space, changes).await
}

fn records(flow: &Flow<'_>, table: &str) -> Vec<Record> {
    read_committed(&flow.stack.kafka, &[&escaped(&flow.topic(table))])
}

/// A subject's newest schema: the fields of rows, or of keys, with their columns' own names.
fn fields(flow: &Flow<'_>, table: &str, side: &str) -> Vec<String> {
    let subject = format!("{}-{side}", escaped(&flow.topic(table)));
    let url = format!("{}/subjects/{subject}/versions/latest", flow.stack.registry.url());
    let (status, body) = http::get(&url).unwrap();
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    let schema: Value = serde_json::from_str(answer["schema"].as_str().unwrap()).unwrap();
    let record = if side == "key" { &schema } else { &schema["fields"][1]["type"][1] };
    let told = |field: &Value| format!("{}={}", field["name"], field["walbrook.column"]);
    record["fields"].as_array().unwrap().iter().map(told).collect()
}

/// Rows of all tables, and a column of the same length beside another while they stream.
async fn change(flow: &mut Flow<'_>) {
    flow.execute(
        r#"INSERT INTO c VALUES (1, 1);
           ALTER TABLE c ADD COLUMN "名" text;
           INSERT INTO c VALUES (2, 2, 'n');
           INSERT INTO part VALUES (1, 2, 3);
           INSERT INTO "订单" VALUES (1);
           INSERT INTO "客户" VALUES (2)"#,
    )
    .await;
    flow.drain().await;
}

const UNICODE: (&str, &str) = ("tables", "name_adjustment = \"avro_unicode\"");

#[test]
fn avro_keeps_names_apart_and_tells_them() {
    run(TEST_LIMIT, async {
        let mut flow = start("names_avro", &[UNICODE]).await;
        change(&mut flow).await;
        let registry = &flow.stack.registry;
        let told = |table| -> Vec<_> {
            records(&flow, table).iter().map(|record| told(registry, record)).collect()
        };
        let c = [
            r#"c {"id":1} null {"id":1,"_u4ef7":1}"#,
            r#"c {"id":2} null {"id":2,"_u4ef7":2,"_u540d":"n"}"#,
        ];
        assert_eq!(told("public.c"), c);
        let part =
            r#"c {"price_u0024":1} null {"price_u0024":1,"price_u0023":2,"unit_u005fprice":3}"#;
        assert_eq!(told("public.part"), [part]);
        assert_eq!(told("public.订单"), [r#"c {"id":1} null {"id":1}"#]);
        assert_eq!(told("public.客户"), [r#"c {"id":2} null {"id":2}"#]);
        let own = [
            r#""price_u0024"="price$""#,
            r#""price_u0023"="price#""#,
            r#""unit_u005fprice"="unit_price""#,
        ];
        assert_eq!(fields(&flow, "public.part", "value"), own);
        assert_eq!(fields(&flow, "public.part", "key"), own[..1]);
        agrees(&flow);
        let printed = command(&flow.config, &["schema", "print", "--table", "public.订单"]);
        assert!(printed.stdout.contains("_u8ba2_u5355-value"), "{}", printed.stdout);
    });
}

#[test]
fn json_has_them_as_they_are() {
    run(TEST_LIMIT, async {
        let json = ("tables", "name_adjustment = \"avro_unicode\"\nvalue_format = \"json\"");
        let mut flow = start("names_json", &[json]).await;
        change(&mut flow).await;
        let told = |table| -> Vec<_> {
            let text = |bytes: &Option<Vec<u8>>| String::from_utf8(bytes.clone().unwrap()).unwrap();
            let told = |record: &Record| {
                let value: Value = serde_json::from_str(&text(&record.value)).unwrap();
                format!("{} {}", text(&record.key), value["after"])
            };
            records(&flow, table).iter().map(told).collect()
        };
        let c = [r#"{"id":1} {"id":1,"价":1}"#, r#"{"id":2} {"id":2,"价":2,"名":"n"}"#];
        assert_eq!(told("public.c"), c);
        let part = r#"{"price$":1} {"price$":1,"price#":2,"unit_price":3}"#;
        assert_eq!(told("public.part"), [part]);
        assert_eq!(told("public.客户"), [r#"{"id":2} {"id":2}"#]);
        agrees(&flow);
    });
}

/// `check` and `verify` know all tables and columns. (Of `c` a row is from before a column.)
fn agrees(flow: &Flow<'_>) {
    let checked = command(&flow.config, &["check"]);
    assert!(checked.stdout.contains("tables that can be written: 4"), "{}", checked.stdout);
    let tables = ["public.part", "public.订单", "public.客户"];
    let arguments: Vec<_> = tables.iter().flat_map(|table| ["--table", *table]).collect();
    let verified = command(&flow.config, &[&["verify"], &arguments[..]].concat());
    assert_eq!(verified.status.code(), Some(0), "{}\n{}", verified.stdout, verified.stderr);
    assert_eq!(verified.stdout.matches(": alike: ").count(), 3, "{}", verified.stdout);
}

/// What collides is refused, the setting is the way out, and readers of older records go on.
#[test]
fn the_way_out_of_a_collision_is_the_setting() {
    run(TEST_LIMIT, async {
        let ddl = r#"CREATE TABLE c (id int PRIMARY KEY, "价" int);
                     CREATE PUBLICATION walbrook FOR TABLE c"#;
        let (stack, space) = (shared(), Space::new(&shared().postgres, "names").await);
        stack.postgres.execute(&space.database, ddl).await;
        // Without a character that is escaped, so that it is the same topic.
        let prefix = space.prefix.replace('_', "-");
        let topics = format!("prefix = \"{prefix}\"");
        let mut flow = Flow::start_on(stack, space, &[("topics", &topics)]).await;
        flow.space.prefix = prefix;
        flow.execute("INSERT INTO c VALUES (1, 1)").await;
        assert_eq!(flow.told("public.c").await, [r#"c {"id":1} null {"id":1,"_":1}"#]);
        flow.stop();
        flow.execute(r#"ALTER TABLE c ADD COLUMN "名" text; INSERT INTO c VALUES (2, 2, 'n')"#)
            .await;
        let checked = command(&flow.config, &["check"]);
        assert_eq!(checked.status.code(), Some(3), "{}", checked.stdout);
        assert!(
            checked.stdout.contains("name_adjustment = \"avro_unicode\""),
            "{}",
            checked.stdout
        );
        flow.config = edit(&flow.config, UNICODE.0, UNICODE.1);
        flow.restart().await;
        let second = r#"c {"id":2} null {"id":2,"_u4ef7":2,"_u540d":"n"}"#;
        assert_eq!(flow.told("public.c").await[1..], [second]);
    });
}
