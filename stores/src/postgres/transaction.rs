//! An effect and its mark in one transaction.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use drumline::core::{Claim, Ownership};
use serde_json::value::RawValue;
use sqlx::Error;
use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::connections::{CALL, Connections, PooledConnection, failed, silent};
use super::statements;
use crate::outbox::OutboxJob;
use crate::outbox::postgres::adding::add_in;
use crate::store::{Retention, StoreError};

/// A transaction in which a handler writes its effect and marks the job as done: either both are written or neither.
///
/// It derefs to a connection for `sqlx`. If it is dropped without [`commit`](Self::commit), it is rolled back.
///
/// ```no_run
/// # use drumline::core::{Claim, Ownership};
/// # use drumline_store::{StoreError, postgres::{PostgresStore, sqlx}};
/// # async fn handler(store: &PostgresStore, claim: &Claim) -> Result<(), Box<dyn std::error::Error>> {
/// let mut transaction = store.begin(claim).await?;
/// sqlx::query("UPDATE accounts SET balance = balance - 10 WHERE id = 7").execute(&mut *transaction).await?;
/// match transaction.commit(None).await? {
///     Ownership::Kept => Ok(()),
///     // Another run has the job. Nothing was written here.
///     Ownership::Lost => Err("the claim was lost".into()),
/// }
/// # }
/// ```
///
/// The transaction does not touch the claim's row until the commit, so that it can be renewed meanwhile.
pub struct Transaction {
    loan: PooledConnection,
    connections: Arc<Connections>,
    claim: Claim,
    keep: Retention,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transaction").field("claim", &self.claim).finish_non_exhaustive()
    }
}

impl Transaction {
    pub(super) async fn begin(
        connections: Arc<Connections>,
        claim: &Claim,
        keep: Retention,
    ) -> Result<Self, StoreError> {
        let loan = begin_on(&connections).await?;
        Ok(Self { loan, connections, claim: claim.clone(), keep })
    }

    /// Adds jobs to the outbox of the same database, like [`add_in`](crate::outbox::postgres::add_in): they are sent if and
    /// only if the transaction is committed.
    pub async fn add(&mut self, jobs: &[OutboxJob]) -> Result<(), StoreError> {
        add_in(&mut self.loan.connection, jobs).await
    }

    /// Marks the job as done with its result and commits if the worker still holds the claim; otherwise rolls back.
    ///
    /// The runtime's own mark at the end of the run then finds the job already marked. After an error it is unknown if the
    /// commit has happened: the next attempt finds out.
    pub async fn commit(mut self, result: Option<&RawValue>) -> Result<Ownership, StoreError> {
        let end = async {
            let connection = &mut self.loan.connection;
            let is_ours = statements::finish(connection, &self.claim, result, self.keep).await?;
            let end = if is_ours { "COMMIT" } else { "ROLLBACK" };
            sqlx::raw_sql(end).execute(connection).await?;
            Ok::<_, Error>(is_ours)
        };
        match timeout(CALL, end).await {
            Ok(Ok(is_ours)) => {
                self.connections.return_connection(self.loan);
                Ok(if is_ours { Ownership::Kept } else { Ownership::Lost })
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(silent()),
        }
    }

    /// Rolls back the transaction. Dropping it does the same, but closes the connection.
    pub async fn rollback(self) -> Result<(), StoreError> {
        roll_back(&self.connections, self.loan).await
    }
}

/// Begins a transaction on some connection.
pub(super) async fn begin_on(connections: &Connections) -> Result<PooledConnection, StoreError> {
    let begin = async {
        let mut loan = connections.lend().await?;
        // A lost connection is detected here, where nothing has happened yet.
        if sqlx::raw_sql("BEGIN").execute(&mut loan.connection).await.is_err() {
            connections.forget_idle();
            drop(loan);
            loan = connections.lend().await?;
            sqlx::raw_sql("BEGIN").execute(&mut loan.connection).await?;
        }
        Ok::<_, Error>(loan)
    };
    match timeout(CALL, begin).await {
        Ok(loan) => loan.map_err(failed),
        Err(_) => Err(silent()),
    }
}

/// Rolls a transaction back, and returns its connection.
pub(super) async fn roll_back(
    connections: &Connections,
    mut loan: PooledConnection,
) -> Result<(), StoreError> {
    match timeout(CALL, sqlx::raw_sql("ROLLBACK").execute(&mut loan.connection)).await {
        Ok(Ok(_)) => {
            connections.return_connection(loan);
            Ok(())
        }
        Ok(Err(error)) => Err(failed(error)),
        Err(_) => Err(silent()),
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.loan.connection
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.loan.connection
    }
}

/// Marks a job as done within a transaction of the handler on the same database: the handler has begun it on `connection`, and
/// commits it if the result is [`Ownership::Kept`]. If the result is [`Ownership::Lost`], the handler must roll it back,
/// because another run has the job.
///
/// The connection's `search_path` must find Drumline's functions. `keep` is the store's retention.
pub async fn finish_in(
    connection: &mut PgConnection,
    claim: &Claim,
    result: Option<&RawValue>,
    keep: Retention,
) -> Result<Ownership, StoreError> {
    match statements::finish(connection, claim, result, keep).await {
        Ok(true) => Ok(Ownership::Kept),
        Ok(false) => Ok(Ownership::Lost),
        Err(error) => Err(failed(error)),
    }
}
