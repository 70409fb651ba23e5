//! The SQL of the book's pages, as an application would execute it.

use std::path::Path;

use drumline_store::postgres::sqlx::{self, PgConnection};
use drumline_tests::Launch;
use sqlx::Connection as _;

use crate::outbox::world::{database, execute};

/// Returns the SQL blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(path).unwrap();
    let behind = text.split("```sql\n").skip(1);
    behind.map(|rest| rest.split_once("```").expect("the block has an end").0.to_owned()).collect()
}

#[tokio::test]
async fn the_sql_of_the_outbox_page_adds_jobs() {
    let Some(url) = database().await else { return };
    let migrated = Launch::new(&["outbox", "migrate"]).env("DRUMLINE_OUTBOX_URL", &url).finish().await;
    assert_eq!(migrated.status, Some(0), "{}", migrated.errors());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    // Two blocks update an application's own table, in which the paid order has either kind of column.
    for kind in ["timestamptz", "boolean"] {
        execute(
            &mut connection,
            format!("DROP TABLE IF EXISTS orders; CREATE TABLE orders (id int, paid {kind})"),
        )
        .await;
        let needs = |block: &String| {
            !block.contains("SET paid") || block.contains("now() WHERE") == (kind == "timestamptz")
        };
        for block in blocks("outbox.md").into_iter().filter(needs) {
            execute(&mut connection, block).await;
        }
    }
    let types: Vec<String> = sqlx::query_scalar("SELECT DISTINCT type FROM drumline_outbox ORDER BY type")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(types, ["email.send", "order.remind", "order.ship", "receipt.remind"]);
}

#[tokio::test]
async fn the_sql_of_batch_handlers_adds_each_row_once() {
    let Some(url) = database().await else { return };
    let mut connection = PgConnection::connect(&url).await.unwrap();
    execute(&mut connection, "CREATE TABLE names (job_id text PRIMARY KEY, name text)".to_owned()).await;
    let [insert] = &blocks("batch-handlers.md")[..] else { panic!("one block") };
    for _ in 0..2 {
        sqlx::query(sqlx::AssertSqlSafe(insert.clone()))
            .bind(["a", "b"])
            .bind(["Ada", "Bob"])
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM names").fetch_one(&mut connection).await.unwrap();
    assert_eq!(rows, 2);
}
