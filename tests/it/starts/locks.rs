//! Tables that are locked for hours: VACUUM FULL and an ALTER TABLE that rewrites.

use super::{TABLE, TEST_LIMIT, check_once};
use crate::support::flow::Flow;
use crate::support::run;
use crate::support::stack::shared;
use crate::support::walbrook::command;

#[test]
fn a_table_that_is_locked_holds_up_neither_start_nor_check() {
    run(TEST_LIMIT, async {
        let ddl = format!(
            "{TABLE} CREATE TABLE locked (id int PRIMARY KEY, n int NOT NULL DEFAULT 7);
            ALTER PUBLICATION walbrook ADD TABLE locked;"
        );
        let quick = ("postgres", "statement_timeout = \"5s\"");
        let mut flow = Flow::start(shared(), "locked", &ddl, &[quick]).await;
        flow.stop();
        flow.execute("INSERT INTO locked VALUES (1); INSERT INTO t (v) VALUES ('a')").await;
        let holder = flow.stack.postgres.client(&flow.space.database).await;
        holder.batch_execute("BEGIN; LOCK locked").await.unwrap();

        let checked = command(&flow.config, &["check"]);
        assert!(checked.status.success(), "{}{}", checked.stdout, checked.stderr);
        flow.restart().await;
        flow.execute("INSERT INTO t (v) VALUES ('b')").await;
        let told = flow.told("public.locked").await;
        assert_eq!(told, [r#"c {"id":1} null {"id":1,"n":7}"#]);
        check_once(&flow).await;
        holder.batch_execute("ROLLBACK").await.unwrap();
        flow.stop();
    });
}
