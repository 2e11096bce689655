//! Dead letters are events again when what was wrong is put right: each once, whatever is killed.

use std::time::Duration;

use super::{TEST_LIMIT, events, told};
use crate::support::flow::{Flow, LIMIT, config, position};
use crate::support::records::Record;
use crate::support::stack::{Space, shared};
use crate::support::walbrook::command;
use crate::support::{process, run};

const DDL: &str = "
    CREATE TABLE outbox (id int PRIMARY KEY, aggregatetype text, aggregateid text, type text,
        payload jsonb);
    CREATE PUBLICATION walbrook FOR TABLE outbox;";

/// Only orders are allowed.
const NARROW: &str = "[[outbox]]\ntable = \"outbox\"\ntopic = \"{prefix}.event.{route}\"\n\
    topic_allow = \"{prefix}.event.order\"\ndead_letter_topic = \"{prefix}.dead\"";

/// A pipeline that can be told something, and its configuration with all topics allowed.
async fn start(name: &str) -> (Flow<'static>, String) {
    let space = Space::new(&shared().postgres, name).await;
    shared().postgres.execute(&space.database, DDL).await;
    let socket = process::folder("control").join("socket");
    let socket = format!("socket = \"{}\"", socket.display());
    let config = config(shared(), &space, &[("control", &socket), ("", NARROW)]);
    let narrow = format!("topic_allow = \"{}.event.order\"", space.prefix);
    assert!(config.contains(&narrow));
    let wide = config.replace(&narrow, "");
    (Flow::run(shared(), space, config).await, wide)
}

/// `walbrook dlq replay`, which ends with this code; what it said.
#[track_caller]
fn replay(flow: &Flow<'_>, arguments: &[&str], code: i32) -> String {
    let output = command(&flow.config, &[&["dlq", "replay"], arguments].concat());
    let text = format!("{}{}", output.stdout, output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}\n{}", flow.walbrook.tail());
    text
}

/// The ids of the events of a topic.
fn ids(flow: &Flow<'_>, topic: &str) -> Vec<i64> {
    let id = |record: &Record| record.header("id").unwrap().parse().unwrap();
    events(flow, topic).iter().map(id).collect()
}

#[test]
fn dead_letters_are_routed_by_what_holds_now() {
    run(TEST_LIMIT, async {
        let (mut flow, wide) = start("replayed").await;
        flow.execute("INSERT INTO outbox VALUES (1, 'order', 'a', 'T', '{}'), (2, 'invoice', 'b', 'T', '{\"n\": 2}'), (3, NULL, 'c', 'T', '{}'), (4, 'in voice', 'd', NULL, NULL)").await;
        flow.drain().await;
        assert_eq!((ids(&flow, "event.order"), ids(&flow, "dead")), (vec![1], vec![2, 3, 4]));
        let dead = events(&flow, "dead");
        assert_eq!(dead[0].header("walbrook.outbox"), Some("public.outbox"));
        assert_eq!(dead[0].header("walbrook.route"), Some("invoice"));
        assert_eq!(dead[1].header("walbrook.route"), None);
        let nobody = replay(&flow, &["--outbox", "public.nobody"], 2);
        assert!(nobody.contains("no such outbox"), "{nobody}");

        flow.stop();
        flow.config = wide;
        flow.restart().await;
        let said = replay(&flow, &[], 0);
        assert!(
            said.contains("1 dead letters are events now, and 2 are dead letters again"),
            "{said}"
        );
        let invoices = events(&flow, "event.invoice");
        assert_eq!(invoices.len(), 1);
        let expect = ("b".to_owned(), "{\"n\": 2}".to_owned(), "id=2 eventType=T".to_owned());
        assert_eq!(told(&invoices[0]), expect);
        let was = dead[0].header("walbrook.position");
        assert_eq!(invoices[0].header("walbrook.letter"), was);
        assert!(position(&dead[2]) < position(&invoices[0]), "behind all that was written");
        assert_eq!(ids(&flow, "dead"), [2, 3, 4, 3, 4], "with the reason that holds now");

        // What has no route is given one; what has one keeps it.
        let said = replay(&flow, &["--route", "order", "--outbox", "public.outbox"], 0);
        assert!(
            said.contains("1 dead letters are events now, and 1 are dead letters again"),
            "{said}"
        );
        assert_eq!(ids(&flow, "event.order"), [1, 3]);
        flow.restart_after_kill().await;
        flow.execute("INSERT INTO outbox VALUES (5, 'order', 'a', 'T', '{}')").await;
        flow.drain().await;
        assert_eq!(ids(&flow, "event.order"), [1, 3, 5]);
        let said = replay(&flow, &["--outbox", "public.outbox"], 0);
        assert!(
            said.contains("0 dead letters are events now, and 1 are dead letters again"),
            "{said}"
        );
        flow.stop();
    });
}

#[test]
fn each_dead_letter_is_an_event_once_whatever_is_killed() {
    run(TEST_LIMIT, async {
        let (mut flow, wide) = start("replayed_killed").await;
        flow.execute(
            "INSERT INTO outbox SELECT n, 'invoice', n, 'T', '{}' FROM generate_series(1, 9000) n",
        )
        .await;
        flow.drain().await;
        assert_eq!(ids(&flow, "dead").len(), 9000);
        flow.stop();
        flow.config = wide;
        flow.restart().await;
        let mut is_hit = false;
        for wait_ms in (0..).map(|it| it * 15).take(20) {
            let config = flow.config.clone();
            let told = std::thread::spawn(move || command(&config, &["dlq", "replay"]));
            let begun = "dead letters are written again, as an operator has told";
            flow.walbrook.wait_for_message(LIMIT, begun);
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            flow.restart_after_kill().await;
            drop(told.join());
            let events = ids(&flow, "event.invoice").len();
            is_hit |= 0 < events && events < 9000;
            if 9000 <= events {
                break;
            }
        }
        assert!(is_hit, "no kill fell between two chunks");
        replay(&flow, &[], 0);
        let mut found = ids(&flow, "event.invoice");
        found.sort_unstable();
        assert!(found.iter().copied().eq(1..=9000), "{} events", found.len());
        let nothing = replay(&flow, &[], 0);
        assert!(nothing.contains("no dead letter"), "{nothing}");
        flow.stop();
    });
}
