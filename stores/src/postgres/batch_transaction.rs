//! The effects of several jobs and their marks in one transaction.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use drumline::core::Claim;
use serde_json::value::RawValue;
use sqlx::Error;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::connections::{CALL, Connections, PooledConnection, failed, silent};
use super::statements;
use super::transaction::{begin_on, roll_back};
use crate::outbox::OutboxJob;
use crate::outbox::postgres::adding::add_in;
use crate::store::{Retention, StoreError};

/// A transaction in which a batch handler writes the effects of its items and marks their jobs as done: either all of this is
/// written or none.
///
/// It derefs to a connection for `sqlx`. If it is dropped without [`commit`](Self::commit), it is rolled back.
///
/// ```no_run
/// # use drumline::batch::{BatchContext, BatchResult, Item, Rest};
/// # use drumline_store::postgres::{BatchCommit, PostgresStore, sqlx};
/// # struct Row { name: String }
/// async fn insert(ctx: BatchContext, mut items: Vec<Item<Row>>) -> BatchResult {
///     let store = ctx.extension::<PostgresStore>().ok_or("the store is not PostgreSQL")?;
///     while !items.is_empty() {
///         let names: Vec<&str> = items.iter().map(|item| &*item.job.name).collect();
///         let mut transaction = store.begin_batch().await?;
///         let insert = sqlx::query("INSERT INTO names SELECT * FROM unnest($1::text[])").bind(&names);
///         insert.execute(&mut *transaction).await?;
///         let jobs = items.iter().map(|item| Some((&**item.context.claim()?, None))).collect::<Option<Vec<_>>>();
///         match transaction.commit(&jobs.ok_or("the store keeps no claims")?).await? {
///             BatchCommit::Done => return Ok(Rest::Done),
///             // Nothing was written: try again without the jobs that other runs have claimed.
///             BatchCommit::Lost(lost) => {
///                 for place in lost.into_iter().rev() {
///                     items.remove(place).failed("another run has the job");
///                 }
///             }
///         }
///     }
///     Ok(Rest::Retry)
/// }
/// ```
///
/// The transaction does not touch the claims' rows until the commit, so that they can be renewed meanwhile.
pub struct BatchTransaction {
    loan: PooledConnection,
    connections: Arc<Connections>,
    keep: Retention,
}

/// The result of a [`BatchTransaction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchCommit {
    /// It is committed, and every job is marked as done.
    Done,
    /// It is rolled back, because the claims of the jobs at these indexes are lost: other runs hold them. The indexes are in
    /// ascending order.
    Lost(Vec<usize>),
}

impl std::fmt::Debug for BatchTransaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchTransaction").finish_non_exhaustive()
    }
}

impl BatchTransaction {
    pub(super) async fn begin(connections: Arc<Connections>, keep: Retention) -> Result<Self, StoreError> {
        let loan = begin_on(&connections).await?;
        Ok(Self { loan, connections, keep })
    }

    /// Adds jobs to the outbox of the same database, like [`add_in`](crate::outbox::postgres::add_in): they are sent if and
    /// only if the transaction is committed.
    pub async fn add(&mut self, jobs: &[OutboxJob]) -> Result<(), StoreError> {
        add_in(&mut self.loan.connection, jobs).await
    }

    /// Marks the jobs as done with their results in one statement, and commits if the worker still holds all their claims.
    ///
    /// The runtime's own marks at the end of the runs then find the jobs already marked. After an error it is unknown if the
    /// commit has happened: the next attempts find out.
    pub async fn commit(mut self, jobs: &[(&Claim, Option<&RawValue>)]) -> Result<BatchCommit, StoreError> {
        let mark = async {
            let lost = statements::finish_all(&mut self.loan.connection, jobs, self.keep).await?;
            if lost.is_empty() {
                sqlx::raw_sql("COMMIT").execute(&mut self.loan.connection).await?;
            }
            Ok::<_, Error>(lost)
        };
        let lost = match timeout(CALL, mark).await {
            Ok(lost) => lost.map_err(failed)?,
            Err(_) => return Err(silent()),
        };
        if lost.is_empty() {
            self.connections.return_connection(self.loan);
            return Ok(BatchCommit::Done);
        }
        self.rollback().await?;
        Ok(BatchCommit::Lost(lost))
    }

    /// Rolls back the transaction. Dropping it does the same, but closes the connection.
    pub async fn rollback(self) -> Result<(), StoreError> {
        roll_back(&self.connections, self.loan).await
    }
}

impl Deref for BatchTransaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.loan.connection
    }
}

impl DerefMut for BatchTransaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.loan.connection
    }
}
